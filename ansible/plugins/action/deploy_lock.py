"""Action ``deploy_lock``: take the deploy lock of a host, in the name of this run of ansible-playbook, which gives it back by itself.

The lock belongs to the run, not to a task: a process of its own, the keeper, gives the host a sign of life now and then, and gives the lock
back when the run ends, whatever its end (success, failure, unreachable host, Ctrl-C, kill -9). The callback plugin of the same name waits
for that. Where the keeper cannot reach the host any more, or is gone as well, the lock is void within minutes, and the next run takes over.
Then what the lost run started and what still runs on the host is ended first: two installs into one environment would spoil it.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from ansible.utils.display import Display

from ansible import constants
from ansible.plugins.action import ActionBase

sys.path.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
from screen_lines import tell  # Ansible keeps plugins out of packages

SPEC = {"path": {"type": "path", "required": True}, "break_it": {"type": "bool", "default": False}}
EVERY = 20.0  # seconds between two signs of life
LAST = 40  # seconds that the keeper has for giving the lock back; the callback plugin waits longer
NOTE = "deploy-lock-{}"  # of a keeper, by its process id, in the temporary directory of the run: the host, and what went wrong
# The action ``progress`` ends its command when the sign of life is gone, and removes its files, but not those from before a reboot.
# Their names begin with the run: other runs of this user on the host are let alone.
END = """
cd {folder} 2>/dev/null || exit 0
set -- progress-{run}
rm -f "$1"-*.alive
tries=0
while [ $((tries += 1)) -le 80 ] && ls "$1"-* >/dev/null 2>&1; do sleep 0.1; done
rm -f "$1"-*
"""
# One that is gone was removed by a person, or with everything else.
RENEW = """
if grep -qsF {run} {path}; then touch -c {path}; elif [ -e {path} ]; then cat {path}; exit 7; fi
"""
LOST = 7  # exit code of RENEW: another run has it


def started(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; empty when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def boot() -> str:
    """Return the id of this machine's boot, and of the process numbers that count here: containers share the former."""
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}/{os.readlink('/proc/self/ns/pid')}"


def holder(name: str) -> dict[str, Any]:
    """Return who this run is, for the host ``name`` of the inventory; workers of ansible-playbook are its children."""
    pid = os.getppid()
    return {
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "pid": pid,
        "started": started(pid),
        "boot": boot(),
        "run": Path(constants.DEFAULT_LOCAL_TMP).name,  # it has a random part
        "name": name,
    }


def is_here(other: dict[str, Any]) -> bool:
    """Tell whether a holder is a process of this machine since its last boot."""
    return bool(other.get("boot") == boot() and other.get("pid"))


def is_gone(other: dict[str, Any]) -> bool:
    """Tell whether a holder was a process of this machine that ended."""
    return is_here(other) and started(int(other["pid"])) != other.get("started")


def in_words(age: float) -> str:
    """Return an age as a person says it."""
    return f"{age:.0f} s" if age < 120 else f"{age / 60:.0f} min" if age < 7200 else f"{age / 3600:.0f} h"


def notes() -> Path:
    """Return where keepers of this run leave their notes."""
    return Path(constants.DEFAULT_LOCAL_TMP)


