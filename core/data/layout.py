"""Where in a rendered row the trained characters are; masks.py carries them over to tokens.

Three ways, tried in this order, because templates differ in what they give away:

    generation_markers  the template says it with `{% generation %}` blocks
    prefix              the messages before an answer, rendered with the generation prompt, are a prefix of the whole,
                        and so are the messages up to the answer: what lies between is the answer with its end token
    offsets             the template rewrites earlier turns (it strips thinking, or adds a newline to the generation
                        prompt only): the answer is found by rendering once more with a stand-in in its place

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

TRAIN_ON = ("assistant", "last", "all")


@dataclass(frozen=True, slots=True)
class Span:
    """Characters [start, end) that are trained. `open_end`: an end-of-turn token right behind belongs to it too."""

    start: int
    end: int
    open_end: bool = False


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
    if marked is not None:
        text, spans = marked
        if len(trained) < sum(turn["role"] == "assistant" for turn in turns):
            spans = _spans_of_turns(template, turns, tools, text, spans, trained)
        return Layout(text, tuple(Span(*span) for span in spans if span[1] > span[0]), "generation_markers")
    text = template.render(turns, tools=tools)
    found = [_span_of_turn(template, turns, tools, text, index) for index in trained]
    exact = all(not span.open_end for span in found)
    return Layout(text, tuple(found), "prefix" if exact else "offsets")


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
    starts = before is not None and text.startswith(before)
    if starts and before is not None and upto is not None and text.startswith(upto) and len(upto) > len(before):
        return Span(len(before), len(upto))
    content = _span_by_stand_in(template, turns, tools, text, index)
    if content is None:
        raise DatasetError(
            f"the model's chat template hides where answer {index + 1} of the conversation stands",
            why="it has no generation markers, is not prefix-preserving, and changes with the answer's text",
            try_this="put {% generation %} … {% endgeneration %} around the answer in chat_template.jinja",
        )
    start, end = content
    if starts and before is not None and len(before) <= start:
        start = len(before)
    return Span(start, end, open_end=True)


def _try_render(template: ChatTemplate, turns: Turns, tools: Turns, *, add_generation_prompt: bool) -> str | None:
    """A rendering of part of the conversation, which strict templates may refuse."""
    try:
        return template.render(turns, tools=tools, add_generation_prompt=add_generation_prompt)
    except DatasetError:
        return None


def _span_by_stand_in(
    template: ChatTemplate, turns: Sequence[dict[str, Json]], tools: Turns, text: str, index: int
) -> tuple[int, int] | None:
    """Where the answer's content stands, found by what is rendered around a stand-in for it."""
    replaced = [dict(turn, content=STAND_IN) if place == index else turn for place, turn in enumerate(turns)]
    rendered = _try_render(template, replaced, tools, add_generation_prompt=False)
    if rendered is None or rendered.count(STAND_IN) != 1:
        return None
    head, _, tail = rendered.partition(STAND_IN)
    end = len(text) - len(tail)
    if not (text.startswith(head) and text.endswith(tail)) or end < len(head):
        return None
    return len(head), end
