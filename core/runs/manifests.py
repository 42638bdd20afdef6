"""What a checkpoint folder holds, in its own words: MANIFEST.json, and the proof that the folder still agrees with it.

Nobody may trust a checkpoint because of its name, number or age: resume, retention and pick ask here. This module reads
only; it must not create, rename or delete anything, and it follows no symbolic link.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import TypeAlias, cast

from core.errors import CheckpointError
from core.paths import RunPaths

MANIFEST_NAME = "MANIFEST.json"
MANIFEST_VERSION = 1
STEP_FOLDER = re.compile(r"step-(\d{6,12})")
_MAX_MANIFEST_BYTES = 16 * 1024 * 1024

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One file of a checkpoint; `name` is relative to the checkpoint's folder, with `/` between its parts."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A checkpoint as its manifest describes it. `created_at` (wall clock) informs only: order is by `step`.

    `sha256` is that of MANIFEST.json itself: with it, and the hashes inside, one value stands for every byte.
    """

    folder: Path
    step: int
    run_id: str
    recipe_sha256: str
    files: tuple[ManifestFile, ...]
    created_at: float
    sha256: str
    bytes: int
    extra: Mapping[str, Json] = field(default_factory=dict)


def manifest_content(body: dict[str, Json]) -> bytes:
    """The bytes of a MANIFEST.json; `self_sha256` covers all other fields, so a flipped bit is seen without a store."""
    body = {key: value for key, value in body.items() if key != "self_sha256"}
    body["self_sha256"] = _content_sha256(body)
    return (json.dumps(body, indent=2, allow_nan=False, ensure_ascii=False) + "\n").encode()


