"""Adapters of saved checkpoints put onto one base in memory, one active at a time, or none.

An adapter keeps the number format that it was saved in, so that it computes what it computed while training. It must
not merge anything into the base.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import PreTrainedModel

from core.errors import CheckpointError

ADAPTER_FILE, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
_DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


def holds_adapter(folder: Path) -> bool:
    """Whether a checkpoint holds an adapter rather than a whole model."""
    return (folder / ADAPTER_CONFIG).is_file()


class ResidentBase:
    """A base model on its device, and the adapters that were put onto it so far."""

    def __init__(self, base: PreTrainedModel) -> None:
        self._base = base
        self._with_adapters: PeftModel | None = None
        self._names: dict[Path, str] = {}

    @contextmanager
    def with_adapter(self, folder: Path | None) -> Iterator[PreTrainedModel]:
        """The model with the adapter of `folder` active, or the bare base for None.

        Raises:
            CheckpointError: the adapter does not fit this base.
        """
        if folder is None:
            if self._with_adapters is None:
                yield self._base
            else:
                with self._with_adapters.disable_adapter():
                    yield self._with_adapters
            return
        if folder not in self._names:
            self._load(folder)
        assert self._with_adapters is not None
        self._with_adapters.set_adapter(self._names[folder])
        yield self._with_adapters

    def _load(self, folder: Path) -> None:
        name = f"adapter_{len(self._names)}"
        try:
            if self._with_adapters is None:
                self._with_adapters = PeftModel.from_pretrained(self._base, str(folder), adapter_name=name)
            else:
                self._with_adapters.load_adapter(str(folder), adapter_name=name)
        except (ValueError, RuntimeError, KeyError) as error:
            raise CheckpointError(
                f"the adapter of {folder.name} does not fit the base model", why=str(error).split("\n")[0]
            ) from error
        self._names[folder] = name
        self._restore_format(folder, name)

    def _restore_format(self, folder: Path, name: str) -> None:
        assert self._with_adapters is not None
        with safe_open(str(folder / ADAPTER_FILE), framework="pt") as file:
            formats = {file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118  not a mapping
        if len(formats) != 1:
            return  # mixed formats: PEFT's own choice stands
        wanted = _DTYPES.get(formats.pop())
        for parameter_name, parameter in self._with_adapters.named_parameters():
            if wanted is not None and f".{name}." in parameter_name:
                parameter.data = parameter.data.to(wanted)
