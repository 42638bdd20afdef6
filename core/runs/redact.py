"""Keep secrets out of everything that is stored or shown: which variables a child may inherit, what a text may say.

It must not read a secret anywhere else than in the environment it is given, nor store one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

REDACTED = "[redacted]"

_ALLOWED = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM", "LD_LIBRARY_PATH",
    "VIRTUAL_ENV", "CONDA_PREFIX", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy",
    "https_proxy", "no_proxy", "all_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE", "TOKENIZERS_PARALLELISM", "PYTHONHASHSEED", "PYTHONUTF8", "PYTHONFAULTHANDLER",
    "CUBLAS_WORKSPACE_CONFIG",
})  # fmt: skip
_ALLOWED_PREFIXES = (
    "LC_", "HF_", "HUGGINGFACE_", "TRANSFORMERS_", "CUDA_", "NVIDIA_", "NCCL_", "TORCH_", "TORCHINDUCTOR_", "PYTORCH_",
    "TRITON_", "BNB_", "OMP_", "MKL_", "OPENBLAS_", "KMP_", "MALLOC_", "ATEN_", "GOMP_", "COVERAGE_",
)  # fmt: skip
_SECRET_NAME = re.compile(r"(TOKEN|KEY|SECRET|PASSWORD|PASSWD|CREDENTIAL)", re.IGNORECASE)
_KEPT_SECRETS = frozenset({"HF_TOKEN"})
"""Secrets that a worker needs; they travel by environment variable alone."""
_HARMLESS = frozenset({"TOKENIZERS_PARALLELISM", "HF_TOKEN_PATH"})

_PATTERNS = (
    re.compile(r"hf_[A-Za-z0-9]{16,}"),  # Hugging Face
    re.compile(r"sk-[A-Za-z0-9_\-]{16,}"),  # OpenAI and those that copied its form
    re.compile(r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),  # AWS access key id
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),  # user:password in a URL
    re.compile(r"(?i)(?<=bearer )[A-Za-z0-9._~+/\-]{16,}=*"),
    re.compile(r"(?i)\b[a-z0-9_\-]*(?:token|api_?key|access_?key|secret|password|passwd)[\"']?\s*[=:]\s*[\"']?"
               r"(?P<value>[^\s\"',;&]{8,})"),
)  # fmt: skip


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of `environment` that a child process may inherit: an allow-list, and no secret but HF_TOKEN.

    PYTHONPATH and PYTHONSTARTUP are not on it: a foreign `core` must not get into a worker.
    """
    return {name: value for name, value in environment.items() if _is_allowed(name)}


def _is_allowed(name: str) -> bool:
    if name in _KEPT_SECRETS or name in _HARMLESS:
        return True
    if _SECRET_NAME.search(name):
        return False
    return name in _ALLOWED or name.startswith(_ALLOWED_PREFIXES)


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """`text` without secrets: known token forms, `NAME_TOKEN=value`, passwords in URLs, and every value of a variable
    in `environment` whose name says that it is a secret."""
    for name, value in (environment or {}).items():
        if len(value) >= 8 and _SECRET_NAME.search(name) and name not in _HARMLESS:
            text = text.replace(value, REDACTED)
    for pattern in _PATTERNS:
        text = pattern.sub(_blank, text)
    return text


def _blank(match: re.Match[str]) -> str:
    if "value" not in match.re.groupindex:
        return REDACTED
    start, end = match.start("value") - match.start(), match.end("value") - match.start()
    return match.group()[:start] + REDACTED + match.group()[end:]
