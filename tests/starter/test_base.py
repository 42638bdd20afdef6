"""The program that made the packaged base makes it again: the same files, the same first losses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from core import starter
from core.starter.text import SEED, STEPS
from core.worker.jobs import starter_base

TOLERANCE_NATS = 1e-4
"""A hundred times the largest difference seen between AVX-512, AVX2 and plain SSE kernels over 20 steps (1e-6; one and
two threads agree bit for bit), and a seventeenth of what one changed lesson of the first batch moves (1.7e-3)."""


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter made anew, 20 steps far."""
    folder = tmp_path_factory.mktemp("starter")
    assert starter_base.main([str(folder), "--steps", "20"]) == 0
    return folder


def test_the_first_20_losses_are_the_recorded_ones(rebuilt: Path) -> None:
    found = json.loads((rebuilt / "starter.json").read_text(encoding="utf-8"))["first_losses"]
    recorded = list(starter.record().first_losses)
    assert len(recorded) == 20
    assert found == pytest.approx(recorded, abs=TOLERANCE_NATS)
    assert recorded[-1] < recorded[0] - 1


def test_every_file_but_the_weights_is_the_packaged_one(rebuilt: Path) -> None:
    names = ["model/config.json", "model/generation_config.json", "model/tokenizer.json", "model/tokenizer_config.json"]
    names += [f"data/{name}.jsonl" for name in ("train", "validation", "test", "general")]
    written = {path.relative_to(rebuilt).as_posix() for path in rebuilt.rglob("*") if path.is_file()}
    assert written == {*names, "model/model.safetensors", "starter.json"}
    package = starter.resolve("starter").parent
    for name in names:
        assert (rebuilt / name).read_bytes() == (package / name).read_bytes(), name


def test_the_packaged_weights_have_the_shapes_that_the_program_writes(rebuilt: Path) -> None:
    def shapes(folder: Path) -> dict[str, tuple[tuple[int, ...], str]]:
        with safe_open(folder / "model.safetensors", framework="pt") as weights:
            return {
                name: (tuple(weights.get_slice(name).get_shape()), weights.get_slice(name).get_dtype())
                for name in weights.keys()  # noqa: SIM118  safe_open is no mapping
            }

    packaged = shapes(starter.resolve("starter"))
    assert packaged == shapes(rebuilt / "model")
    assert "lm_head.weight" not in packaged, "the tied head would be stored twice"
    assert all(shape[-1] % 64 == 0 for shape, _ in packaged.values()), "NF4 packs blocks of 64"


def test_another_seed_makes_other_losses() -> None:
    from tokenizers import Tokenizer

    packaged = Tokenizer.from_file(str(starter.resolve("starter") / "tokenizer.json"))
    loss = next(starter_base.train(starter_base.fresh_model(SEED), packaged, 1, SEED + 1))
    assert abs(loss - starter.record().first_losses[0]) > 10 * TOLERANCE_NATS


def test_the_warm_up_reaches_the_peak_and_the_cosine_ends_at_zero() -> None:
    rates = [starter_base.rate(step) for step in range(STEPS + 1)]
    assert max(rates) == rates[starter_base.WARMUP_STEPS] == starter_base.LEARNING_RATE
    assert rates[0] == pytest.approx(starter_base.LEARNING_RATE / starter_base.WARMUP_STEPS)
    assert rates[-1] == pytest.approx(0)
