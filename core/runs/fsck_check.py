"""One pass of `fsck` over a workspace: what is known of each run beforehand, and the findings as they are collected.

It must not decide what is wrong: `fsck` and `fsck_run` do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from core.paths import Workspace
from core.runs.lines_check import LinesChecked, check_lines
from core.text import safe_line


@dataclass(frozen=True, slots=True, kw_only=True)
class FsckFinding:
    """One thing that is not as it should be. `level` is error (something was lost or altered) or warning.

    `problem` is missing, altered, damaged, left over, foreign or not private; `path` is relative to the workspace.
    """

    level: str
    problem: str
    path: str
    message: str
    run_id: str | None = None
    try_this: str = ""


@dataclass(slots=True)
class Known:
    """What the journal and the store say of one run, whatever its folder holds."""

    in_journal: bool = False
    in_store: bool = False
    removed: bool = False
    recipe_sha256: str = ""
    moved: bool = False
    spawned: bool = False
    started: bool = False
    trained: bool = False
    announced: dict[int, str] = field(default_factory=dict)  # step → sha256 of the manifest
    collected: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Check:
    """One pass over a workspace."""

    workspace: Workspace
    deep: bool
    findings: list[FsckFinding] = field(default_factory=list)
    known: dict[str, Known] = field(default_factory=dict)
    checkpoints: int = 0

    def say(
        self, level: str, problem: str, path: Path, message: str, run_id: str | None = None, try_this: str = ""
    ) -> None:
        relative = safe_line(path.relative_to(self.workspace.root).as_posix())
        self.findings.append(
            FsckFinding(
                level=level,
                problem=problem,
                path=relative,
                message=f"{relative} {message}",
                run_id=run_id,
                try_this=try_this,
            )
        )

    def run(self, run_id: str) -> Known:
        return self.known.setdefault(run_id, Known())

    def lines(self, path: Path, run_id: str | None, *, is_live: bool) -> LinesChecked | None:
        """The checked lines of a file, None where it is missing or unreadable; damage is said."""
        try:
            lines = check_lines(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.say("error", "damaged", path, f"can't be read: {error.strerror}", run_id)
            return None
        problem = lines.problem(is_live=is_live)
        if problem:
            self.say("error", "damaged", path, f"has {problem}", run_id)
        return lines
