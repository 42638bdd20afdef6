"""The starter's tokenizer, trained anew from the generated text whenever somebody wants to check the packaged one.

Byte-level BPE (Sennrich et al. 2016, over bytes as in GPT-2): 768 tokens, so that the embedding stays a small part of
1.7 M parameters.  The chat template marks the assistant's turn for training (``{% generation %}``), end-of-turn token
included: a model that is never taught to stop does not stop.  Needs ``tokenizers``, never torch; no weights are known.
"""

from __future__ import annotations

import itertools
import json

from core.starter.text import SEED, base_chats

VOCABULARY = 768
LESSONS_READ = 10_000
PAD, END, SYSTEM, USER, ASSISTANT = "<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"
SPECIAL = (PAD, END, SYSTEM, USER, ASSISTANT)
MAX_LENGTH = 512

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}"
    "<|assistant|>{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}"
    "{%- elif message['role'] in ['system', 'user'] -%}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{%- else -%}"
    "{{ raise_exception('the starter knows the roles system, user and assistant, not ' + message['role']) }}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)


def tokenizer_json(seed: int = SEED) -> str:
    """``tokenizer.json`` of a byte-level BPE of 768 tokens, trained on the first 10,000 lessons; under a second."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    lessons = itertools.islice(base_chats(seed), LESSONS_READ)
    tokenizer.train_from_iterator((message["content"] for lesson in lessons for message in lesson), trainer)
    return str(tokenizer.to_str(pretty=False)) + "\n"


def tokenizer_config_json() -> str:
    """``tokenizer_config.json`` with the chat template, as transformers and ``core.data`` read it."""
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": MAX_LENGTH,
        "padding_side": "left",
        "pad_token": PAD,
        "eos_token": END,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    return json.dumps(config, indent=2) + "\n"


def special_ids() -> dict[str, int]:
    """Special token → id: they are the first five of the vocabulary, in the order of ``SPECIAL``."""
    return {token: index for index, token in enumerate(SPECIAL)}
