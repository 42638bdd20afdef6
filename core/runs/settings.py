"""What a person set for a whole workspace, in `settings.yaml`; a missing file means the defaults.

It must not hold a secret (those come from the environment only), nor anything that belongs to one run.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import WorkspaceError
from core.paths import Workspace


@dataclass(frozen=True, slots=True)
class Settings:
    """`gpu` is what CUDA_VISIBLE_DEVICES takes: an index or a UUID; None lets the environment choose.

    `notify` is a program with its arguments, started when a run ends; a sentence is added as the last argument.
    """

    gpu: str | None = None
    notify: tuple[str, ...] = ()


def read_settings(workspace: Workspace) -> Settings:
    """The settings of `workspace`.

    Raises:
        WorkspaceError: settings.yaml is not readable, `gpu` is not an index or UUID, or `notify` no list of texts.
    """
    try:
        text = workspace.settings.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise WorkspaceError(f"can't read {workspace.settings}: {error}") from error
    from ruamel.yaml import YAML  # 40 ms that a workspace without settings must not pay
    from ruamel.yaml.error import YAMLError

    try:
        body = YAML(typ="safe", pure=True).load(text) or {}
    except YAMLError as error:
        raise WorkspaceError(f"{workspace.settings} is not YAML: {error}") from error
    gpu = body.get("gpu") if isinstance(body, dict) else None
    if isinstance(gpu, bool) or not isinstance(gpu, (int, str, type(None))) or "," in str(gpu):
        raise WorkspaceError(
            f"{workspace.settings}: gpu must name one GPU, by index or UUID",
            try_this="`gpu: 0`, or `gpu: GPU-…` as nvidia-smi -L prints it",
        )
    notify = body.get("notify") if isinstance(body, dict) else None
    if notify is not None and (not isinstance(notify, list) or not all(isinstance(part, str) for part in notify)):
        raise WorkspaceError(
            f"{workspace.settings}: notify must be a list of texts, a program and its arguments",
            try_this="`notify: [notify-send, finetui]`",
        )
    return Settings(gpu=None if gpu is None else str(gpu), notify=tuple(notify or ()))
