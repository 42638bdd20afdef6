"""What the supervisor hands on to a living worker in `control.jsonl`; the worker polls that file at each step."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.events.lines import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlGiven(Event):
    """One request for the worker: action is stop, pause, save or evaluate. The line's attempt says which worker."""

    request_id: str
    action: str
    arguments: dict[str, str] = field(default_factory=dict)
