"""`finetui demo`: the first minute. Fine-tunes the packaged starter through the supervisor, like any other run, then
scores its base and its best checkpoint on the test set.

stdout is one line with both figures and the checkpoint's path; exit status 0 only if the fine-tuned one is better.
"""

from __future__ import annotations

import argparse

from core.cli import output
from core.cli.command import Command
from core.cli.evaluate import read_evaluations, submit_evaluation
from core.cli.reading import workspace_of
from core.cli.ready import ready_recipe
from core.cli.shapes import weights_id
from core.cli.targets import resolve_targets
from core.errors import TrainingError
from core.paths import Workspace
from core.states import Outcome
from core.store.reader import open_reader

RECIPE = "starter-qlora.yaml"
_METRIC = "exact_match"


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults()


def demo(arguments: argparse.Namespace) -> int:
    """Train, evaluate before and after, print both figures."""
    from core.cli.progress import wait
    from core.recipe.load import load_recipe
    from core.runs.queue import submit

    workspace = workspace_of(arguments)
    run_id = submit(workspace, load_recipe(ready_recipe(RECIPE)))
    output.narrate(f"fine-tuning the starter model with {RECIPE}: run {run_id} (about two minutes on two CPU cores)")
    if status := wait(workspace, run_id):
        return status
    with open_reader(workspace) as reader:
        if reader.run(run_id).outcome is not Outcome.COMPLETED:
            raise TrainingError("the demo's run did not complete", try_this=f"finetui resume {run_id} --wait")
        best = resolve_targets(reader, f"{run_id}@best")[0]
    base = f"{run_id}@base"
    output.narrate("evaluating the base model and the best checkpoint on the test set")
    job_id = submit_evaluation(workspace, [base, best], ["test"])
    if status := wait(workspace, job_id, [base, best]):
        return status
    shares = _shares(workspace, job_id, [base, best])
    folder = workspace.relative(workspace.run(run_id).checkpoint(int(best.partition("@")[2])))
    if arguments.json:
        output.print_json({"id": run_id, "base": shares[0], "tuned": shares[1], "checkpoint": best, "path": folder})
    else:
        output.print_text(f"exact match: base {_percent(shares[0])} % → tuned {_percent(shares[1])} %")
        output.print_text(folder)
    return 0 if shares[1] > shares[0] else 1


def _shares(workspace: Workspace, job_id: str, targets: list[str]) -> list[float]:
    """Exact match of each target, as a share of 1.

    Raises:
        TrainingError: the evaluation ended without a figure.
    """
    by_target = {weights_id(row): row.metrics.get(_METRIC) for row in read_evaluations(workspace, job_id, targets)}
    shares = [by_target.get(target) for target in targets]
    measured = [share for share in shares if share is not None]
    if len(measured) != len(targets):
        raise TrainingError("the evaluation gave no exact match", try_this=f"finetui logs {job_id}")
    return measured


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


COMMANDS = {"demo": Command(_configure, demo)}
