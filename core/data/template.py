"""Chat templates rendered without transformers, character for character as its `apply_chat_template` does.

A template comes from a model folder, so it is foreign code: it runs in jinja2's immutable sandbox, sees plain JSON
values only, and its failures become `DatasetError` (the row's fault) or `ModelError` (it does not even parse).
Semantics: https://huggingface.co/docs/transformers/main/en/chat_templating_writing (trim_blocks, lstrip_blocks,
break and continue, `raise_exception`, `strftime_now`, `tojson` without HTML escapes, `{% generation %}` blocks).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from core.data.files import Json
from core.errors import DatasetError, ModelError
from core.text import safe_line

OPEN, CLOSE = "\ufdd0", "\ufdd1"
"""Unicode noncharacters, kept for a process's own use, that mark generation blocks while a span is looked for."""

MARKER = re.compile(r"\{%[-+]?\s*generation\s*[-+]?%\}")

PYTHON_ERRORS = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What a template's own mistakes raise while it runs."""

Turns = Sequence[Mapping[str, Json]]


class ChatTemplate:
    """One compiled chat template with the special tokens it may print.

    Raises (at construction):
        ModelError: the template does not parse.
    """

    def __init__(self, source: str, special_tokens: Mapping[str, str]) -> None:
        self.source = source
        self._special_tokens = dict(special_tokens)
        self._environment = _environment()
        try:
            self._template = self._environment.from_string(source)
        except jinja2.TemplateSyntaxError as error:
            raise ModelError(
                f"the model's chat template does not parse (line {error.lineno})",
                why=safe_line(error.message or "", 200),
                try_this="put a working template into chat_template.jinja in the model's folder",
            ) from error
        self.has_generation_markers = MARKER.search(source) is not None

    def render(self, messages: Turns, *, tools: Turns = (), add_generation_prompt: bool = False) -> str:
        """The conversation as one string.

        Raises:
            DatasetError: the template refuses these messages, or fails on them.
        """
        return self._render(messages, tools, add_generation_prompt, marking=False)

    def generation_spans(self, messages: Turns, *, tools: Turns = ()) -> tuple[str, tuple[tuple[int, int], ...]] | None:
        """The rendered string and the [start, end) characters inside its generation blocks.

        None where the template has no such blocks, or does something with their text (trims it, measures it), so that
        marks inside would change what is rendered.

        Raises:
            DatasetError: the template refuses these messages.
        """
        if not self.has_generation_markers:
            return None
        plain = self.render(messages, tools=tools)
        if OPEN in plain or CLOSE in plain:
            return None
        text, spans = _take_marks(self._render(messages, tools, add_generation_prompt=False, marking=True))
        return (text, spans) if text == plain else None

    def _render(self, messages: Turns, tools: Turns, add_generation_prompt: bool, *, marking: bool) -> str:
        generation = self._environment.extensions[_Generation.identifier]
        assert isinstance(generation, _Generation)
        generation.marking = marking
        try:
            return self._template.render(
                **self._special_tokens,
                messages=[dict(message) for message in messages],
                tools=[dict(tool) for tool in tools] or None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
            )
        except (jinja2.TemplateError, *PYTHON_ERRORS) as error:
            raise DatasetError(
                "the model's chat template refuses these messages",
                why=safe_line(str(error), 300),
                try_this="bring the rows into the shape that the template asks for",
            ) from error
        finally:
            generation.marking = False


class _Generation(Extension):
    """`{% generation %} … {% endgeneration %}`: what the assistant writes."""

    tags = {"generation"}  # noqa: RUF012 - the base class declares it so

    def __init__(self, environment: jinja2.Environment) -> None:
        super().__init__(environment)
        self.marking = False

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Macro) -> str:
        inside = str(caller())
        return f"{OPEN}{inside}{CLOSE}" if self.marking else inside


class _TemplateNamespace(Namespace):
    """A namespace without underscored names, through which a template could reach into Python."""

    def __init__(*arguments: object, **values: object) -> None:  # so that `namespace(self=…)` works
        names = dict(*arguments[1:], **values)
        _refuse_underscores(names)
        Namespace.__init__(arguments[0], names)

    def __setitem__(self, name: str, value: object) -> None:
        _refuse_underscores((name,))
        super().__setitem__(name, value)


def _refuse_underscores(names: Sequence[str] | Mapping[str, object]) -> None:
    if any(str(name).startswith("_") for name in names):
        raise jinja2.exceptions.SecurityError("a chat template may not store underscored names")


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    environment.globals["namespace"] = _TemplateNamespace
    return environment


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime_now(format: str) -> str:
    return datetime.now().strftime(format)  # noqa: DTZ005 - templates mean the local date, as in transformers


def _to_json(
    value: Json,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _take_marks(marked: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The text without marks, and the spans between them in characters of that text (nested marks: the outer one)."""
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    length = depth = start = position = 0
    for index, character in enumerate(marked):
        if character != OPEN and character != CLOSE:
            continue
        pieces.append(marked[position:index])
        length += index - position
        position = index + 1
        depth += 1 if character == OPEN else -1
        if character == OPEN and depth == 1:
            start = length
        elif character == CLOSE and depth == 0:
            spans.append((start, length))
    pieces.append(marked[position:])
    return "".join(pieces), tuple(spans)
