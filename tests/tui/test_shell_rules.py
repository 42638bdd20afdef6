"""Rules of the app's source and start: light imports, no data as markup, one registry, few keys, a safe last net."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from rich.segment import ControlType, Segment
from textual.color import Color

from core.paths import Workspace
from tests.tui.app_history import HOSTILE
from tui.actions import ACTIONS, check_table
from tui.app import FinetuiApp
from tui.entry import opens_app
from tui.keymap import Preferences
from tui.safety import SafeFilter
from tui.screens.page import EVERYWHERE, FOOTER_KEYS, Page
from tui.screens.queue import QueueScreen
from tui.screens.recipes import RecipesScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "tui").rglob("*.py"))
HEAVY = (
    "torch",
    "transformers",
    "datasets",
    "pandas",
    "numpy",
    "pyarrow",
    "plotext",
    "sqlite_utils",
    "pydantic",
    "ruamel",
)
PAGES: tuple[type[Page], ...] = (RunsScreen, QueueScreen, RecipesScreen, RunScreen)
TAKES_MARKUP = {"Static", "Label", "Button", "notify", "update", "Checkbox", "Option", "Collapsible", "add_column"}


def test_the_app_imports_nothing_heavy() -> None:
    program = f"""
import sys
import tui.app, tui.screens.runs, tui.screens.queue, tui.screens.recipes, tui.screens.help
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def _is_harmless(node: ast.expr) -> bool:
    """A literal text, or something that is not a text: a Content, a Text, the outcome of a function of ours."""
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.JoinedStr | ast.BinOp):
        return False
    name = ast.unparse(node)
    return name.startswith(("Content", "Text(", "_", "self._", "preview_content")) or name.endswith("_content()")


def test_no_widget_gets_data_as_markup() -> None:
    assert len(SOURCES) > 30
    found = []
    calls = 0
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            owner = ast.unparse(node.func)
            if name not in TAKES_MARKUP or (name == "update" and "Static" not in owner):
                continue
            calls += 1
            if any(isinstance(keyword.value, ast.Constant) and keyword.arg == "markup" for keyword in node.keywords):
                continue
            if node.args and not _is_harmless(node.args[0]) and "Content" not in ast.unparse(node.args[0]):
                found.append(f"{path.name}:{node.lineno} {ast.unparse(node)[:80]}")
    assert calls > 8
    assert found == []


def test_borders_and_tooltips_take_no_data() -> None:
    pattern = ("border_title", "border_subtitle", ".tooltip =")
    found = [path.name for path in SOURCES if any(word in path.read_text(encoding="utf-8") for word in pattern)]
    assert found == []


def test_the_registry_is_whole() -> None:
    assert check_table() == [] and len(ACTIONS) > 30


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.__name__)
def test_a_page_offers_what_it_can_do_each_key_once(page: type[Page]) -> None:
    ids = list(dict.fromkeys((*page.OFFERS, *EVERYWHERE)))
    assert len(page.FOOTER) <= FOOTER_KEYS and set(page.FOOTER) <= {*ids, "demo"}
    missing = [id_ for id_ in ids if not hasattr(page, f"action_{id_}") and not hasattr(FinetuiApp, f"action_{id_}")]
    assert missing == []
    keys = [key for id_ in ids for key in ACTIONS[id_].keys]
    assert sorted({key for key in keys if keys.count(key) > 1}) == []


def test_the_filter_leaves_no_control_character() -> None:
    control = Segment("\x1b[2J", None, [(ControlType.CLEAR,)])
    plain = [Segment("plain"), control]
    assert SafeFilter().apply(plain, Color(0, 0, 0)) is plain
    out = SafeFilter().apply([Segment(HOSTILE), control], Color(0, 0, 0))
    assert out[0].text.isprintable() and "[/x]" in out[0].text and out[1] is control


@pytest.mark.parametrize(
    ("words", "opens"),
    [
        ([], True),
        (["--workspace", "x"], True),
        (["--workspace=x", "--no-mouse", "--ascii"], True),
        (["ls"], False),
        (["--workspace", "x", "ls"], False),
        (["--help"], False),
        (["--version"], False),
    ],
)
def test_which_words_open_the_app(words: list[str], opens: bool) -> None:
    assert opens_app(words) is opens


def test_a_mistake_ends_in_a_sentence_and_a_report_without_secrets(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnopqrstuvwxyz123456")
    app = FinetuiApp(workspace, Preferences())
    app._close_messages_no_wait = lambda: None  # type: ignore[method-assign]
    monkeypatch.setattr(FinetuiApp, "is_headless", property(lambda _: False))
    try:
        raise RuntimeError("broken with hf_abcdefghijklmnopqrstuvwxyz123456")
    except RuntimeError as error:
        app._handle_exception(error)
    reports = list(workspace.state.glob("crash-*.log"))
    assert len(reports) == 1 and str(reports[0]) in app.crash_words
    everything = app.crash_words + reports[0].read_text()
    assert "hf_abcdef" not in everything and "RuntimeError" in everything
    assert "Traceback" not in app.crash_words and "Traceback" in reports[0].read_text()
