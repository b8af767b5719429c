"""Action ``progress``: run a long command on a host and show what it says on standard error while it runs.

A task of Ansible is silent until it ends. Here a second use of the connection reads the command's standard error every two
seconds, and each new last line is shown with the time that has passed,
below a title; what ends before that says nothing. Each reading is a sign of life as well: without one for
half a minute the command is ended, because Ctrl-C at the controller reaches nothing on the host. Where the controller is the host, Ctrl-C
reaches the shell that waits for the command, which ends it.
"""

from __future__ import annotations

import copy
import os
import shlex
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase

sys.path.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
from plain_text import plain  # Ansible keeps plugins out of packages
from screen_lines import tell

SPEC = {
    "argv": {"type": "list", "elements": "str", "required": True},
    "chdir": {"type": "str"},
    "stdin": {"type": "str"},
    "inherit": {"type": "dict", "default": {}},
    "label": {"type": "str", "required": True},
    "title": {"type": "str", "required": True},
}
EVERY = 2.0  # seconds
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
# The command has a session of its own, so that all that it starts ends with it, by SIGKILL after five seconds.
WATCH = """
log=$1; exec 3<"$2"; shift 2
mkdir -p "${log%/*}"; touch "$log" "$log.alive"
setsid "$@" 2>"$log" <&3 3<&- & command=$! left=50
trap 'rm -f "$log.alive"' HUP INT TERM
trap '' PIPE  # who reads its output may be gone first
while kill -0 $command 2>/dev/null; do
    sleep 0.1
    [ -n "$(find "$log.alive" -mmin -0.5 2>/dev/null)" ] && continue
    if [ $left -eq 0 ]; then kill -s KILL -- -$command; else kill -- -$command; fi 2>/dev/null
    left=$((left > 0 ? left - 1 : 0))
done
trap '' HUP INT TERM
wait $command; rc=$?
[ $rc -eq 0 ] || tail -n 40 "$log" >&2
rm -f "$log" "$log.alive"
exit $rc
"""


class Follower(threading.Thread):
    """Show the last line of ``path`` on the host, each time that it is a new one, until ``done`` is set."""

    def __init__(self, action: ActionBase, path: str, title: str, show: Callable[[str], None]) -> None:
        """Follow ``path`` as the user that writes it, over a connection of its own like that of ``action``; ``show`` prints a line."""
        super().__init__(daemon=True)
        self.action, self.path, self.title, self.show = copy.copy(action), path, title, show
        self.action._connection = copy.copy(action._connection)
        self.action._connection.become = copy.copy(action._connection.become)  # it remembers its last command
        self.done = threading.Event()
        self.start_time = time.monotonic()
        self.parent = os.getppid()

    def follow(self) -> None:
        """Start, and leave interrupts to the main thread: one that this thread got would not wake that one from its waiting."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
        self.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def run(self) -> None:
        """Read and show until done; a run that was killed ends its command, and this process of it."""
        shown = ""
        path = shlex.quote(self.path)
        while not self.done.wait(EVERY):
            if os.getppid() != self.parent:
                self.action._low_level_execute_command(f"rm -f {path}.alive")
                os.kill(os.getpid(), signal.SIGTERM)
                return
            if self.title:
                self.show(self.title)
                self.title = ""
            reply = self.action._low_level_execute_command(f"touch -c {path}.alive; tail -n 1 {path}")
            line = plain(reply["stdout"].strip()) if reply["rc"] == 0 else ""
            if line and line != shown:
                passed = "" if line.endswith(" s)") else f" ({time.monotonic() - self.start_time:.0f} s)"
                self.show(f"{line}{passed}")
                shown = line


class ActionModule(ActionBase):
    """Run ``argv`` with ``stdin``; its standard output is the result, its standard error the progress."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the command, follow it, and return what the command module returned."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(SPEC)
        if self._task.check_mode:
            return {"skipped": True, "msg": "a long command is not run in check mode", "cmd": args["argv"]}
        # On the controller alone: the command gets them as this process has them, and no command line has them.
        os.environ.update(args["inherit"])
        folder = self._remote_expand_user(self.get_shell_option("remote_tmp"))
        run = Path(constants.DEFAULT_LOCAL_TMP).name  # deploy_lock ends what a run has left, by this name
        path = f"{folder}/progress-{run}-{uuid.uuid4().hex}"
        source = "/dev/null" if args["stdin"] is None else "/dev/stdin"
        command = {
            "argv": ["sh", "-c", WATCH, "sh", path, source, *args["argv"]],
            "chdir": args["chdir"],
            "stdin": args["stdin"],
        }

        def show(line: str) -> None:
            tell(f"{args['label']}: {line}", task_vars, whole=False)

        follower = Follower(self, path, args["title"], show)
        follower.follow()
        try:
            result: dict[str, Any] = self._execute_module(
                "ansible.legacy.command", command, task_vars=task_vars
            )
        finally:
            follower.done.set()
            follower.join(timeout=10)
        if result.get("rc"):
            said = [plain(result.pop(name, "").strip()) for name in ("stdout", "stderr")]
            result |= {"stdout": said[0], "stdout_lines": said[0].splitlines(), "stderr_lines": []}
            result["msg"] = "\n".join(
                part for part in reversed(said) if part
            )  # the result behind its progress
        return result | {"cmd": args["argv"]}
