"""A real instruct model on real questions, on a CPU: each method trains, and its checkpoint is an ordinary one.

Needs `SHARED` with data/gsm8k/train.jsonl and models/get_smollm2.py, which makes the model's folder (SmolLM2-135M).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from core.events import ExamplesScored
from core.paths import RunPaths, Workspace
from core.recipe.load import load_resolved
from core.runs.spool import tail

ROOT = Path(__file__).resolve().parents[2]
STEPS = 20
PROMPTS = ("What is the capital of France?", "Tom has 3 apples and buys 4 more. How many apples does he have?")
LOGIT_TOLERANCE = {"full": 0.0, "lora": 0.0, "qlora": 4.0}
"""Largest difference of one logit between finetui's own loading and plain loading of the same folder.

full and lora are float32 on both sides. For qlora two things differ: plain PEFT widens bfloat16 adapters to float32,
and bitsandbytes takes another 4-bit kernel for evaluation on CPUs with AVX512-BF16 (finetui keeps the one that training
uses). Both only change the order of bfloat16 roundings (relative steps of 2^-8 in each of 30 layers), and so much: the
same checkpoint computed in float32 is 2.0 away from bfloat16. That nothing else differs is shown by
the second comparison: adapters as saved and the same kernel give a difference of exactly 0.
"""
NLL_TOLERANCE = {"full": 1e-4, "lora": 1e-4, "qlora": 5e-2}
"""Nats per token of one row: weights in memory while training against the folder opened plainly.

The rows meet in batches of other widths; in bfloat16 that alone is worth 0.014.
"""


@pytest.fixture(scope="session")
def shared() -> Path:
    return Path(os.environ["SHARED"])


@pytest.fixture(scope="session")
def smollm2(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder, made once per session (or taken from SMOLLM2)."""
    if "SMOLLM2" in os.environ:
        return Path(os.environ["SMOLLM2"])
    folder = tmp_path_factory.mktemp("smollm2") / "model"
    subprocess.run([sys.executable, str(shared / "models/get_smollm2.py"), str(folder)], check=True)
    return folder


@pytest.mark.acceptance
@pytest.mark.parametrize("method", ["qlora", "lora", "full"])
def test_a_real_model_learns_and_its_checkpoint_opens_elsewhere(
    method: str, shared: Path, smollm2: Path, workspace: Workspace
) -> None:
    run = _run(workspace, smollm2, shared / "data/gsm8k/train.jsonl", method)

    losses = _finetui(workspace, "metrics", run.run_id, "loss", "--json")["loss"]["values"]
    assert len(losses) == STEPS
    first, last = sum(losses[:5]) / 5, sum(losses[-5:]) / 5
    print(f"\n{method}: mean loss of the first five steps {first:.4f}, of the last five {last:.4f}")
    assert last < first

    shown = _finetui(workspace, "show", run.run_id, "--json")
    final = next(entry for entry in shown["checkpoints"] if entry["step"] == STEPS)
    assert final["valid"]
    folder = workspace.root / final["path"]
    plain = _open_plainly(folder, smollm2, method, run)
    ours = _open_with_finetui(folder, run)
    difference = max(_logit_difference(ours, plain, folder, prompt) for prompt in PROMPTS)
    nll_difference = _largest_nll_difference(plain, run, folder)
    print(f"{method}: logits differ by at most {difference:.2g}, nats per token by at most {nll_difference:.2g}")
    assert difference <= LOGIT_TOLERANCE[method]
    assert nll_difference <= NLL_TOLERANCE[method]
    if method == "qlora":
        same = _open_plainly(folder, smollm2, method, run, same_arithmetic=True)
        exact = max(_logit_difference(ours, same, folder, prompt) for prompt in PROMPTS)
        print(f"qlora, with the same arithmetic: logits differ by {exact:.2g}")
        assert exact == 0.0