class ActionModule(ActionBase):
    """Run the module of the same name, and judge the holder that it finds."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with the holder and the age of a lock that another run holds; in check mode, too."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(SPEC)
        name = str(task_vars and task_vars["inventory_hostname"])
        mine = holder(name)
        arguments = {"path": args["path"], "state": "taken", "holder": mine}
        reply = self._execute_module("deploy_lock", arguments, task_vars=task_vars)
        other = reply.get("holder", {})
        if not reply.get("failed") and other not in ({}, mine):
            if refused := self._refused(args, name, mine, reply):
                return reply | {"failed": True, "msg": refused}
            if not self._task.check_mode:
                reply = self._execute_module(
                    "deploy_lock", arguments | {"instead_of": other}, task_vars=task_vars
                )
                if not reply.get("failed") and reply["holder"] != mine:
                    return reply | {
                        "failed": True,
                        "msg": self._refused(args, name, mine, reply | {"void": ""}),
                    }
                self._end_commands(other)
        if not reply.get("failed") and not self._task.check_mode:
            self._have_kept(args["path"], mine, task_vars)
        return reply

    def _refused(self, args: dict[str, Any], name: str, mine: dict[str, Any], reply: dict[str, Any]) -> str:
        """Return why the lock of another may not be taken over; empty when it may, which is said."""
        other = reply["holder"]
        if other.get("run") == mine["run"]:
            return (
                f"{other.get('name')} and {name} are two names of one host in the inventory ({args['path']} is the same file): they"
                " would be deployed at once, over each other. Keep one name, and put it into both groups if it is to have both."
            )
        who = f"{other.get('user')}@{other.get('host')} (process {other.get('pid')})"
        why = (
            "deploy_lock_break was given"
            if args["break_it"]
            else "its run has ended"
            if is_gone(other)
            else ""
        )
        why = why or ("" if is_here(other) and "sign of life" in reply["void"] else reply["void"])
        if why:
            tell(f"deploy lock of {name}: taken over from {who}: {why}", None)
            return ""
        return (
            f"Another deploy works on {name}: {who}, since {in_words(reply['age'])} ({args['path']}). Nothing was touched."
            " Wait for its end; if that run is dead, its lock is void three minutes after its last sign of life, or at once with"
            " -e deploy_lock_break=true."
        )

    def _end_commands(self, holder: dict[str, Any]) -> None:
        """End what a run that is lost or over has still running on the host."""
        folder = self._remote_expand_user(self.get_shell_option("remote_tmp"))
        run = str(holder.get("run"))
        self._low_level_execute_command(END.format(folder=shlex.quote(folder), run=shlex.quote(run)))

    def _have_kept(self, path: str, mine: dict[str, Any], task_vars: dict[str, Any] | None) -> None:
        """Start the keeper of the lock, unless it runs."""
        for note in notes().glob(NOTE.format("*")):
            if note.read_text().splitlines()[0] == mine["name"] and started(
                int(note.name.rpartition("-")[2])
            ):
                return
        pid = os.fork()
        if pid:
            (notes() / NOTE.format(pid)).write_text(mine["name"])
            return
        try:
            self._keep(path, mine, task_vars)
        finally:
            os._exit(0)

    def _keep(self, path: str, mine: dict[str, Any], task_vars: dict[str, Any] | None) -> None:
        """Renew the lock while the run lives, then give it back."""
        over: list[int] = []

        def end(number: int, _frame: object) -> None:
            over.append(number)
            signal.alarm(LAST)

        def give_up(_number: int, _frame: object) -> None:
            os.killpg(0, signal.SIGKILL)

        os.setsid()
        for number, handler in (
            (signal.SIGINT, signal.SIG_IGN),
            (signal.SIGTERM, end),
            (signal.SIGALRM, give_up),
        ):
            signal.signal(number, handler)
        Display().set_queue(None)  # the run may be gone before us
        renew = RENEW.format(run=shlex.quote(f'"{mine["run"]}"'), path=shlex.quote(path))
        due = time.monotonic() + EVERY
        while not over and started(mine["pid"]) == mine["started"]:
            time.sleep(0.2)
            if time.monotonic() > due:
                reply = self._try(renew)
                due = time.monotonic() + EVERY
                if reply.get("rc") == LOST:
                    self._lost(mine, reply["stdout"])
                    return
        signal.alarm(LAST)
        note = notes() / NOTE.format(os.getpid())
        while True:
            with contextlib.suppress(Exception):  # of the connection, or of Ansible, whose run may be gone
                self._end_commands(mine)
                reply = self._execute_module(
                    "deploy_lock", {"path": path, "state": "released", "holder": mine}, task_vars=task_vars
                )
                if not reply.get("failed") and not reply.get("unreachable"):
                    note.unlink(missing_ok=True)
                    return
            time.sleep(1)

    def _try(self, command: str) -> dict[str, Any]:
        """Run a shell command on the host, which may not be reachable."""
        try:
            reply: dict[str, Any] = self._low_level_execute_command(command)
        except Exception:  # whatever the connection raises: the next one is tried in time
            return {}
        return reply

    def _lost(self, mine: dict[str, Any], found: str) -> None:
        """End the run, whose lock another one took over while this machine slept or was cut off."""
        note = notes() / NOTE.format(os.getpid())
        why = f"another run has taken over the deploy lock of {mine['name']}, so this one ended: {found.strip()}"
        note.write_text(f"{mine['name']}\n{why}")
        os.kill(mine["pid"], signal.SIGINT)
