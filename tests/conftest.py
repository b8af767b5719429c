"""What tests of several folders share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

AUTOGROUP = Path("/proc/sys/kernel/sched_autogroup_enabled")


@pytest.fixture
def fair_cores() -> Iterator[None]:
    """Share the cores among processes, not sessions, where root may say so.

    vLLM's workers poll for a second after each step. Seen with Linux 6.18 and a group of them for a session: another session's process got
    1 % of a core, and a playbook took minutes; without such groups it gets its half.
    """
    before = AUTOGROUP.read_text() if AUTOGROUP.exists() and os.access(AUTOGROUP, os.W_OK) else ""
    if before:
        AUTOGROUP.write_text("0")
    yield
    if before:
        AUTOGROUP.write_text(before)
