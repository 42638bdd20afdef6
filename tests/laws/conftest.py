"""One tiny model and one file of rows for all laws."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worker.tiny import write_model, write_rows


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama with tokenizer and chat template."""
    return write_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def tiny_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty chats."""
    return write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl")
