"""No secret leaves by a child's environment or by a text."""

from __future__ import annotations

import pytest

from core.runs.launch import base_environment, worker_environment
from core.runs.redact import REDACTED, child_environment, redact


def test_children_inherit_an_allow_list() -> None:
    given = {
        "PATH": "/bin",
        "HF_TOKEN": "hf_abc",
        "HF_HOME": "/cache",
        "LC_ALL": "C",
        "TOKENIZERS_PARALLELISM": "true",
        "PYTHONPATH": "/evil",
        "LD_PRELOAD": "/evil.so",
        "OPENAI_API_KEY": "sk-1",
        "AWS_SECRET_ACCESS_KEY": "x",
        "HF_SECRET_THING": "x",
        "WANDB_API_KEY": "x",
        "MY_PASSWORD": "x",
    }
    assert set(child_environment(given)) == {"PATH", "HF_TOKEN", "HF_HOME", "LC_ALL", "TOKENIZERS_PARALLELISM"}


def test_a_foreign_pythonpath_never_reaches_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/evil")
    assert "/evil" not in base_environment().get("PYTHONPATH", "")


@pytest.mark.parametrize(
    ("device", "inherited", "setting", "expected"),
    [
        ("cpu", "3", "1", ""),
        ("gpu", "", None, "0"),
        ("gpu", "2,3", None, "2"),
        ("gpu", "2,3", "GPU-abc", "GPU-abc"),
    ],
)
def test_a_worker_sees_one_gpu_or_none(
    monkeypatch: pytest.MonkeyPatch, device: str, inherited: str, setting: str | None, expected: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", inherited)
    environment = worker_environment(3, device, setting)
    assert environment["CUDA_VISIBLE_DEVICES"] == expected
    assert environment["FINETUI_ATTEMPT"] == "3"


def test_a_supervisor_that_a_cpu_worker_starts_sees_the_persons_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    for name, value in worker_environment(1, "cpu", None).items():
        monkeypatch.setenv(name, value)
    assert base_environment()["CUDA_VISIBLE_DEVICES"] == "2"
    assert worker_environment(1, "gpu", None)["CUDA_VISIBLE_DEVICES"] == "2"


@pytest.mark.parametrize(
    "text",
    [
        "token hf_AbCdEfGhIjKlMnOpQrSt used",
        "OPENAI sk-proj-abcdefghijklmnop0123",
        "clone https://user:CANARYCANARY@host/repo",
        "AKIAIOSFODNN7EXAMPLE",
        "WANDB_API_KEY=CANARYCANARY",
        '{"api_key": "CANARYCANARY"}',
        "Authorization: Bearer abcdefghijklmnop.qrstuv",
        "ghp_abcdefghijklmnopqrstuvwxyz0123",
        "in the environment: CANARYFROMENV",
    ],
)
def test_secrets_are_blanked(text: str) -> None:
    result = redact(text, {"SOME_TOKEN": "CANARYFROMENV", "PATH": "/usr/bin"})
    assert REDACTED in result
    for secret in ("CANARY", "hf_A", "sk-p", "AKIA", "abcdefghijklmnop"):
        assert secret not in result


@pytest.mark.parametrize(
    "text", ["loss 0.5, 3 tokens", "commit 2d2e570", "tokens_per_second: 12345678.9", "/usr/bin/python"]
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text, {"PATH": "/usr/bin"}) == text
