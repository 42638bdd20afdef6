"""From the words of a command line to an exit status: finds the command, runs it, turns errors into sentences.

0: what was asked came true · 2: wrong use, or a recipe with problems · 130: interrupted · 1: anything else.
It must not do anything itself, nor import a command that was not asked for.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn, cast

from core.cli import output
from core.cli.command import SUMMARIES, Command, add_global_options
from core.errors import FinetuiError, UsageError
from core.paths import Workspace, find_workspace

INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are errors of ours, printed in the one way."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, try_this=f"{self.prog} --help")


class _ShowVersion(argparse.Action):
    """Asks for the version only when it is wanted: reading the package's metadata takes 20 ms."""

    def __call__(self, *_: object) -> None:
        output.print_text(f"finetui {version()}")
        raise SystemExit(0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    output.prepare_streams()
    try:
        status = _answer(words)
        sys.stdout.flush()
    except BrokenPipeError:
        output.end_quietly()  # `finetui ls | head` deserves no complaint; yet not all that was asked for was printed
        status = 1
    return status


def _answer(words: list[str]) -> int:
    try:
        status = _run(words)
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        status = INTERRUPTED
    except FinetuiError as error:
        output.print_error(error)
        status = error.exit_status
    except SystemExit as exit_:  # --help and --version
        status = exit_.code if isinstance(exit_.code, int) else 0
    except Exception as error:  # noqa: BLE001 -- the last net: no traceback reaches a person, it goes to a file
        output.print_error(_crashed(words, error))
        status = 1
    return status


def _run(words: list[str]) -> int:
    named = _command_word(words)
    if named is not None and named not in SUMMARIES:
        nearest = difflib.get_close_matches(named, SUMMARIES, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else "finetui --help lists them"
        raise UsageError(f"there is no command {named!r}", try_this=hint)
    parser, command = _make_parser(named)
    if named is None and not words:
        output.narrate(parser.format_help().rstrip())
        return UsageError.exit_status
    arguments = parser.parse_args(words, argparse.Namespace(workspace=None, json=False))
    if command is None:
        parser.error("a command is missing")
    return command.handle(arguments)


def _command_word(words: Sequence[str]) -> str | None:
    """The first word that is neither an option nor the value of --workspace."""
    value_follows = False
    for word in words:
        if value_follows:
            value_follows = False
        elif word == "--workspace":
            value_follows = True
        elif not word.startswith("-"):
            return word
    return None


def _make_parser(named: str | None) -> tuple[Parser, Command | None]:
    parser = Parser(
        prog="finetui",
        description="Fine-tune language models on one GPU, from a terminal.",
        epilog="Without a command, in a terminal, the app opens (--no-mouse, --ascii). "
        "finetui COMMAND --help says more about one command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="print the version and end")
    add_global_options(parser)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", parser_class=Parser)
    command: Command | None = None
    for name, (module, summary) in SUMMARIES.items():
        chosen = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == named:
            found = importlib.import_module(f"core.cli.{module}").COMMANDS
            command = cast("dict[str, Command]", found)[name]
            command.configure(chosen)
            add_global_options(chosen)
    return parser, command


def version() -> str:
    """The installed package's version."""
    from importlib import metadata  # 20 ms that only --version and a crash report need

    try:
        return metadata.version("finetui")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _crashed(words: Sequence[str], error: Exception) -> FinetuiError:
    from core.cli import crash  # only a mistake of ours needs it

    path = crash.write_crash_log(_workspace_of(words), error, version())
    kept = (
        f"send {path} to whoever looks after finetui" if path else "the report could not be written: is the disk full?"
    )
    reason = crash.describe(error)
    return FinetuiError("finetui made a mistake", why=reason, try_this=kept)


def _workspace_of(words: Sequence[str]) -> Workspace:
    """The workspace as far as the words can be read: the parser itself may be what failed."""
    chosen: str | None = None
    for index, word in enumerate(words):
        if word == "--workspace" and index + 1 < len(words):
            chosen = words[index + 1]
        elif word.startswith("--workspace="):
            chosen = word.partition("=")[2]
    return find_workspace(chosen)
