"""Which journal mode SQLite may use here, and why: decided once per opening, shown by `doctor`.

SQLite 3.7.0 to 3.51.2 can corrupt a WAL database that several processes write and checkpoint (fixed in 3.51.3), and WAL
needs memory shared on one host, which a network file system lacks. This module must not open a database.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

FIRST_SAFE_WAL = (3, 51, 3)
NETWORK_FILE_SYSTEMS = frozenset(
    (
        "9p", "afs", "beegfs", "ceph", "cifs", "fuse", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
        "ocfs2", "pvfs2", "smb2", "smb3", "smbfs", "virtiofs",
    )
)  # fmt: skip
MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalPolicy:
    """The journal mode to use, with what it was decided from."""

    mode: str  # WAL | TRUNCATE
    reason: str
    sqlite_version: str
    file_system: str  # as the kernel names it; empty where it could not be learned


def journal_policy(
    folder: Path, *, sqlite_version: tuple[int, ...] | None = None, file_system: str | None = None
) -> JournalPolicy:
    """The policy for a database in `folder`; both facts can be given to ask "what if"."""
    version = sqlite3.sqlite_version_info if sqlite_version is None else sqlite_version
    kind = file_system_of(folder) if file_system is None else file_system
    spelled = ".".join(str(part) for part in version)
    if is_network(kind):
        mode, reason = "TRUNCATE", f"the workspace is on a {kind} file system"
    elif version < FIRST_SAFE_WAL:
        mode, reason = "TRUNCATE", f"SQLite {spelled} can corrupt a WAL database; 3.51.3 is the first that can't"
    else:
        mode, reason = "WAL", f"SQLite {spelled} on a local disk"
    return JournalPolicy(mode=mode, reason=reason, sqlite_version=spelled, file_system=kind)


def is_network(file_system: str) -> bool:
    """Whether a file system of this kernel name may be shared between hosts; every FUSE one may."""
    return file_system in NETWORK_FILE_SYSTEMS or file_system.startswith("fuse.")


def file_system_of(folder: Path, mounts: Path | None = None) -> str:
    """The kernel's name of the file system that holds `folder` (ext4, nfs4, …); empty where that is not known.

    The longest mount point that is a prefix of the path wins, and of equal ones the last: it covers the earlier.
    """
    try:
        lines = (MOUNTS if mounts is None else mounts).read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    path = folder.resolve()
    best, kind = -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        parts = before.split(" ")
        if len(parts) < 5 or not after:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), parts[4]))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split(" ")[0]
    return kind
