"""End a process of ours that does not end by itself, and only that one.

A pid is a name that the kernel gives to somebody else as soon as it is free: so the process is first held by a
descriptor (pidfd_open(2)), then compared with what was written down, and only then signalled. This module must not be
used on a worker that still has something to say.
"""

from __future__ import annotations

import os
import signal

from core.runs.identity import ProcessIdentity, is_alive


def end_process(identity: ProcessIdentity) -> bool:
    """SIGKILL exactly this process; False where it is gone or may not be signalled."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except OSError:
        return False
    try:
        if not is_alive(identity):
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
