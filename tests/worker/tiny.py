"""A tiny random Llama with a byte-level tokenizer, data files and run folders: what the training tests share."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from core.events import Event, Job, Record, RunQueued, StepLogged
from core.paths import RunPaths, Workspace
from core.recipe.dump import dump_recipe, recipe_sha256
from core.recipe.load import load_recipe
from core.recipe.schema import Recipe
from core.runs.folder import create_run_folder, new_run_id, read_job
from core.runs.spool import Spool, tail
from core.worker.context import Context, Ending
from core.worker.control import Control, Request
from core.worker.outbox import Outbox
from core.worker.outcomes import ending_of

ROOT = Path(__file__).resolve().parents[2]
PAD, END, SPECIAL = 0, 1, ("<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>")
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
AnEvent = TypeVar("AnEvent", bound=Event)


def write_tokenizer(folder: Path) -> int:
    """A byte-level tokenizer without merges; returns the vocabulary's size."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {text: index for index, text in enumerate([*SPECIAL, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<|pad|>",
        "eos_token": "<|end|>",
        "chat_template": TEMPLATE,
        "model_max_length": 512,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return len(vocabulary)


def write_model(folder: Path, seed: int = 7) -> Path:
    """2 layers, 64 wide, random weights; returns `folder`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder.mkdir(parents=True, exist_ok=True)
    size = write_tokenizer(folder)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=PAD,
    )
    torch.manual_seed(seed)
    LlamaForCausalLM(config).save_pretrained(str(folder))
    return folder


def write_rows(path: Path, count: int = 40, seed: int = 3) -> Path:
    """Chats of differing length: a letter and a number are asked, the letter comes back so many times."""
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        letter, times = draw.choice("abcdefgh"), draw.randint(1, 9)
        turns = [
            {"role": "user", "content": f"{letter} {times}"},
            {"role": "assistant", "content": letter * times},
        ]
        lines.append(json.dumps({"messages": turns}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def make_recipe(folder: Path, model: Path, data: Path, *overrides: str, method: str = "lora") -> Recipe:
    """A resolved recipe for the tiny model: 20 steps of 2 × 2 rows, unless overridden."""
    path = folder / "tiny.yaml"
    path.write_text(
        f"""
model: {{path: {model}}}
data:
  train: [{{path: {data}}}]
  max_length: 64
method: {{type: {method}}}
train:
  max_steps: 20
  learning_rate: 1e-3
  per_device_train_batch_size: 2
  gradient_accumulation_steps: 2
  activation_checkpointing: false
evaluate:
  sets:
    held: {{from_train: 6, task: exact_match, role: validation}}
  max_new_tokens: 4
checkpoints: {{every_steps: 5}}
""",
        encoding="utf-8",
    )
    return load_recipe(path, overrides, folder).recipe


def make_run(workspace: Workspace, recipe: Recipe, *, resumed_from: str | None = None, kind: str = "train") -> RunPaths:
    """A run folder as `submit` makes it, without a journal or a supervisor."""
    return make_job(workspace, recipe, kind=kind, resumed_from=resumed_from)


def make_job(
    workspace: Workspace,
    recipe: Recipe,
    *,
    kind: str = "train",
    arguments: Mapping[str, object] | None = None,
    resumed_from: str | None = None,
) -> RunPaths:
    """A run folder of any kind of job, for the CPU."""
    queued = RunQueued(
        run_id=new_run_id(),
        name="tiny",
        kind=kind,
        recipe_sha256=recipe_sha256(recipe),
        resumed_from=resumed_from,
        device="cpu",
    )
    job = Job(queued=queued, created_at=time.time(), arguments=dict(arguments or {}))  # type: ignore[arg-type]
    return create_run_folder(workspace, job, dump_recipe(recipe))


def worker_environment(attempt: int, **more: str) -> dict[str, str]:
    """What a supervisor would give a CPU worker."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FINETUI")}
    return {**kept, "FINETUI_ATTEMPT": str(attempt), "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", **more}


def start_worker(paths: RunPaths, attempt: int = 1, **more: str) -> subprocess.Popen[bytes]:
    """A real worker process, its output in worker.log."""
    with paths.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "core.worker", str(paths.folder)],
            env=worker_environment(attempt, **more),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def run_worker(paths: RunPaths, attempt: int = 1, timeout_seconds: float = 90.0, **more: str) -> int:
    """A worker from start to end; returns its exit status."""
    process = start_worker(paths, attempt, **more)
    try:
        return process.wait(timeout_seconds)
    finally:
        process.kill()


def records(paths: RunPaths) -> list[Record]:
    """All lines that the worker wrote; none may be damaged."""
    found = tail(paths.events, 0)
    assert found.damaged_lines == 0
    return [record for _, record in found.records]


def events(paths: RunPaths, kind: type[AnEvent], attempt: int | None = None) -> list[AnEvent]:
    """The events of one type, in order."""
    return [
        record.event
        for record in records(paths)
        if isinstance(record.event, kind) and (attempt is None or record.attempt == attempt)
    ]


class ScriptedControl(Control):
    """Control with requests that arrive right after given steps."""

    def __init__(self, paths: RunPaths, attempt: int, script: dict[int, str]) -> None:
        super().__init__(paths.control, attempt)
        self._paths = paths
        self._script = dict(script)

    def take(self) -> list[Request]:
        taken = super().take()
        steps = events(self._paths, StepLogged) if self._script else []
        action = self._script.pop(steps[-1].step, None) if steps else None
        return [*taken, Request(action, f"request-{steps[-1].step}")] if action else taken


def train_here(paths: RunPaths, attempt: int = 1, script: dict[int, str] | None = None) -> Ending:
    """Train in this process (a worker pays seconds for its imports); what is written is a worker's own."""
    from core.worker.jobs import train

    return run_here(paths, train.run, attempt, script)


def run_here(
    paths: RunPaths, job: Callable[[Context], Ending], attempt: int = 1, script: dict[int, str] | None = None
) -> Ending:
    """Any job in this process, with the worker's own treatment of errors."""
    outbox = Outbox(Spool.open(paths.events, attempt))
    control = ScriptedControl(paths, attempt, script or {})
    workspace = Workspace(paths.folder.parent.parent)
    context = Context(workspace, paths, read_job(paths), attempt, outbox, control)
    try:
        ending = job(context)
    except Exception as error:  # noqa: BLE001  as the worker does: every error becomes an ending
        ending = ending_of(error, context)
    context.started()
    context.say(ending.to_event())
    outbox.close()
    return ending


def curve(paths: RunPaths, key: str) -> dict[int, float]:
    """Step → value; where a step was trained twice, the later attempt counts, as in the store."""
    return {event.step: event.values[key] for event in events(paths, StepLogged)}
