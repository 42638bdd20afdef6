"""Where in a rendered row the trained characters are; masks.py carries them over to tokens.

Three ways, tried in this order, because templates differ in what they give away:

    generation_markers  the template says it with `{% generation %}` blocks
    prefix              the messages before an answer, rendered with the generation prompt, are a prefix of the whole,
                        and so are the messages up to the answer: what lies between is the answer with its end token
    offsets             the template rewrites earlier turns (it strips thinking) or its generation prompt is not what
                        stands before an answer (it adds a newline, opens a thought): the answer begins where prompt
                        and text part, or where a rendering with a stand-in for the answer has it, and ends likewise

A row where none of the three holds is refused: a mask that is guessed trains the wrong words without an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.data.chat import ChatTokenizer
from core.data.examples import Example
from core.data.files import Json
from core.data.template import ChatTemplate, Turns
from core.errors import DatasetError

STAND_IN = "\ufdd2finetui\ufdd3"
"""Takes an answer's place; Unicode noncharacters, so no template looks for it and no row holds it."""

END_OF_THOUGHT = "</think>"
TRAIN_ON = ("assistant", "last", "all")


@dataclass(frozen=True, slots=True)
class Span:
    """Characters [start, end) that are trained.

    `exact` is False where the template did not simply give the span away. `ends_at` says where the last token is:
    there (`here`), at an end-of-turn token right behind (`next_stop`), or at the first one inside (`first_stop`).
    """

    start: int
    end: int
    exact: bool = True
    ends_at: str = "here"


@dataclass(frozen=True, slots=True)
class Layout:
    """A row as text with its trained spans.

    `framed`: a plain text, to which the tokenizer's own start token and the end token are added.
    `method`: generation_markers | prefix | offsets | whole_text.
    """

    text: str
    spans: tuple[Span, ...]
    method: str
    framed: bool = False


def lay_out(example: Example, tokenizer: ChatTokenizer, train_on: str = "assistant") -> Layout:
    """The row's text and trained spans. `train_on`: assistant (every answer), last (the last one), all (every token).

    Raises:
        DatasetError: the template refuses the row, leaves out its tools, or hides where an answer is.
        ModelError: a conversation, and the model has no chat template.
        ValueError: an unknown `train_on`.
    """
    if train_on not in TRAIN_ON:
        raise ValueError(f"train_on is one of {', '.join(TRAIN_ON)}, not {train_on}")
    if example.text is not None:
        return Layout(example.text, (Span(0, len(example.text)),), "whole_text", framed=True)
    if example.prompt is not None:
        text = example.prompt + (example.completion or "")
        start = 0 if train_on == "all" else len(example.prompt)
        return Layout(text, (Span(start, len(text)),), "whole_text" if train_on == "all" else "prefix", framed=True)
    template = tokenizer.require_template()
    turns = [message.for_template() for message in example.messages or ()]
    _refuse_unseen_tools(example, template)
    if train_on == "all":
        text = template.render(turns, tools=example.tools)
        return Layout(text, (Span(0, len(text)),), "whole_text")
    return _conversation(template, turns, example.tools, _trained_turns(example, train_on))


def prompt_of(example: Example, tokenizer: ChatTokenizer) -> tuple[str, str, bool]:
    """(prompt text, expected answer, framed) of a row: all before its last answer, with the generation prompt.

    A plain text has no prompt: ("", "", True).

    Raises:
        DatasetError: the template refuses the messages.
        ModelError: a conversation, and the model has no chat template.
    """
    if example.text is not None:
        return "", "", True
    if example.prompt is not None:
        return example.prompt, example.completion or "", True
    messages = example.messages or ()
    last = max(index for index, message in enumerate(messages) if message.role == "assistant")
    turns = [message.for_template() for message in messages[:last]]
    text = tokenizer.render(turns, tools=example.tools, add_generation_prompt=True)
    return text, messages[last].content, False


def _trained_turns(example: Example, train_on: str) -> list[int]:
    answers = [index for index, message in enumerate(example.messages or ()) if message.role == "assistant"]
    chosen = answers[-1:] if train_on == "last" else answers
    return [index for index in chosen if (example.messages or ())[index].trained]


def _refuse_unseen_tools(example: Example, template: ChatTemplate) -> None:
    """A template that prints no tools would train empty answers in place of the calls."""
    calls = any("tool_calls" in message.extra for message in example.messages or ())
    for present, name in ((calls, "tool_calls"), (bool(example.tools), "tools")):
        if present and name not in template.source:
            raise DatasetError(
                f"the row has {name}, which the model's chat template does not print",
                try_this="take a model whose template knows tools, or leave these rows out",
            )


