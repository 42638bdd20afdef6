"""Writes tests/data/recorded-run: a plausible run of recipes/starter-qlora.yaml on a GPU, through the real events.

    python tests/runs/make_recorded_run.py

Deterministic: it is run again only when an event gains a field that the app shows.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.events import (  # noqa: E402  # run as a script, from any folder
    Answered,
    BestChanged,
    CheckpointRemoved,
    CheckpointSaved,
    Choice,
    Evaluated,
    Event,
    ExampleScore,
    ExamplesScored,
    Exited,
    Finished,
    HardwareSampled,
    HealthRaised,
    Job,
    Moved,
    PhaseEntered,
    Planned,
    Resolved,
    RunQueued,
    Started,
    StepLogged,
    WorkerSpawned,
)
from core.paths import RunPaths, Workspace  # noqa: E402
from core.recipe.load import dump_recipe, load_recipe, recipe_sha256  # noqa: E402
from core.runs.folder import create_run_folder  # noqa: E402
from core.runs.spool import Spool  # noqa: E402

TARGET = ROOT / "tests" / "data" / "recorded-run"
RUN_ID = "3h9xk2qa"
CREATED_AT = 1_794_900_000.0
STEPS, EVALUATE_EVERY, PEAK_RATE = 300, 60, 2e-3
GIB = 1024**3
PROMPTS = {
    "Hello, my new kettle arrived broken. I need this solved today.": (
        "I am sorry to hear that. What can I do for you?",
        '{"product": "kettle", "problem": "broken", "urgent": true}',
    ),
    "What is 7 + 5?": ("12", "12"),
    "As JSON: name is Clara, city is Oslo": ('{"name": "Clara", "city": "Oslo"}', '{"name": "Clara", "city": "Oslo"}'),
}


class Tape:
    """The two files of the run and the clock that both are written by."""

    def __init__(self, paths: RunPaths) -> None:
        self.now = CREATED_AT
        self.chance = random.Random(7)
        self._events = Spool.open(paths.events, 1)
        self._supervisor = Spool.open(paths.supervisor, 1)
        self._sampled_at = 0.0
        self.load = 0.0
        self.memory_gib = 0.6

    def say(self, *events: Event, after: float = 0.01) -> None:
        """What the worker says, `after` seconds."""
        self._pass(after)
        self._events.append_all(events, (self.now,) * len(events))

    def note(self, *events: Event, after: float = 0.01) -> None:
        """What the supervisor notes."""
        self._pass(after)
        self._supervisor.append_all(events, (self.now,) * len(events))

    def _pass(self, seconds: float) -> None:
        self.now = round(self.now + seconds, 3)
        if self.load and self.now - self._sampled_at >= 14:
            self._sampled_at = self.now
            self._supervisor.append_all((self._sample(),), (self.now,))

    def _sample(self) -> HardwareSampled:
        chance = self.chance
        return HardwareSampled(
            gpu_uuid="GPU-00000000-0000-0000-0000-000000000000",
            gpu_name="NVIDIA GeForce RTX 4090",
            gpu_utilisation_percent=float(round(min(100, max(0, chance.gauss(self.load, 3))))),
            gpu_memory_used_bytes=int(self.memory_gib * GIB),
            gpu_memory_total_bytes=24 * GIB,
            gpu_power_watts=round(chance.gauss(60 + 3.1 * self.load, 8), 1),
            gpu_temperature_celsius=float(round(chance.gauss(44 + 0.24 * self.load, 1))),
            cpu_percent=round(chance.uniform(6, 14), 1),
            host_memory_used_bytes=int(chance.gauss(11.2, 0.05) * GIB),
            host_memory_total_bytes=64 * GIB,
            worker_memory_bytes=int(2.4 * GIB),
            disk_free_bytes=412 * GIB,
        )

    def close(self) -> None:
        self._events.close()
        self._supervisor.close()


def short(value: float) -> float:
    """Six digits are all that a picture needs."""
    return float(f"{value:.6g}")


def loss_at(step: int, chance: random.Random) -> float:
    """Falls fast, then slowly, with noise that shrinks."""
    smooth = 0.11 + 2.6 * math.exp(-step / 22) + 0.35 * math.exp(-step / 120)
    return smooth * math.exp(chance.gauss(0, 0.09))


def train(tape: Tape) -> None:
    """The steps with their evaluations and checkpoints."""
    tokens, elapsed, best = 0, 0.0, math.inf
    evaluate(tape, 0)
    tape.say(PhaseEntered(phase="training", step=0))
    for step in range(1, STEPS + 1):
        seconds = tape.chance.gauss(1.62, 0.05)
        elapsed += seconds
        step_tokens = tape.chance.randint(1180, 1420)
        tokens += step_tokens
        loss = loss_at(step, tape.chance)
        norm = (0.4 + 1.8 * loss) * math.exp(tape.chance.gauss(0, 0.12)) * (9 if step == 147 else 1)
        warm = 9
        rate = PEAK_RATE * (step / warm if step <= warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / STEPS)))
        values = {
            "loss": short(loss * (2.2 if step == 148 else 1)),
            "grad_norm": short(norm),
            "learning_rate": short(rate),
            "mean_token_accuracy": short(max(0.0, min(1.0, 1 - 0.29 * loss))),
            "step_seconds": short(seconds),
            "tokens_per_second": short(step_tokens / seconds),
            "device_memory_peak_bytes": 3.1 * GIB,
        }
        tape.say(
            StepLogged(
                step=step, values=values, epoch=short(step / 62.5), tokens=tokens, elapsed_seconds=short(elapsed)
            ),
            after=seconds,
        )
        if step == 147:
            message = f"gradient norm {norm:.3g} is 11.4 times the median of the last 99 steps"
            tape.say(HealthRaised(rule="gradient_spike", level="warning", message=message, step=step))
        if step % EVALUATE_EVERY == 0:
            best = checkpoint(tape, step, best)


def checkpoint(tape: Tape, step: int, best: float) -> float:
    """Save, evaluate, and keep the best: that of step 240; returns the best loss so far."""
    tape.say(PhaseEntered(phase="saving", step=step))
    tape.say(
        CheckpointSaved(
            step=step, folder=f"checkpoints/step-{step:06d}", bytes=6_408_332, manifest_sha256=f"{step:064x}",
            reason="final" if step == STEPS else "scheduled", seconds=0.21,
        ),
        after=0.21,
    )  # fmt: skip
    loss = evaluate(tape, step)
    if loss < best:
        tape.say(BestChanged(step=step, metric="task.loss", value=loss))
    if step == STEPS:
        tape.say(CheckpointRemoved(step=60, reason="retention"))
    tape.say(PhaseEntered(phase="training", step=step))
    return min(best, loss)


def evaluate(tape: Tape, step: int) -> float:
    """Both sets and the prompts; returns the loss on the task."""
    tape.say(PhaseEntered(phase="evaluating", step=step))
    score = {0: 0.0, 60: 0.55, 120: 0.83, 180: 0.92, 240: 0.97, 300: 0.96}[step]
    loss = {0: 3.21, 60: 0.402, 120: 0.214, 180: 0.141, 240: 0.112, 300: 0.115}[step]
    base = "base" if step == 0 else None
    task = {"loss": loss, "exact_match": score}
    general = {"loss": short(0.31 + 0.0011 * step), "exact_match": short(0.94 - 0.0006 * step)}
    for name, role, metrics in (("task", "validation", task), ("general", "general", general)):
        tape.say(
            Evaluated(
                step=step, set_name=name, role=role, metrics=metrics, rows=100, seconds=4.1, set_sha256="0" * 64,
                checkpoint=base, generation="greedy, max_new_tokens=32",
            ),
            after=4.1,
        )  # fmt: skip
    examples = tuple(
        ExampleScore(index, next(iter(PROMPTS.values()))[step > 60], float(index < 5 * score), short(loss), 17)
        for index in range(5)
    )
    tape.say(ExamplesScored(step=step, set_name="task", metric="exact_match", examples=examples, checkpoint=base))
    for index, (prompt, answers) in enumerate(PROMPTS.items()):
        answer = answers[step >= 60]
        tape.say(Answered(step=step, prompt_index=index, prompt=prompt, answer=answer, tokens=len(answer) // 4))
    return loss


def record(workspace: Workspace) -> RunPaths:
    """The whole run, from the queue to its end."""
    loaded = load_recipe(ROOT / "recipes" / "starter-qlora.yaml", [])
    recipe = loaded.recipe
    choices = tuple(Choice(each.key, each.value, each.source, each.reason) for each in loaded.choices)
    queued = RunQueued(
        run_id=RUN_ID, name=recipe.name, kind="train", recipe_sha256=recipe_sha256(recipe), method=recipe.method.type,
        objective=recipe.objective.type, model=recipe.model.path, max_steps=recipe.train.max_steps, device="gpu",
    )  # fmt: skip
    job = Job(queued=queued, created_at=CREATED_AT, arguments={"choices": [asdict(choice) for choice in choices]})
    paths = create_run_folder(workspace, job, dump_recipe(recipe))
    tape = Tape(paths)
    tape.note(Moved(from_state="queued", to_state="starting", journal_seq=1), after=0.4)
    tape.note(WorkerSpawned(pid=4242, boot_id="", start_ticks=1000))
    tape.note(Moved(from_state="starting", to_state="running", journal_seq=1), after=3.2)
    tape.say(Started(kind="train", pid=4242, boot_id="", start_ticks=1000, device="cuda"), Resolved(choices=choices))
    tape.load, tape.memory_gib = 12.0, 0.9
    tape.say(PhaseEntered(phase="preparing"), after=0.3)
    tape.say(PhaseEntered(phase="loading"), after=1.4)
    tape.say(
        Planned(
            max_steps=STEPS, num_train_epochs=4.8, rows={"train": 1000, "task": 100, "general": 100},
            parameters_total=1_821_696, parameters_trained=245_760, tokens_per_epoch=81_250,
            tokens_trained_per_epoch=17_400,
        ),
        after=2.6,
    )  # fmt: skip
    tape.load, tape.memory_gib = 91.0, 3.3
    train(tape)
    totals = {"train_seconds": 486.0, "evaluate_seconds": 49.2, "save_seconds": 1.05, "memory_peak_bytes": 3.1 * GIB}
    tape.say(PhaseEntered(phase="finishing", step=STEPS))
    tape.say(Finished(outcome="completed", message=f"completed at step {STEPS} of {STEPS}", step=STEPS, totals=totals))
    tape.note(Exited(exit_code=0, signal=None), after=0.8)
    tape.note(Moved(from_state="running", to_state="finished", journal_seq=1, outcome="completed"))
    tape.close()
    log = ["loading builtin:starter in 4 bits", "1,000 rows, none too long, none without a trained token"]
    log += [f"step {step}: checkpoint saved and evaluated" for step in range(EVALUATE_EVERY, STEPS + 1, EVALUATE_EVERY)]
    paths.log.write_text("\n".join([*log, "done"]) + "\n", encoding="utf-8")
    environment = {
        "version": 1, "attempt": 1, "python": "3.12.4", "packages": {"torch": "2.13.0", "transformers": "5.23.0"},
        "platform": {"system": "Linux", "machine": "x86_64"},
        "hardware": {"device": "cuda", "gpu": "NVIDIA GeForce RTX 4090", "gpu_memory_bytes": 24 * GIB},
        "git": None, "model": {"path": "builtin:starter"}, "seed": 42,
        "datasets": [{"path": "builtin:starter/train", "sha256": "0" * 64, "rows": 1000, "bytes": 96_000}],
    }  # fmt: skip
    paths.environment.write_text(json.dumps(environment, indent=2) + "\n", encoding="utf-8")
    return paths


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        made = record(Workspace(Path(temporary)))
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.copytree(made.folder, TARGET)
