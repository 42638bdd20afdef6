"""`job.json`, the asking side of a run folder: what was queued, when, and with which arguments; written once.

A run folder that was copied from another machine has no line in this workspace's journal; this file says the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import cast

from core.events.journal import RunQueued
from core.events.lines import Json

KINDS = ("train", "evaluate", "generate", "find_lr", "probe", "sweep", "export")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a run was asked to do. `arguments` depend on the kind.

    evaluate: `targets` (list of `RUN@STEP` or `RUN@base`), `sets` (names in the target's recipe, or file paths).
    train, of a run that another tracker recorded: `imported` (tracker, source, source_run, sha256); such a run has no
    recipe.yaml and can't be resumed.
    """

    queued: RunQueued
    created_at: float
    arguments: dict[str, Json] = field(default_factory=dict)

    @property
    def imported(self) -> dict[str, Json] | None:
        """Where an imported run came from; None for a run of ours."""
        found = self.arguments.get("imported")
        return found if isinstance(found, dict) else None

    def to_text(self) -> str:
        """The file's content."""
        body = {"version": 1, "created_at": self.created_at, "arguments": self.arguments, **asdict(self.queued)}
        return json.dumps(body, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Job:
        """The job of a job.json.

        Raises:
            ValueError: it is not JSON, or a field is missing.
        """
        try:
            body = cast(dict[str, Json], json.loads(text))
            return cls(
                queued=RunQueued.from_json(body),
                created_at=float(cast(float, body["created_at"])),
                arguments=cast(dict[str, Json], body.get("arguments", {})),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a job.json of finetui: {error} is missing or wrong") from error
