"""Callback ``deploy_lock``: at the very end of a run, have its keepers give the deploy locks back, and say what an unreachable host needs.

The keepers (action ``deploy_lock``) do that without it as well, a moment later: then a playbook that follows at once would meet a lock.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: deploy_lock
type: aggregate
short_description: Give the deploy locks of a run back at its end
description: [It has no options.]
"""
LIMIT = 45.0  # seconds; a keeper ends itself before
AGAIN = (
    "{host} could not be reached any more in the middle of a deploy. What it serves now, or after its next start, may be a release that"
    " no probe has proven; its canary and ansible/status.yml say so. When it is back, deploy again: that takes over what this run left,"
    " and proves the release or goes back."
)


def lives(pid: int) -> bool:
    """Tell whether a process runs."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


class CallbackModule(CallbackBase):
    """Knows the hosts whose lock this run has by the notes of their keepers."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "deploy_lock"

    def __init__(self) -> None:
        """Registered now, it runs after the last play and before the temporary directory of the run is removed."""
        super().__init__()
        self.unreachable: set[str] = set()
        atexit.register(self.end, os.getpid())

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Note a host that cannot be reached any more."""
        self.unreachable.add(result._host.get_name())

    def end(self, run: int) -> None:
        """Wait for the keepers; only the run itself does, not a worker that it forked."""
        if os.getpid() != run:
            return
        notes = {
            int(note.name.rpartition("-")[2]): note
            for note in Path(constants.DEFAULT_LOCAL_TMP).glob("deploy-lock-*")
        }
        hosts = {note.read_text().splitlines()[0] for note in notes.values()}
        for pid in filter(lives, notes):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        limit = time.monotonic() + LIMIT
        with contextlib.suppress(KeyboardInterrupt):  # they go on without us
            while any(map(lives, notes)) and time.monotonic() < limit:
                time.sleep(0.05)
        for note in filter(Path.exists, notes.values()):
            host, _, why = note.read_text().partition("\n")
            left = f"the deploy lock of {host} could not be given back; it is void three minutes after its last sign of life"
            self._display.display(why or left)
        for host in sorted(self.unreachable & hosts):
            self._display.display(AGAIN.format(host=host))