def _run(workspace: Workspace, model: Path, rows: Path, method: str) -> RunPaths:
    settings = [f"model.path={model}", f"data.train.0.path={rows}", f"train.max_steps={STEPS}", f"method.type={method}"]
    options = [word for setting in settings for word in ("--set", setting)]
    recipe = str(ROOT / "recipes/smollm2-gsm8k.yaml")
    command = [sys.executable, "-P", "-m", "tui.entry", "run", recipe, *options, "--wait"]
    result = subprocess.run(
        [*command, "--workspace", str(workspace.root)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    assert result.returncode == 0
    return workspace.run(result.stdout.split()[0])


def _finetui(workspace: Workspace, *words: str) -> Any:
    command = [sys.executable, "-P", "-m", "tui.entry", *words, "--workspace", str(workspace.root)]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def _open_plainly(
    folder: Path, base: Path, method: str, run: RunPaths, *, same_arithmetic: bool = False
) -> torch.nn.Module:
    """As anybody would, without finetui; for qlora on the base quantised as it was in training.

    With `same_arithmetic`, adapters keep the number format they were saved in, and 4-bit layers their training kernel.
    """
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    if method == "full":
        return AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32).eval()
    if method == "lora":
        model = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
        return PeftModel.from_pretrained(model, str(folder)).eval()
    choices = json.loads(run.environment.read_text())["choices"]
    compute = [choice["value"] for choice in choices if choice["key"] == "model.dtype"][-1]  # the worker's: not "auto"
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, compute),
    )
    model = AutoModelForCausalLM.from_pretrained(
        str(base), dtype=getattr(torch, compute), quantization_config=nf4, device_map={"": "cpu"}
    )
    if same_arithmetic:
        for module in model.modules():
            if type(module).__name__ == "Linear4bit":
                module.support_avx512bf16_for_cpu = False
    return PeftModel.from_pretrained(model, str(folder), autocast_adapter_dtype=not same_arithmetic).eval()


def _open_with_finetui(folder: Path, run: RunPaths) -> torch.nn.Module:
    from core.worker.model import load_model, model_folder
    from core.worker.resident import ResidentBase, holds_adapter

    recipe = load_resolved(run.recipe)
    if not holds_adapter(folder):
        return load_model(recipe, folder, "cpu").model.eval()
    resident = ResidentBase(load_model(recipe, model_folder(recipe.model), "cpu").model)
    with resident.with_adapter(folder) as model:
        return model.eval()


def _logit_difference(ours: torch.nn.Module, plain: torch.nn.Module, folder: Path, prompt: str) -> float:
    from transformers import AutoTokenizer

    chat = [{"role": "user", "content": prompt}]
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.no_grad():
        ours_logits = ours(input_ids=ids["input_ids"], use_cache=False).logits.float()
        plain_logits = plain(input_ids=ids["input_ids"], use_cache=False).logits.float()
    assert (ours_logits[0, -1].argmax() == plain_logits[0, -1].argmax()).item()
    return float((ours_logits - plain_logits).abs().max())


def _largest_nll_difference(plain: torch.nn.Module, run: RunPaths, folder: Path) -> float:
    """Against what the run wrote down at its last step, with the weights it had in memory."""
    from core.data.chat import ChatTokenizer
    from core.worker.evaluation import row_losses
    from core.worker.prepared import prepare_run

    recipe = load_resolved(run.recipe)
    examples = prepare_run(recipe, ChatTokenizer.load(folder)).sets["validation"].examples
    told = {
        example.index: example.negative_log_likelihood or 0.0
        for _, record in tail(run.events, 0).records
        if isinstance(record.event, ExamplesScored) and record.event.step == STEPS
        for example in record.event.examples
    }
    assert len(told) == len(examples) == 32
    with torch.no_grad():
        sums = row_losses(plain, [example.encoded for example in examples], batch_size=1)
    assert sums is not None
    return max(abs(total / tokens - told[e.index]) for e, (total, tokens) in zip(examples, sums, strict=True))
