"""Turns of a conversation as people write them down, brought to the roles system, user, assistant and tool.

It knows the spellings of roles and of content found in public data sets; whole rows are convert.py's matter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from core.data.examples import ROLES, Message
from core.data.files import Json

ALIASES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("messages", "messages"): ("conversations", "conversation"),
    ("sharegpt", "conversations"): ("conversation", "messages"),
    ("alpaca", "input"): ("context",),
    ("alpaca", "output"): ("response",),
    ("question_answer", "question"): ("query", "problem", "input", "prompt", "instruction"),
    ("question_answer", "answer"): ("response", "solution", "output", "target"),
}
"""(format, field) → other column names that are taken for it where the recipe maps nothing."""

ROLE_SPELLINGS: Mapping[str, str] = {
    **{role: role for role in ROLES},
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "developer": "system",
    "function_call": "assistant",
    "function": "tool",
    "function_response": "tool",
    "observation": "tool",
    "ipython": "tool",
}
KEPT_KEYS = ("tool_calls", "tool_call_id", "name", "reasoning_content", "thinking", "reasoning")


class RowError(Exception):
    """What is wrong with one row, as a phrase without its place."""


def turns_from(items: list[Json], role_key: str = "role", content_key: str = "content") -> tuple[Message, ...]:
    """The messages of one conversation.

    Raises:
        RowError: it is empty, has no assistant turn, or a turn is not understood.
    """
    messages = tuple(message_from(item, index, role_key, content_key) for index, item in enumerate(items, start=1))
    if not messages:
        raise RowError("the conversation is empty")
    if not any(message.role == "assistant" for message in messages):
        raise RowError("the conversation has no assistant turn, so nothing can be learnt from it")
    return messages


def message_from(item: Json, index: int, role_key: str = "role", content_key: str = "content") -> Message:
    """One turn; `index` (1-based) is named in errors.

    Raises:
        RowError: an unknown role, or content that is neither text nor a list of text parts.
    """
    if not isinstance(item, dict):
        raise RowError(f"turn {index} is not an object")
    spelling = item.get(role_key)
    if not isinstance(spelling, str) or spelling.lower() not in ROLE_SPELLINGS:
        raise RowError(f"turn {index} has the unknown {role_key} {json.dumps(spelling, ensure_ascii=False)}")
    extra = {key: item[key] for key in KEPT_KEYS if item.get(key) is not None}
    content = item.get(content_key)
    if spelling.lower() == "function_call":
        extra["tool_calls"] = [_tool_call(content, index)]
        content = ""
    if content is None and "tool_calls" not in extra:
        raise RowError(f"turn {index} has no {content_key}")
    role = ROLE_SPELLINGS[spelling.lower()]
    return Message(role, _plain_content(content, index, content_key), extra, trained=_is_trained(item))


def read_tools(value: Json) -> tuple[Mapping[str, Json], ...]:
    """Tool schemas from a list, or from its JSON text (ShareGPT's way); nothing for null and "".

    Raises:
        RowError: neither of these.
    """
    if isinstance(value, str) and value.strip():
        try:
            value = cast(Json, json.loads(value))
        except ValueError as error:
            raise RowError(f"tools holds broken JSON: {error}") from error
    if not value:
        return ()
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise RowError("tools should be a list of objects")
    return tuple(cast(list[dict[str, Json]], value))


def _is_trained(item: Mapping[str, Json]) -> bool:
    """OpenAI's `weight: 0` and Axolotl's `train: false` / `training: false` keep an answer from being learnt."""
    return item.get("weight") != 0 and item.get("train") is not False and item.get("training") is not False


def _plain_content(content: Json, index: int, key: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RowError(f"turn {index}: {key} should be a string")
    texts: list[str] = []
    for part in content:
        if not isinstance(part, dict) or not isinstance(part.get("text"), str):
            raise RowError(f"turn {index}: only parts of text can be trained, not images or sound")
        texts.append(cast(str, part["text"]))
    return "".join(texts)


def _tool_call(content: Json, index: int) -> Json:
    """A ShareGPT `function_call` turn ({"name", "arguments"} as JSON text) in OpenAI's shape."""
    try:
        call = cast(Json, json.loads(content)) if isinstance(content, str) else content
    except ValueError as error:
        raise RowError(f"turn {index}: the function call is broken JSON: {error}") from error
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        raise RowError(f"turn {index}: a function call needs a name and arguments")
    return {"type": "function", "function": {"name": call["name"], "arguments": call.get("arguments", {})}}