def _conversation(template: ChatTemplate, turns: list[dict[str, Json]], tools: Turns, trained: list[int]) -> Layout:
    marked = template.generation_spans(turns, tools=tools)
    text = marked[0] if marked is not None else template.render(turns, tools=tools)
    _refuse_left_out(template, turns, tools, text)
    if marked is not None:
        spans = marked[1]
        if len(trained) < sum(turn["role"] == "assistant" for turn in turns):
            spans = _spans_of_turns(template, turns, tools, text, spans, trained)
        return Layout(text, tuple(Span(*span) for span in spans if span[1] > span[0]), "generation_markers")
    found = [_span_of_turn(template, turns, tools, text, index) for index in trained]
    exact = all(span.exact for span in found)
    return Layout(text, tuple(found), "prefix" if exact else "offsets")


def _refuse_left_out(template: ChatTemplate, turns: list[dict[str, Json]], tools: Turns, text: str) -> None:
    """A template that wants lists of parts prints nothing of a plain string, and the row would train an empty turn."""
    for index, turn in enumerate(turns):
        said = str(turn["content"]).rpartition(END_OF_THOUGHT)[2].strip()
        if turn["role"] not in ("user", "assistant") or said in text:
            continue
        replaced = _with_stand_in(turns, index)
        if STAND_IN not in (_try_render(template, replaced, tools, add_generation_prompt=False) or ""):
            raise DatasetError(
                f"the model's chat template leaves out the text of turn {index + 1}",
                why="it may be a template for images and text, which wants content as a list of parts",
                try_this="take a text model, or a chat_template.jinja that prints plain content",
            )


def _spans_of_turns(
    template: ChatTemplate,
    turns: list[dict[str, Json]],
    tools: Turns,
    text: str,
    spans: tuple[tuple[int, int], ...],
    trained: list[int],
) -> tuple[tuple[int, int], ...]:
    """Those of the marked spans that lie inside the trained turns."""
    kept: list[tuple[int, int]] = []
    for index in trained:
        whole = _span_of_turn(template, turns, tools, text, index)
        kept += [span for span in spans if span[0] < whole.end and whole.start < span[1]]
    return tuple(kept)


def _span_of_turn(template: ChatTemplate, turns: list[dict[str, Json]], tools: Turns, text: str, index: int) -> Span:
    """The characters of one answer in `text`, the rendering of all turns."""
    before = _try_render(template, turns[:index], tools, add_generation_prompt=True)
    upto = _try_render(template, turns[: index + 1], tools, add_generation_prompt=False)
    start = len(before) if before is not None and text.startswith(before) else None
    end = len(upto) if upto is not None and text.startswith(upto) else None
    if start is not None and end is not None and start < end:
        return Span(start, end)
    if start is None and before is not None:
        start = _where_prompt_parts(template, turns[:index], tools, text, before)
    if start is not None and end is not None and start < end:
        return Span(start, end, exact=False)
    content = None if "tool_calls" in turns[index] else _span_by_stand_in(template, turns, tools, text, index)
    if content is not None and (start is None or start <= content[1]):
        return Span(
            content[0] if start is None else min(start, content[0]), content[1], exact=False, ends_at="next_stop"
        )
    if start is not None:
        return Span(start, len(text), exact=False, ends_at="first_stop")
    raise DatasetError(
        f"the model's chat template hides where answer {index + 1} of the conversation stands",
        why="it has no generation markers, is not prefix-preserving, and changes with the answer's text",
        try_this="put {% generation %} … {% endgeneration %} around the answer in chat_template.jinja",
    )


def _where_prompt_parts(template: ChatTemplate, turns: Turns, tools: Turns, text: str, before: str) -> int | None:
    """Where the text leaves a generation prompt that is not its prefix (it opens a thought that the row lacks).

    None where both part before this turn has begun.
    """
    plain = _try_render(template, turns, tools, add_generation_prompt=False)
    if plain is None or not text.startswith(plain) or not before.startswith(plain):
        return None
    parted = (place for place, (ours, theirs) in enumerate(zip(before, text, strict=False)) if ours != theirs)
    return next(parted, min(len(before), len(text)))


def _try_render(template: ChatTemplate, turns: Turns, tools: Turns, *, add_generation_prompt: bool) -> str | None:
    """A rendering of part of the conversation, which strict templates may refuse."""
    try:
        return template.render(turns, tools=tools, add_generation_prompt=add_generation_prompt)
    except DatasetError:
        return None


def _with_stand_in(turns: Sequence[dict[str, Json]], index: int) -> list[dict[str, Json]]:
    return [dict(turn, content=STAND_IN) if place == index else turn for place, turn in enumerate(turns)]


def _span_by_stand_in(
    template: ChatTemplate, turns: Sequence[dict[str, Json]], tools: Turns, text: str, index: int
) -> tuple[int, int] | None:
    """Where the answer's content stands, found by what is rendered around a stand-in for it."""
    rendered = _try_render(template, _with_stand_in(turns, index), tools, add_generation_prompt=False)
    if rendered is None or rendered.count(STAND_IN) != 1:
        return None
    head, _, tail = rendered.partition(STAND_IN)
    end = len(text) - len(tail)
    if not (text.startswith(head) and text.endswith(tail)) or end < len(head):
        return None
    return len(head), end
