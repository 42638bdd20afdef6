"""Small model folders in the style of real template families, for the tests of tokens and labels.

Each template is written once, with GEN and END where generation markers go; `stock` leaves them out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

CORPUS = [
    "What is the capital of France? The capital of France is Paris.",
    "Please add 12 and 30, then double the result. That makes 84.",
    "def double(value):\n    return value * 2\n\nprint(double(21))",
    "  leading spaces, tabs\tand\n\nempty lines, and a final newline\n",
    "Grüße aus Köln! Ça va? 東京は晴れ。 😀🎉",
] * 3


@dataclass(frozen=True)
class Family:
    name: str
    template: str
    bos: str | None
    eos: str
    stop: str
    special: tuple[str, ...] = ()
    metaspace: bool = False
    system: bool = True

    def source(self, *, marked: bool) -> str:
        opened, closed = ("{% generation %}", "{% endgeneration %}") if marked else ("", "")
        return self.template.replace("GEN", opened).replace("END", closed)


CHATML = Family(
    "chatml",
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}GEN{{ message['content'] + '<|im_end|>' }}END{{ '\n' }}"
    "{% else %}{{ message['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    None, "<|im_end|>", "<|im_end|>", ("<|im_start|>",),
)  # fmt: skip
DEFAULT_SYSTEM = Family(
    "default_system",
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a small helper<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}GEN{{ message['content'] + '<|im_end|>' }}END{{ '\n' }}"
    "{% else %}{{ message['content'] + '<|im_end|>' + '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "<|im_start|>", "<|im_end|>", "<|im_end|>",
)  # fmt: skip
HEADERS = Family(
    "headers",
    "{{- bos_token }}\n{%- for message in messages %}\n"
    "    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}\n"
    "    {%- if message['role'] == 'assistant' %}GEN{{- message['content'] | trim + '<|eot_id|>' }}END\n"
    "    {%- else %}\n        {{- message['content'] | trim + '<|eot_id|>' }}\n    {%- endif %}\n"
    "{%- endfor %}\n{%- if add_generation_prompt %}\n"
    "    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}\n{%- endif %}\n",
    "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", ("<|start_header_id|>", "<|end_header_id|>"),
)  # fmt: skip
INST = Family(
    "inst",
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('no system turn here') }}{% endif %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}GEN{{ ' ' + message['content'] + eos_token }}END{% endif %}{% endfor %}",
    "<s>", "</s>", "</s>", metaspace=True, system=False,
)  # fmt: skip
TURNS = Family(
    "turns",
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' }}{% if role == 'model' %}"
    "GEN{{ message['content'] | trim + '<end_of_turn>' }}END{{ '\n' }}"
    "{% else %}{{ message['content'] | trim + '<end_of_turn>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
    "<bos>", "<eos>", "<end_of_turn>", ("<start_of_turn>",), system=False,
)  # fmt: skip
ZEPHYR = Family(
    "zephyr",
    "{% for message in messages %}\n{% if message['role'] == 'assistant' %}\n"
    "{{ '<|assistant|>\n' }}GEN{{ message['content'] + eos_token }}END{{ '\n' }}{% else %}\n"
    "{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token }}\n{% endif %}\n"
    "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>\n' }}\n{% endif %}\n{% endfor %}",
    "<s>", "</s>", "</s>", ("<|assistant|>", "<|user|>", "<|system|>"), metaspace=True,
)  # fmt: skip

FAMILIES = (CHATML, DEFAULT_SYSTEM, HEADERS, INST, TURNS, ZEPHYR)

DOUBLE_NEWLINE = Family(
    "double_newline",
    CHATML.template.replace("assistant\n' }}{% endif %}", "assistant\n\n' }}{% endif %}"),
    None, "<|im_end|>", "<|im_end|>", ("<|im_start|>",),
)  # fmt: skip
STRIPS_THINKING = Family(
    "strips_thinking",
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% set content = message['content'] if loop.last else message['content'].split('</think>')[-1].lstrip('\n') %}"
    "GEN{{ content + '<|im_end|>' }}END{{ '\n' }}"
    "{% else %}{{ message['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    None, "<|im_end|>", "<|im_end|>", ("<|im_start|>",),
)  # fmt: skip
HIDES_ANSWERS = Family(
    "hides_answers",
    "{{ messages | length }}{% for message in messages %}{{ message['content'] + message['content'] }}{% endfor %}",
    None, "<|im_end|>", "<|im_end|>",
)  # fmt: skip


@cache
def tokenizer_text(special: tuple[str, ...], metaspace: bool) -> str:
    """tokenizer.json of a small BPE: byte-level like GPT-2's, or with ▁ and byte fallback like Llama 2's."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokens = [AddedToken(text, special=True, normalized=False) for text in special]
    if metaspace:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
        alphabet = [f"<0x{byte:02X}>" for byte in range(256)]
        trainer = trainers.BpeTrainer(
            vocab_size=700, special_tokens=[AddedToken("<unk>", special=True), *tokens, *alphabet], show_progress=False
        )
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=tokens,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
    tokenizer.train_from_iterator(CORPUS, trainer)
    body = json.loads(tokenizer.to_str())
    if metaspace:  # the byte pieces belong to the vocabulary, but are not tokens that text can spell
        body["added_tokens"] = [entry for entry in body["added_tokens"] if not entry["content"].startswith("<0x")]
    return json.dumps(body)


def write_model_folder(folder: Path, family: Family, *, marked: bool = False, **config: Any) -> Path:
    """A folder with tokenizer.json and tokenizer_config.json; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    named = [family.bos, family.eos, family.stop, *family.special]
    special = tuple(dict.fromkeys(text for text in named if text))
    (folder / "tokenizer.json").write_text(tokenizer_text(special, family.metaspace), encoding="utf-8")
    body = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": family.eos,
        "clean_up_tokenization_spaces": False,
        "chat_template": family.source(marked=marked),
        **({"bos_token": family.bos} if family.bos else {}),
        **config,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(body), encoding="utf-8")
    return folder
