"""Loads the base model from safetensors, in the number format that fits method and hardware, and says why.

It refuses what could run foreign code (pickled weights, `auto_map`); it must not know adapters, data or training.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from core.errors import ModelError
from core.events import Choice
from core.recipe.schema import ModelSection, Recipe

_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt", ".pt2")
_HUB_FILES = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "tokenizer*", "merges.txt", "vocab*")
_BYTES_PER_FULL_PARAMETER = 16
"""float32 weights, gradients and two Adam moments."""

_SMALL_MODEL = 50_000_000
"""Below this many parameters bfloat16 was not faster than float32 on a CPU; a 135 M model gained 30 % in 4 bits."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """The base in memory. `autocast` says that matrix products run in bfloat16 over float32 weights.

    `choices` is what was decided here and why; `weight_bytes` the size of the weights as loaded.
    """

    model: PreTrainedModel
    folder: Path
    dtype: torch.dtype
    autocast: bool
    weight_bytes: int
    choices: tuple[Choice, ...] = field(default=())


def model_folder(section: ModelSection) -> Path:
    """The folder of the base: a packaged one, a folder, or a hub model's snapshot (downloaded unless offline).

    Raises:
        ModelError: it is missing, unreadable, refused, or can't be fetched.
    """
    folder = _locate(section)
    _refuse_foreign_code(folder)
    return folder


def _locate(section: ModelSection) -> Path:
    if section.path.startswith("builtin:"):
        from core.starter import resolve

        return resolve(section.path.removeprefix("builtin:"))
    folder = Path(section.path)
    if folder.is_absolute():
        if not folder.is_dir():
            raise ModelError(f"there is no model folder {folder}", try_this="check model.path in the recipe")
        return folder
    return _fetch(section.path, section.revision)


def _fetch(repository: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(_HUB_FILES)))
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"the hub model {repository} is not on this machine and can't be fetched",
            why="there is no network, or HF_HUB_OFFLINE is set",
            try_this="download it where there is a network, or give model.path as a folder",
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise ModelError(f"the hub model {repository} can't be fetched", why=str(error).split("\n")[0]) from error


def _refuse_foreign_code(folder: Path) -> None:
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise ModelError(f"the model folder {folder} can't be read: {error.strerror}") from error
    if "config.json" not in names:
        raise ModelError(f"{folder} holds no config.json, so it is not a model folder", try_this="check model.path")
    if not any(name.endswith(".safetensors") for name in names):
        pickled = [name for name in names if name.endswith(_PICKLED)]
        if pickled:
            raise ModelError(
                f"{folder} has pickled weights only ({pickled[0]})",
                why="a pickle can run any code when it is opened",
                try_this="convert the model to safetensors, or take a revision that has them",
            )
        raise ModelError(f"{folder} has no weights (no .safetensors file)", try_this="check model.path")
    for name in ("config.json", "tokenizer_config.json"):
        if name in names:
            _refuse_remote_code(folder / name)


def _refuse_remote_code(path: Path) -> None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} can't be read as JSON", why=str(error)) from error
    pending: list[object] = [content]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            for key in ("auto_map", "_attn_implementation_internal", "trust_remote_code"):
                if item.get(key):
                    raise ModelError(
                        f"{path} asks for code of its own ({key})",
                        why="finetui runs no code that comes with a model",
                        try_this="take a model whose architecture is part of transformers",
                    )
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)


def count_parameters(folder: Path) -> int:
    """Parameters of a model folder, read from the headers of its safetensors files (tied ones count once).

    Raises:
        ModelError: a file is damaged.
    """
    total = 0
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with path.open("rb") as stream:
                length = int.from_bytes(stream.read(8), "little")
                header = cast("dict[str, dict[str, list[int]]]", json.loads(stream.read(min(length, 100_000_000))))
        except (OSError, ValueError) as error:
            raise ModelError(f"{path} is not a readable safetensors file", why=str(error)) from error
        for name, entry in header.items():
            if name != "__metadata__":
                size = 1
                for extent in entry["shape"]:
                    size *= extent
                total += size
    return total


def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies in bfloat16 (AVX512-BF16 or AMX)."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def choose_dtype(recipe: Recipe, device: str, parameters: int) -> tuple[torch.dtype, bool, Choice]:
    """(number format of the weights, whether to autocast to bfloat16, the choice with its reason)."""
    asked, method = recipe.model.dtype, recipe.method.type
    has_bfloat16 = torch.cuda.is_bf16_supported() if device != "cpu" else cpu_has_bfloat16()
    if asked != "auto":
        dtype = torch.bfloat16 if asked == "bfloat16" else torch.float32
        return dtype, dtype is torch.bfloat16 and device != "cpu", Choice("model.dtype", asked, "recipe", "as asked")
    if device == "cpu":
        if method == "qlora" and parameters >= _SMALL_MODEL and has_bfloat16:
            reason = "this CPU computes in bfloat16, and 4-bit layers of this size are a third faster in it"
            return torch.bfloat16, False, Choice("model.dtype", "bfloat16", "auto", reason)
        reason = "exact, and no slower than bfloat16 on a CPU at this size and method"
        return torch.float32, False, Choice("model.dtype", "float32", "auto", reason)
    if not has_bfloat16:
        reason = "this GPU has no bfloat16"
        return torch.float32, False, Choice("model.dtype", "float32", "auto", reason)
    if method == "full":
        free, _ = torch.cuda.mem_get_info()
        if parameters * _BYTES_PER_FULL_PARAMETER < 0.8 * free:
            reason = "small updates are lost in bfloat16 weights; matrix products still run in bfloat16"
            return torch.float32, True, Choice("model.dtype", "float32", "auto", reason)
        reason = "float32 weights with their optimizer state would not fit on this GPU"
        return torch.bfloat16, True, Choice("model.dtype", "bfloat16", "auto", reason)
    reason = "the base is frozen, and this GPU computes in bfloat16"
    return torch.bfloat16, True, Choice("model.dtype", "bfloat16", "auto", reason)


def load_model(recipe: Recipe, folder: Path, device: str) -> LoadedModel:
    """The base of a recipe, on its device; in 4 bits (NF4, double quantisation) where the method is qlora.

    Raises:
        ModelError: the folder does not hold a causal language model that transformers can load.
    """
    disable_progress_bar()  # redrawn lines would fill the log
    dtype, autocast, dtype_choice = choose_dtype(recipe, device, count_parameters(folder))
    attention = "sdpa" if recipe.model.attention == "auto" else recipe.model.attention
    quantization = None
    if recipe.method.type == "qlora":
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16 if autocast else dtype,
        )
    try:
        model = AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=dtype,
            attn_implementation=attention,
            quantization_config=quantization,
            device_map={"": device},
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(f"the model in {folder} can't be loaded", why=str(error).strip().split("\n")[0]) from error
    guard_evaluation(model, device)
    choices = [dtype_choice]
    if recipe.model.attention == "auto":
        reason = "part of PyTorch, and packed rows stay apart in it"
        choices.append(Choice("model.attention", attention, "auto", reason))
    weight_bytes = sum(p.numel() * p.element_size() for p in model.parameters())
    return LoadedModel(model, folder, dtype, autocast, weight_bytes, tuple(choices))


def guard_evaluation(model: PreTrainedModel, device: str) -> None:
    """Keep 4-bit layers in their training layout while evaluating.

    On CPUs with AVX512-BF16, bitsandbytes repacks a layer's weights in place at the first evaluation, and from then on
    training runs through a kernel without gradients: wrong results, without an error.
    """
    if device != "cpu":
        return
    import bitsandbytes

    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = False