def _content_sha256(body: dict[str, Json]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a checkpoint folder, itself checked, its files not yet.

    Raises:
        CheckpointError: the folder is missing or a link, or its manifest is missing, damaged or of a newer version.
    """
    if not is_real_folder(folder):
        raise CheckpointError(f"{folder} is not a checkpoint folder", why="it is missing, or is not a real folder")
    try:
        with open_without_links(folder / MANIFEST_NAME) as stream:
            content = stream.read(_MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise CheckpointError(f"{folder} has no readable {MANIFEST_NAME}: {error.strerror}") from error
    try:
        return _parse(folder, content)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{folder / MANIFEST_NAME} is damaged", why=str(error)) from error


def _parse(folder: Path, content: bytes) -> Manifest:
    if len(content) > _MAX_MANIFEST_BYTES:
        raise ValueError(f"it is larger than {_MAX_MANIFEST_BYTES} bytes")
    body = cast("dict[str, Json]", json.loads(content))
    version = body["version"]
    if version != MANIFEST_VERSION:
        raise ValueError(f"its version is {version!r}, and this finetui knows {MANIFEST_VERSION}")
    claimed = body.pop("self_sha256", None)
    if claimed != _content_sha256(body):
        raise ValueError("its content does not match its own checksum")
    rows = cast("list[dict[str, str | int]]", body["files"])
    files = tuple(ManifestFile(str(row["name"]), int(row["size"]), str(row["sha256"])) for row in rows)
    for file in files:
        if not is_plain_name(file.name):
            raise ValueError(f"it names a file outside the checkpoint: {file.name!r}")
    return Manifest(
        folder=folder,
        step=int(cast(int, body["step"])),
        run_id=str(body["run_id"]),
        recipe_sha256=str(body["recipe_sha256"]),
        files=files,
        created_at=float(cast(float, body["created_at"])),
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=sum(file.size for file in files) + len(content),
        extra=cast("dict[str, Json]", body.get("extra", {})),
    )


def verify(folder: Path, *, deep: bool = True) -> Manifest:
    """Prove that a checkpoint is whole: every listed file is there with its size and, if `deep`, its sha256.

    A file that the manifest does not list is refused too (a loader might prefer it); hidden files are not looked at.

    Raises:
        CheckpointError: naming everything that is missing, altered or foreign.
    """
    manifest = read_manifest(folder)
    wrong: list[str] = []
    listed = {file.name for file in manifest.files}
    for file in manifest.files:
        problem = _check_file(folder, file, deep)
        if problem:
            wrong.append(problem)
    for name, is_regular in walk_files(folder):
        if name == MANIFEST_NAME or name in listed or any(part.startswith(".") for part in name.split("/")):
            continue
        wrong.append(f"{name} is not in the manifest" if is_regular else f"{name} is not a regular file")
    if wrong:
        shown = "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        raise CheckpointError(f"the checkpoint {folder.name} is incomplete or altered", why=shown)
    return manifest


def _check_file(folder: Path, file: ManifestFile, deep: bool) -> str | None:
    if any(not is_real_folder(parent) for parent in _parents_inside(folder, file.name)):
        return f"{file.name} is missing"
    try:
        with open_without_links(folder / file.name) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size != file.size:
                return f"{file.name} has {size} bytes instead of {file.size}"
            if deep and hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
                return f"{file.name} was altered (its sha256 differs)"
    except FileNotFoundError:
        return f"{file.name} is missing"
    except OSError as error:
        return f"{file.name} can't be read: {error.strerror}"
    return None


def _parents_inside(folder: Path, name: str) -> Iterator[Path]:
    parent = folder
    for part in name.split("/")[:-1]:
        parent = parent / part
        yield parent


def list_checkpoints(run_paths: RunPaths) -> tuple[Manifest, ...]:
    """The checkpoints of a run by step, oldest first: own manifest present and sizes right; contents are not read."""
    found = []
    for folder in step_folders(run_paths):
        try:
            manifest = verify(folder, deep=False)
        except CheckpointError:
            continue
        if belongs_to(manifest, run_paths):
            found.append(manifest)
    return tuple(found)


def newest_valid(run_paths: RunPaths, recipe_sha256: str | None = None) -> Manifest | None:
    """The checkpoint of the highest step whose every byte is proved, or None.

    A damaged one is passed over for the next older. With `recipe_sha256`, one of another recipe is passed over too.
    """
    for manifest in reversed(list_checkpoints(run_paths)):
        if recipe_sha256 is not None and manifest.recipe_sha256 != recipe_sha256:
            continue
        try:
            return verify(manifest.folder, deep=True)
        except CheckpointError:
            continue
    return None


def belongs_to(manifest: Manifest, run_paths: RunPaths) -> bool:
    """Whether the manifest speaks of this run and of the step in its folder's name."""
    return manifest.run_id == run_paths.run_id and manifest.folder == run_paths.checkpoint(manifest.step)


def step_folders(run_paths: RunPaths) -> list[Path]:
    """The real folders named `step-N` of a run, by N, whatever they hold; nothing is reached through a link."""
    if not (is_real_folder(run_paths.folder) and is_real_folder(run_paths.checkpoints)):
        return []
    found = []
    for child in run_paths.checkpoints.iterdir():
        match = STEP_FOLDER.fullmatch(child.name)
        if match and is_real_folder(child):
            found.append((int(match[1]), child))
    return [folder for _, folder in sorted(found)]


def walk_files(folder: Path) -> Iterator[tuple[str, bool]]:
    """(relative name, whether a regular file) of everything below `folder` that is not a folder; links not followed."""
    pending = [(folder, "")]
    while pending:
        current, prefix = pending.pop()
        with os.scandir(current) as entries:
            for entry in sorted(entries, key=lambda item: item.name):
                if entry.is_dir(follow_symlinks=False):
                    pending.append((current / entry.name, f"{prefix}{entry.name}/"))
                else:
                    yield prefix + entry.name, entry.is_file(follow_symlinks=False)


def is_plain_name(name: str) -> bool:
    """Whether `name` is a relative path that stays inside its folder, spelled in the one normal way."""
    path = PurePosixPath(name)
    return (
        bool(name)
        and not path.is_absolute()
        and ".." not in path.parts
        and path.as_posix() == name
        and "\0" not in name
    )


def is_real_folder(path: Path) -> bool:
    """Whether `path` is a folder itself, not a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def open_without_links(path: Path) -> BufferedReader:
    """Open a regular file for reading; a link, device or pipe of that name raises OSError instead of being followed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(descriptor, "rb")
