"""What one training row is, whatever format it was written in: a conversation, a prompt with its completion, or a text.

Nothing here reads a file or knows a tokenizer; identity of content lives here: splits and leak counts rest on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.data.files import Json

ROLES = ("system", "user", "assistant", "tool")
REASONING_FIELDS = ("reasoning_content", "thinking", "reasoning")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `extra` holds what templates may read besides (tool_calls, name, reasoning_content, …).

    `trained` is False where the row itself asks not to learn this answer (`weight: 0`, `train: false`).
    """

    role: str
    content: str
    extra: Mapping[str, Json] = field(default_factory=dict)
    trained: bool = True

    def for_template(self) -> dict[str, Json]:
        """The message as a chat template sees it.

        Reasoning is passed under the name that templates read now and under the older `thinking`, as transformers does.
        """
        extra = {key: value for key, value in self.extra.items() if value is not None}
        reasoning = next((extra[name] for name in REASONING_FIELDS if name in extra), None)
        if reasoning is not None:
            extra = {"thinking": reasoning, **extra, "reasoning_content": reasoning}
        return {"role": self.role, "content": self.content, **extra}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row, converted. Exactly one of `messages`, `text`, and `prompt` with `completion` is set.

    `prompt` and `completion` are raw strings that are trained without a chat template, as TRL does with them.
    `tools` are JSON schemas that the template may print; `line` is the row's line in its file.
    """

    line: int
    messages: tuple[Message, ...] | None = None
    text: str | None = None
    prompt: str | None = None
    completion: str | None = None
    tools: tuple[Mapping[str, Json], ...] = ()

    @property
    def has_empty_answer(self) -> bool:
        """Whether an answer that would be trained is empty: it teaches the model to say nothing."""
        if self.messages is not None:
            return any(
                message.role == "assistant" and message.trained and not message.content.strip() and not message.extra
                for message in self.messages
            )
        answer = self.text if self.text is not None else self.completion
        return not (answer or "").strip()

    def canonical(self) -> str:
        """The content as canonical JSON (sorted keys): equal for two rows exactly if they train the same thing."""
        messages = None
        if self.messages is not None:
            messages = [
                [message.role, message.content, dict(message.extra), message.trained] for message in self.messages
            ]
        content = [messages, self.text, self.prompt, self.completion, [dict(tool) for tool in self.tools]]
        return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
