"""settings.yaml: absent means defaults, wrong is said."""

from __future__ import annotations

import pytest

from core.errors import WorkspaceError
from core.paths import Workspace
from core.runs.settings import Settings, read_settings


@pytest.mark.parametrize(
    ("text", "gpu"), [(None, None), ("", None), ("gpu: 0\n", "0"), ("gpu: GPU-1a\n", "GPU-1a"), ("judge: [x]\n", None)]
)
def test_the_gpu_is_read(workspace: Workspace, text: str | None, gpu: str | None) -> None:
    if text is not None:
        workspace.settings.write_text(text)
    assert read_settings(workspace) == Settings(gpu=gpu)


@pytest.mark.parametrize("text", ["gpu: [0, 1]\n", "gpu: 0,1\n", "gpu: true\n", "gpu: {a: 1}\n", "a: [", "gpu: 1.5\n"])
def test_what_cannot_be_used_is_said(workspace: Workspace, text: str) -> None:
    workspace.settings.write_text(text)
    with pytest.raises(WorkspaceError, match=r"settings\.yaml"):
        read_settings(workspace)


def test_the_program_that_is_told_of_an_end_is_read(workspace: Workspace) -> None:
    workspace.settings.write_text("notify: [notify-send, finetui]\n")
    assert read_settings(workspace) == Settings(notify=("notify-send", "finetui"))


@pytest.mark.parametrize("text", ["notify: notify-send\n", "notify: [1]\n", "notify: {a: b}\n"])
def test_a_program_that_is_no_list_of_texts_is_refused(workspace: Workspace, text: str) -> None:
    workspace.settings.write_text(text)
    with pytest.raises(WorkspaceError, match="notify must be a list"):
        read_settings(workspace)
