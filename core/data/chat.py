"""A model folder's tokenizer and chat template, without torch or transformers, for preview and training alike.

It gives the ids that transformers would give; which of them are trained is decided in masks.py.  Only folders are
read: who has a hub id resolves it to a local snapshot first.  No code from the folder is ever run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from core.data.files import Json
from core.data.template import ChatTemplate, Turns
from core.errors import DatasetError, ModelError
from core.text import safe_line

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
ADDED_TOKEN_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
PROBE = "finetui"


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one text and the [start, end) characters that each came from."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class ChatTokenizer:
    """Text ↔ token ids, and conversations → text. Build it with `load`."""

    def __init__(
        self, tokenizer: Tokenizer, config: Mapping[str, Json], template: str | None, extra_stop_ids: Sequence[int] = ()
    ) -> None:
        self._tokenizer = tokenizer
        self.special_tokens = {
            name: text for name in SPECIAL_NAMES if (text := _token_text(config.get(name))) is not None
        }
        _add_missing_tokens(tokenizer, config, self.special_tokens)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.template = ChatTemplate(template, self.special_tokens) if template is not None else None
        self._add_bos = config.get("add_bos_token")
        self._add_eos = config.get("add_eos_token")
        self._extra_stop_ids = tuple(extra_stop_ids)
        declared = config.get("model_max_length")
        self.model_max_length = int(declared) if isinstance(declared, int | float) and declared < 1e9 else None
        self.sha256 = _sha256(str(tokenizer.to_str()))
        self.template_sha256 = _sha256(template) if template is not None else None

    @classmethod
    def load(cls, folder: Path) -> ChatTokenizer:
        """The tokenizer of a model folder: tokenizer.json, tokenizer_config.json, chat_template.jinja.

        Raises:
            ModelError: no such folder, no tokenizer.json, or a file that can't be read or parsed.
        """
        from tokenizers import Tokenizer

        path = folder / "tokenizer.json"
        if not folder.is_dir():
            raise ModelError(f"there is no model folder {folder}", try_this="check model.path")
        if not path.is_file():
            raise ModelError(
                f"{folder} has no tokenizer.json",
                why="finetui reads the tokenizers library's own format only",
                try_this="load the tokenizer once with transformers and save it there with `save_pretrained`",
            )
        try:
            tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # the tokenizers library raises bare Exception for every bad file
            raise ModelError(f"{path} can't be read as a tokenizer", why=safe_line(str(error), 300)) from error
        config = {**_read_json(folder / "special_tokens_map.json"), **_read_json(folder / "tokenizer_config.json")}
        return cls(tokenizer, config, _read_template(folder, config), _generation_stops(folder))

    @property
    def bos_token_id(self) -> int | None:
        return self._id_of("bos_token")

    @property
    def eos_token_id(self) -> int | None:
        return self._id_of("eos_token")

    @property
    def pad_token_id(self) -> int:
        """The declared padding token, else the end token, else 0: padding is masked, so any id serves."""
        for name in ("pad_token", "eos_token"):
            token_id = self._id_of(name)
            if token_id is not None:
                return token_id
        return 0

    @property
    def vocabulary_size(self) -> int:
        """Tokens, added ones included."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """Every added token marked as special."""
        added = self._tokenizer.get_added_tokens_decoder()
        return frozenset(token_id for token_id, token in added.items() if token.special)

    @cached_property
    def stop_token_ids(self) -> tuple[int, ...]:
        """Ids that end an answer: end of text, those of generation_config.json, the template's end of turn."""
        found = [self.eos_token_id, *self._extra_stop_ids, self._end_of_turn()]
        return tuple(dict.fromkeys(token_id for token_id in found if token_id is not None))

    @cached_property
    def frame(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids put before and after a plain text (not a conversation): the tokenizer's own, as its files say."""
        bare = list(self._tokenizer.encode(PROBE, add_special_tokens=False).ids)
        framed = list(self._tokenizer.encode(PROBE, add_special_tokens=True).ids)
        start = next((i for i in range(len(framed)) if framed[i : i + len(bare)] == bare), 0)
        before, after = tuple(framed[:start]), tuple(framed[start + len(bare) :])
        if isinstance(self._add_bos, bool):
            before = (self.bos_token_id,) if self._add_bos and self.bos_token_id is not None else ()
        if isinstance(self._add_eos, bool):
            after = (self.eos_token_id,) if self._add_eos and self.eos_token_id is not None else ()
        return before, after

    def render(self, messages: Turns, *, tools: Turns = (), add_generation_prompt: bool = False) -> str:
        """The conversation ({"role", "content", …} each) as the model reads it.

        Raises:
            ModelError: the model has no chat template.
            DatasetError: the template refuses these messages.
        """
        return self.require_template().render(messages, tools=tools, add_generation_prompt=add_generation_prompt)

    def require_template(self) -> ChatTemplate:
        """The chat template.

        Raises:
            ModelError: the model has none.
        """
        if self.template is None:
            raise ModelError(
                "the model has no chat template, so conversations can't be put into tokens",
                why="it is a base model; how a conversation should look to it is for you to say",
                try_this="take the model's instruct version, put a chat_template.jinja into its folder, "
                "or train on rows of plain text or on prompt and completion strings",
            )
        return self.template

    def encode(self, text: str) -> list[int]:
        """Ids of exactly this text: special tokens written in it are recognised, none are added."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` for many texts, on all cores."""
        return [
            list(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        ]

    def encode_with_offsets(self, texts: Sequence[str]) -> list[Encoded]:
        """Ids with the characters that they came from, for many texts, on all cores."""
        batch = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [Encoded(list(encoding.ids), list(encoding.offsets)) for encoding in batch]

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """The text of these ids."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens))

    def token_text(self, token_id: int) -> str:
        """The vocabulary's own spelling of one token, "" for an id it does not have."""
        return self._tokenizer.id_to_token(token_id) or ""

    def _id_of(self, name: str) -> int | None:
        text = self.special_tokens.get(name)
        return None if text is None else self._tokenizer.token_to_id(text)

    def _end_of_turn(self) -> int | None:
        """The first special token that the template writes after an answer."""
        if self.template is None:
            return None
        try:
            text = self.template.render([{"role": "user", "content": "a"}, {"role": "assistant", "content": PROBE}])
        except DatasetError:  # a template with demands of its own: the other sources of stop tokens remain
            return None
        tail = text.rpartition(PROBE)[2]
        ids = self.encode(tail) if text.rpartition(PROBE)[1] else []
        return next((token_id for token_id in ids if token_id in self.special_ids), None)


def _token_text(value: Json) -> str | None:
    """A special token's text from a string or from {"content": …}."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None


def _add_missing_tokens(tokenizer: Tokenizer, config: Mapping[str, Json], special: Mapping[str, str]) -> None:
    """Tokens that tokenizer_config.json declares and tokenizer.json lacks become added tokens, as transformers does."""
    from tokenizers import AddedToken

    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    declared = config.get("added_tokens_decoder")
    for entry in declared.values() if isinstance(declared, dict) else ():
        text = entry.get("content") if isinstance(entry, dict) else None
        if isinstance(entry, dict) and isinstance(text, str) and text not in known:
            flags = {key: bool(entry[key]) for key in ADDED_TOKEN_FLAGS if key in entry}
            known.add(text)
            tokenizer.add_tokens([AddedToken(text, **flags)])
    missing = [text for text in dict.fromkeys(special.values()) if text not in known]
    if missing:
        tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in missing])


def _read_json(path: Path) -> dict[str, Json]:
    """The object in a JSON file; {} where there is no file."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} can't be read", why=str(error)) from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} is not a JSON object")
    return cast(dict[str, Json], value)


def _read_template(folder: Path, config: Mapping[str, Json]) -> str | None:
    """chat_template.jinja first, then the configuration's `chat_template`: a string, or a list with a default."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{file} can't be read", why=str(error)) from error
    declared = config.get("chat_template")
    if declared is None or isinstance(declared, str):
        return declared
    named: dict[str, Json] = {}
    if isinstance(declared, dict):
        named = declared
    elif isinstance(declared, list):
        named = {str(entry.get("name")): entry.get("template") for entry in declared if isinstance(entry, dict)}
    default = named.get("default")
    if not isinstance(default, str):
        raise ModelError(
            f"{folder} has several chat templates and none is called default",
            try_this="write the one to use into chat_template.jinja in that folder",
        )
    return default


def _generation_stops(folder: Path) -> tuple[int, ...]:
    """`eos_token_id` of generation_config.json: one id or a list."""
    value = _read_json(folder / "generation_config.json").get("eos_token_id")
    values = value if isinstance(value, list) else [value]
    return tuple(item for item in values if isinstance(item, int) and not isinstance(item, bool))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
