"""How the kernel shares the cores while vLLM runs beside tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")


@contextmanager
def fair() -> Iterator[None]:
    """Share the cores among processes, not sessions, where root may say so.

    vLLM's workers poll for a second after each step. Seen with Linux 6.18 and a group of them for a session: another session's process got
    1 % of a core, and a playbook took minutes; without such groups it gets its half.
    """
    before = AUTOGROUP.read_text() if AUTOGROUP.exists() and os.access(AUTOGROUP, os.W_OK) else ""
    if before:
        AUTOGROUP.write_text("0")
    try:
        yield
    finally:
        if before:
            AUTOGROUP.write_text(before)
