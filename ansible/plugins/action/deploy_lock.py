"""Action ``deploy_lock``: take or release the deploy lock of a host, in the name of this run of ansible-playbook.

A run that was killed leaves its lock. Its holder is known by machine, process and the process's start, so that the next run from the same
machine sees that it is gone and takes over; from another machine it takes C(-e deploy_lock_break=true). Then what that run started and what
still runs on the host is ended first: two installs into one environment would spoil it.
"""

from __future__ import annotations

import getpass
import os
import shlex
import socket
from pathlib import Path
from typing import Any

from ansible.utils.display import Display

from ansible.plugins.action import ActionBase

SPEC = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "required": True, "choices": ["taken", "released"]},
    "break_it": {"type": "bool", "default": False},
}
# The action ``progress`` ends its command when the sign of life is gone, and removes its files, but not those from before a reboot.
END = """
cd {folder} 2>/dev/null || exit 0
rm -f progress-*.alive
tries=0
while [ $((tries += 1)) -le 100 ] && ls progress-* >/dev/null 2>&1; do sleep 0.1; done
rm -f progress-*
"""


def started(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; empty when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def boot() -> str:
    """Return the id of this machine's boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def holder() -> dict[str, Any]:
    """Return who this run is; workers of ansible-playbook are its children."""
    pid = os.getppid()
    return {
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "pid": pid,
        "started": started(pid),
        "boot": boot(),
    }


def is_gone(other: dict[str, Any]) -> bool:
    """Tell whether a holder was a process of this machine that ended."""
    return bool(other.get("boot") == boot() and started(int(other["pid"])) != other["started"])


def in_words(age: float) -> str:
    """Return an age as a person says it."""
    return f"{age:.0f} s" if age < 120 else f"{age / 60:.0f} min" if age < 7200 else f"{age / 3600:.0f} h"


class ActionModule(ActionBase):
    """Run the module of the same name, and judge the holder that it finds."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with the holder and the age of a lock that another run holds."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(SPEC)
        mine = holder()
        arguments = {"path": args["path"], "state": args["state"], "holder": mine}
        reply = self._execute_module("deploy_lock", arguments, task_vars=task_vars)
        other = reply.get("holder")
        if reply.get("failed") or args["state"] == "released" or self._task.check_mode or other == mine:
            return reply
        who = f"{other.get('user')}@{other.get('host')} (process {other.get('pid')})"
        if args["break_it"] or is_gone(other):
            why = "deploy_lock_break was given" if args["break_it"] else "its run has ended"
            Display().display(f"  deploy lock: taken over from {who}: {why}")
            reply = self._execute_module(
                "deploy_lock", arguments | {"instead_of": other}, task_vars=task_vars
            )
            if not reply.get("failed") and reply["holder"] == mine:
                folder = self._remote_expand_user(self.get_shell_option("remote_tmp"))
                self._low_level_execute_command(END.format(folder=shlex.quote(folder)))
                return reply
            if reply.get("failed"):
                return reply
        reply["msg"] = (
            f"Another deploy works on {task_vars and task_vars['inventory_hostname']}: {who}, since"
            f" {in_words(reply['age'])} ({args['path']}). Nothing was touched. Wait for its end; if that run is"
            " dead, add -e deploy_lock_break=true."
        )
        return reply | {"failed": True}
