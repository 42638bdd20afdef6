"""Rows of the known formats made into examples, so that everything behind this door handles one shape only.

The formats and what becomes of them:

    messages           {"messages": [{"role", "content"}…], "tools"?}            the conversation as it stands
    sharegpt           {"conversations": [{"from", "value"}…], "system"?, "tools"?}   roles renamed
    alpaca             {"instruction", "input"?, "output", "system"?, "history"?}     user: instruction, newline, input
    question_answer    {"question", "answer", "system"?}                         one user and one assistant turn
    prompt_completion  {"prompt", "completion"}: lists of messages are joined into one conversation; two strings are
                       trained raw, without a chat template (as in TRL). To put strings through the model's template,
                       set `format: question_answer` and `fields: {question: prompt, answer: completion}`.
    text               {"text"}, or a row of a plain text file

This module must not guess a format (detect.py) nor touch a tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn, cast

from core.data.examples import Example, Message
from core.data.files import Json, RawRow
from core.data.turns import ALIASES, RowError, read_tools, turns_from
from core.errors import DatasetError
from core.text import safe_line

FIELDS: Mapping[str, tuple[str, ...]] = {
    "messages": ("messages", "tools"),
    "sharegpt": ("conversations", "system", "tools"),
    "alpaca": ("instruction", "input", "output", "system", "history"),
    "question_answer": ("question", "answer", "system"),
    "prompt_completion": ("prompt", "completion", "tools"),
    "text": ("text",),
}
"""Format → the names that `fields` may map to columns of the file."""

FORMATS = tuple(FIELDS)


def to_example(row: RawRow, format: str, fields: Mapping[str, str] | None = None, *, file: str = "") -> Example:
    """The example that `row` stands for. `fields` maps a format's own names to the file's column names.

    Raises:
        DatasetError: "file:line: what is wrong"; the row is damaged, misses a field, or holds the wrong kind of value.
    """
    place = f"{file}:{row.line}" if file else f"line {row.line}"
    try:
        return _CONVERTERS[format](_Fields(row, format, fields or {}))
    except RowError as error:
        raise DatasetError(f"{place}: {safe_line(str(error), 300)}") from error


def check_fields(format: str, fields: Mapping[str, str]) -> None:
    """Refuse a `fields` mapping with names that the format does not have.

    Raises:
        DatasetError: an unknown format, or an unknown name (the known ones are listed).
    """
    if format not in FIELDS:
        raise DatasetError(f"unknown data format {format}", try_this=f"one of {', '.join(FORMATS)}, or auto")
    for name in fields:
        if name not in FIELDS[format]:
            raise DatasetError(
                f"fields: the format {format} has no field {name}", try_this=f"map {', '.join(FIELDS[format])}"
            )


class _Fields:
    """Typed access to one row by the format's own names."""

    def __init__(self, row: RawRow, format: str, fields: Mapping[str, str]) -> None:
        if row.error is not None or row.data is None:
            raise RowError(row.error or "no data")
        self.line = row.line
        self.text_row = row.data if isinstance(row.data, str) else None
        self._data: Mapping[str, Json] = {} if isinstance(row.data, str) else row.data
        self._format = format
        self._fields = fields

    def column(self, name: str) -> str:
        """The column that holds `name`: mapped, of that very name, or the first alias that the row has."""
        if name in self._fields:
            return self._fields[name]
        aliases = ALIASES.get((self._format, name), ())
        return next((column for column in (name, *aliases) if column in self._data), name)

    def value(self, name: str) -> Json:
        return self._data.get(self.column(name))

    def string(self, name: str) -> str:
        """A required string; numbers are written out, as a CSV would hold them."""
        value = self.value(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.fail(name, "a string")
        return str(value)

    def optional(self, name: str) -> str:
        return "" if self.value(name) is None else self.string(name)

    def sequence(self, name: str) -> list[Json]:
        value = self.value(name)
        if isinstance(value, str) and value.lstrip().startswith("["):  # a conversation in a CSV cell
            try:
                value = cast(Json, json.loads(value))
            except ValueError as error:
                raise RowError(f"{self.column(name)} holds broken JSON: {error}") from error
        if not isinstance(value, list):
            self.fail(name, "a list")
        return value

    def fail(self, name: str, wanted: str) -> NoReturn:
        column = self.column(name)
        if column not in self._data:
            have = ", ".join(self._data) or "plain text"
            raise RowError(f"no field {column}, which the format {self._format} needs (the row has {have})")
        kind = {type(None): "null", bool: "true or false", dict: "an object", list: "a list"}
        found = kind.get(type(self._data[column]), "something else")
        raise RowError(f"{column} should be {wanted} but is {found}")


def _messages(row: _Fields) -> Example:
    messages = turns_from(row.sequence("messages"))
    return Example(line=row.line, messages=messages, tools=read_tools(row.value("tools")))


def _sharegpt(row: _Fields) -> Example:
    messages = turns_from(row.sequence("conversations"), role_key="from", content_key="value")
    system = row.optional("system")
    if system and messages[0].role != "system":
        messages = (Message("system", system), *messages)
    return Example(line=row.line, messages=messages, tools=read_tools(row.value("tools")))


def _alpaca(row: _Fields) -> Example:
    parts = (row.string("instruction"), row.optional("input"))
    history: list[tuple[str, str]] = []
    for pair in row.sequence("history") if row.value("history") is not None else []:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(side, str) for side in pair)):
            raise RowError("history should be a list of [question, answer] pairs")
        history.append((cast(str, pair[0]), cast(str, pair[1])))
    turns = (*history, ("\n".join(part for part in parts if part), row.string("output")))
    return _conversation(row, turns)


def _question_answer(row: _Fields) -> Example:
    return _conversation(row, ((row.string("question"), row.string("answer")),))


def _conversation(row: _Fields, turns: Sequence[tuple[str, str]]) -> Example:
    system = row.optional("system")
    messages = [Message("system", system)] if system else []
    for question, answer in turns:
        messages += [Message("user", question), Message("assistant", answer)]
    return Example(line=row.line, messages=tuple(messages))


def _prompt_completion(row: _Fields) -> Example:
    prompt, completion = row.value("prompt"), row.value("completion")
    if isinstance(prompt, list) or isinstance(completion, list):
        before = row.sequence("prompt") if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
        after = (
            row.sequence("completion")
            if isinstance(completion, list)
            else [{"role": "assistant", "content": completion}]
        )
        first = len(before)
        turns = turns_from([*before, *after])
        # answers inside the prompt are context; only the completion is learnt
        messages = tuple(
            message if index >= first else Message(message.role, message.content, message.extra, trained=False)
            for index, message in enumerate(turns)
        )
        return Example(line=row.line, messages=messages, tools=read_tools(row.value("tools")))
    return Example(line=row.line, prompt=row.string("prompt"), completion=row.string("completion"))


def _text(row: _Fields) -> Example:
    text = row.text_row if row.text_row is not None else row.string("text")
    if not text.strip():
        raise RowError("the text is empty")
    return Example(line=row.line, text=text)


_CONVERTERS: Mapping[str, Callable[[_Fields], Example]] = {
    "messages": _messages,
    "sharegpt": _sharegpt,
    "alpaca": _alpaca,
    "question_answer": _question_answer,
    "prompt_completion": _prompt_completion,
    "text": _text,
}

__all__ = ["FIELDS", "FORMATS", "Example", "Message", "check_fields", "to_example"]
