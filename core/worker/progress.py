"""What a training run remembers from step to step beside weights and optimizer, so that a resume goes on unnoticed.

It travels in every checkpoint as JSON. It must hold plain values only, no behaviour.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from core.errors import CheckpointError

STATE_FILE = "finetui_state.json"


@dataclass(slots=True)
class Progress:
    """`tokens` and `elapsed_seconds` count over all attempts.

    `best_step` is the best checkpoint, `best_seen` the best value of any evaluation (for patience). From
    `gradient_norms` to `last_raised` it is the health rules' memory. `parameter_dtypes` are the number formats of the
    trained weights at the checkpoint.
    """

    tokens: int = 0
    tokens_trained: int = 0
    elapsed_seconds: float = 0.0
    best_step: int | None = None
    best_value: float | None = None
    best_seen: float | None = None
    evaluations_without_improvement: int = 0
    last_evaluated_step: int | None = None
    gradient_norms: list[float] = field(default_factory=list)
    zero_losses: int = 0
    lowest_losses: dict[str, float] = field(default_factory=dict)
    rising: dict[str, int] = field(default_factory=dict)
    last_raised: dict[str, int] = field(default_factory=dict)
    parameter_dtypes: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the state file of a checkpoint that is being staged."""
        text = json.dumps({"version": 1, **asdict(self)}, allow_nan=False)
        (folder / STATE_FILE).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Progress:
        """The state of a verified checkpoint.

        Raises:
            CheckpointError: the file is missing or not ours.
        """
        try:
            body = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
            return cls(**{entry.name: body[entry.name] for entry in fields(cls) if entry.name in body})
        except (OSError, ValueError, TypeError) as error:
            raise CheckpointError(f"{folder.name} can't be resumed: {STATE_FILE} is missing or damaged") from error
