"""A disk that fills up at every point of a job's life, page by page, on a real small file system.

`python -m tests.reliability.full_disk FOLDER PAGES` runs inside its own mount namespace: it mounts a tmpfs on FOLDER,
leaves 0, 1, 2, … free pages, lets everything that writes run into the wall, frees the space and looks for damage.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from core.errors import FinetuiError
from core.events import CheckpointSaved, Finished, Started, StepLogged, Tagged
from core.paths import Workspace
from core.runs.checkpoints import publish, stage, sweep_staging
from core.runs.journal import decide
from core.runs.labels import note
from core.runs.spool import Spool, tail
from core.store.ingest import ingest_once
from core.store.rebuild import rebuild
from tests.reliability import ground
from tests.reliability.table import Line

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
DISK_BYTES = 6 * 1024 * 1024


def fill_at_every_page(folder: Path, pages: int) -> Line:
    """The line of the table, measured in a process with its own mount namespace."""
    began = time.monotonic()
    folder.mkdir()
    program = [sys.executable, "-m", "tests.reliability.full_disk", str(folder), str(pages)]
    if os.geteuid() != 0:
        program = ["unshare", "-Urm", *program]
    result = subprocess.run(program, capture_output=True, text=True, check=False)
    subject = "disk full at every write point"
    if result.returncode:
        reason = f"could not be run (user namespaces or root are needed): {result.stderr.strip()[-300:]}"
        return Line(subject=subject, measured="not measured", wrong=(reason,), seconds=time.monotonic() - began)
    found = json.loads(result.stdout.splitlines()[-1])
    return Line(
        subject=subject,
        measured=f"{found['points']} points, {found['refused']} writes refused, {len(found['wrong'])} corruptions",
        wrong=tuple(found["wrong"]) if found["refused"] else ("the disk was never full",),
        seconds=time.monotonic() - began,
    )


class Life:
    """One job's life against a filling disk; what was acknowledged is remembered outside of that disk."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.run_id = ground.queue_fake(workspace, steps=1)
        self.paths = workspace.run(self.run_id)
        self.spool = Spool.open(self.paths.events, attempt=1)
        self.spool.append(Started(kind="train", pid=1, boot_id="x", start_ticks=1))
        self.acknowledged: set[int] = set()
        self.published: set[int] = set()
        self.decided: set[int] = set()
        self.refused = 0
        self.step = 0

    def live(self) -> None:
        """One round of everything that writes."""
        self.step += 1
        for _ in range(3):
            self._try(self._log)
        self._try(self._save)
        self._try(self._decide)
        self._try(lambda: ingest_once(self.workspace))

    def _try(self, write: Callable[[], object]) -> None:
        try:
            write()
        except (OSError, FinetuiError):
            self.refused += 1

    def _log(self) -> None:
        values = {f"metric_{index}": index / 3 for index in range(20)}
        self.acknowledged.add(self.spool.append(StepLogged(step=self.step, values={"loss": 1.0 / self.step, **values})))

    def _save(self) -> None:
        staging = stage(self.paths, self.step)
        try:
            (staging / "weights.bin").write_bytes(os.urandom(9000))
            (staging / "optimizer.bin").write_bytes(os.urandom(5000))
        except OSError:
            shutil.rmtree(staging)
            raise
        done = publish(staging, step=self.step, run_id=self.run_id, recipe_sha256="0" * 64, extra={})
        self.published.add(self.step)
        name = done.folder.relative_to(self.paths.folder).as_posix()
        self.spool.append(
            CheckpointSaved(
                step=self.step,
                folder=name,
                bytes=done.bytes,
                manifest_sha256=done.manifest_sha256,
                reason="x",
                seconds=0.0,
            )
        )

    def _decide(self) -> None:
        self.decided.update(decide(self.workspace, Tagged(run_id=self.run_id, tag=f"t{self.step}")))

    def damage(self) -> list[str]:
        """What is wrong once there is room again."""
        wrong = []
        spooled = {record.seq for _, record in tail(self.paths.events, 0).records}
        if not self.acknowledged <= spooled:
            wrong.append(f"{len(self.acknowledged - spooled)} acknowledged lines are lost")
        journalled = {record.seq for _, record in tail(self.workspace.journal, 0).records}
        if not self.decided <= journalled:
            wrong.append(f"{len(self.decided - journalled)} acknowledged decisions are lost")
        _, corrupt = ground.corrupt_checkpoints(self.workspace)
        wrong += corrupt
        wrong += [f"checkpoint {step} is gone" for step in self.published if not self.paths.checkpoint(step).is_dir()]
        if ground.damaged_lines(self.workspace):
            wrong.append(f"{ground.damaged_lines(self.workspace)} damaged lines")
        return wrong

    def end(self) -> list[str]:
        """With room again everything must work, and the index must equal a rebuilt one."""
        sweep_staging(self.paths)
        refused_before = self.refused
        self.live()
        self.spool.append(Finished(outcome="completed", message="end", step=self.step))
        self.spool.close()
        note(self.workspace, self.run_id, "end")
        wrong = ["a write was refused although there was room"] if self.refused != refused_before else []
        ingest_once(self.workspace)
        before = ground.content(self.workspace)
        rebuild(self.workspace)
        after = ground.content(self.workspace)
        return wrong + [f"table {name} differs after a rebuild" for name in before if before[name] != after[name]]


def main(folder: Path, pages: int) -> dict[str, object]:
    """Run one life for each number of free pages."""
    wrong: list[str] = []
    refused = 0
    for free_pages in range(pages):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=700", "tmpfs", str(folder)], check=True)
        life = Life(Workspace(folder))
        life.live()
        filler = folder / "filler"
        _fill(filler, free_pages)
        for _ in range(3):
            life.live()
        filler.unlink()
        refused += life.refused
        found = life.damage() + life.end()
        wrong += [f"with {free_pages} free pages: {finding}" for finding in found]
        subprocess.run(["umount", str(folder)], check=True)
    return {"points": pages, "refused": refused, "wrong": wrong}


def _fill(filler: Path, free_pages: int) -> None:
    disk = os.statvfs(filler.parent)
    bytes_left = disk.f_bavail * disk.f_frsize - free_pages * PAGE_BYTES
    with filler.open("wb") as stream:
        stream.write(b"\0" * max(0, bytes_left))


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
