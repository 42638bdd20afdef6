"""settings.yaml: absent means defaults, wrong is said."""

from __future__ import annotations

import pytest

from core.errors import WorkspaceError
from core.paths import Workspace
from core.runs.settings import Settings, read_settings


@pytest.mark.parametrize(
    ("text", "gpu"), [(None, None), ("", None), ("gpu: 0\n", "0"), ("gpu: GPU-1a\n", "GPU-1a"), ("notify: [x]\n", None)]
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
