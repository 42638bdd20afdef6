"""Makes the starter's base model from nothing, because weights that nobody can rebuild could not be trusted or mended.

``python -P -m core.worker.jobs.starter_base OUTPUT_FOLDER [--steps N]`` writes ``model/`` (config, weights, tokenizer),
``data/`` (the sets) and ``starter.json`` (seed, version, fingerprints, first losses): the very files that
``core/starter`` packages.  It reads no recipe and no run folder, and does without the trainer that it exists to test.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from core.starter.package import VERSION
from core.starter.text import CHATS_PER_STEP, SEED, STEPS, Chat, base_chats, jsonl, lessons_sha256, sets
from core.starter.tokenizer import END, MAX_LENGTH, PAD, VOCABULARY, special_ids, tokenizer_config_json, tokenizer_json

LEARNING_RATE = 2e-3
WARMUP_STEPS = 100
IGNORED = -100
"""The label of a token that is read but not trained, as in torch's cross entropy."""


def settings() -> dict[str, object]:
    """``config.json``: four layers, 192 wide, 1.8 million parameters; every matrix fits NF4 blocks of 64."""
    ids = special_ids()
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCABULARY,
        "hidden_size": 192,
        "intermediate_size": 448,
        "num_hidden_layers": 4,
        "num_attention_heads": 6,
        "num_key_value_heads": 6,
        "head_dim": 32,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 10_000.0,
        "max_position_embeddings": MAX_LENGTH,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": ids[END],
        "pad_token_id": ids[PAD],
        "dtype": "bfloat16",
    }


def fresh_model(seed: int) -> LlamaForCausalLM:
    """The model before its first step, drawn here by name so that a library's own order of drawing does not matter."""
    model = LlamaForCausalLM(LlamaConfig(**{**settings(), "dtype": "float32"}))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, weight in sorted(model.named_parameters()):
            if weight.dim() == 1:
                weight.fill_(1.0)
            else:
                weight.normal_(0.0, 0.02, generator=generator)
    return model


def encode(lesson: Chat, tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """(ids, labels) of one lesson as the chat template spells it; only what the assistant writes is trained."""
    ids: list[int] = []
    labels: list[int] = []
    special = special_ids()
    for message in lesson:
        content = [*tokenizer.encode(message["content"]).ids, special[END]]
        ids += [special[f"<|{message['role']}|>"], *content]
        labels += [IGNORED, *(content if message["role"] == "assistant" else [IGNORED] * len(content))]
    return ids, labels


def batches(tokenizer: Tokenizer, seed: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """(input_ids, attention_mask, labels), each ``[chats, tokens]``, padded on the right, without end."""
    lessons = base_chats(seed)
    while True:
        rows = [encode(lesson, tokenizer) for lesson in itertools.islice(lessons, CHATS_PER_STEP)]
        longest = max(len(ids) for ids, _ in rows)
        pad = special_ids()[PAD]
        yield (
            torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in rows]),
            torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in rows]),
            torch.tensor([labels + [IGNORED] * (longest - len(labels)) for _, labels in rows]),
        )


def rate(step: int) -> float:
    """The learning rate of *step* (from 0): linear warm-up, then a cosine to zero at the full number of steps."""
    if step < WARMUP_STEPS:
        return LEARNING_RATE * (step + 1) / WARMUP_STEPS
    return LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * (step - WARMUP_STEPS) / (STEPS - WARMUP_STEPS)))


def train(model: LlamaForCausalLM, tokenizer: Tokenizer, steps: int, seed: int) -> Iterator[float]:
    """The loss of each step in nats a token, before the step is taken; fewer steps are a prefix of more."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    model.train()
    for step, (ids, mask, labels) in enumerate(itertools.islice(batches(tokenizer, seed), steps)):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        loss = model(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield float(loss.detach())


def write_model(model: LlamaForCausalLM, folder: Path) -> str:
    """Writes config, bf16 weights (the tied head once) and generation config; the sha256 of the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(settings(), indent=2) + "\n")
    ids = special_ids()
    generation = {"eos_token_id": ids[END], "pad_token_id": ids[PAD], "do_sample": False, "max_new_tokens": 64}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    weights = {name: weight.detach().to(torch.bfloat16).contiguous() for name, weight in model.named_parameters()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def write_texts(folder: Path) -> None:
    """Writes everything that is made without weights: the tokenizer and the sets."""
    for name, text in (("tokenizer.json", tokenizer_json()), ("tokenizer_config.json", tokenizer_config_json())):
        target = folder / "model" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for name, rows in sets().items():
        (folder / "data" / f"{name}.jsonl").write_text(jsonl(rows), encoding="utf-8")


def build(folder: Path, steps: int = STEPS, seed: int = SEED) -> None:
    """Everything of the starter, made anew under *folder*; minutes on two cores for all 3,500 steps."""
    torch.use_deterministic_algorithms(True)
    write_texts(folder)
    tokenizer = Tokenizer.from_file(str(folder / "model" / "tokenizer.json"))
    model = fresh_model(seed)
    losses: list[float] = []
    for loss in train(model, tokenizer, steps, seed):
        losses.append(loss)
        if len(losses) % 100 == 0:
            sys.stderr.write(f"step {len(losses)}/{steps} loss {sum(losses[-100:]) / 100:.4f} nats/token\n")
    record = {
        "version": VERSION,
        "seed": seed,
        "steps": steps,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "weights_sha256": write_model(model, folder / "model"),
        "lessons_sha256": lessons_sha256(STEPS * CHATS_PER_STEP, seed),
        "first_losses": losses[:20],
        "last_loss": sum(losses[-100:]) / len(losses[-100:]),
    }
    (folder / "starter.json").write_text(json.dumps(record, indent=2, allow_nan=False) + "\n")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -P -m core.worker.jobs.starter_base", description="Make the starter.")
    parser.add_argument("output", type=Path, help="folder that receives model/, data/ and starter.json")
    parser.add_argument("--steps", type=int, default=STEPS, help="stop after this many steps of the full schedule")
    given = parser.parse_args(arguments)
    os.umask(0o077)
    build(given.output, given.steps)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
