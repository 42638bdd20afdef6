"""Where an export goes: a file that appears whole or not at all, and replaces another only where that was asked for."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import UsageError, WorkspaceError

FORCE = "choose another --output, or add --force"


@contextmanager
def new_file(target: Path, *, force: bool) -> Iterator[Path]:
    """A path beside `target` to write to; it gets the target's name when the block ends well.

    Raises:
        UsageError: the target exists and `force` is not given, or it is a folder.
        WorkspaceError: it can't be written.
    """
    refuse_existing(target, force=force)
    staged = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        yield staged
        if force:
            staged.replace(target)
        else:
            _name_once(staged, target)
    except FileExistsError as error:
        raise UsageError(f"{target} exists already", try_this=FORCE) from error
    except OSError as error:
        raise WorkspaceError(f"can't write {target}: {error.strerror or error}") from error
    finally:
        staged.unlink(missing_ok=True)


def refuse_existing(target: Path, *, force: bool) -> None:
    """Refuse to overwrite, before any work is done.

    Raises:
        UsageError: see `new_file`.
    """
    if target.is_dir():
        raise UsageError(f"{target} is a folder", try_this="name a file")
    if (target.exists() or target.is_symlink()) and not force:
        raise UsageError(f"{target} exists already", try_this=FORCE)


def _name_once(staged: Path, target: Path) -> None:
    try:
        os.link(staged, target)  # fails where somebody made the target meanwhile; a rename would replace it
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if target.exists():
            raise FileExistsError(str(target)) from None
        staged.replace(target)
