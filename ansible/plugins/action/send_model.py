"""Action ``send_model``: append what a host lacks of a model to its parts there, from a directory of the controller.

``copy`` would need the room of the model twice on the host, and begin a file of gigabytes anew after each interruption. Here each part
grows by one command at a time over the connection of the tasks; what is there is asked for before, and ``checks model --sent`` verifies it.
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible.plugins.action import ActionBase

sys.path.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
sys.path.append(str(Path(__file__).resolve().parents[3]))
from plain_text import plain  # Ansible keeps plugins out of packages
from screen_lines import tell

from python_checks.core.result import CheckError
from python_checks.model import manifest
from python_checks.model.sources import Directory

SPEC = {
    "source": {"type": "path", "required": True},
    "directory": {"type": "path", "required": True},
    "checks": {"type": "path", "required": True},
    "full": {"type": "bool", "default": False},
}
PIECE = 32 * 2**20  # bytes of one command; so much is sent again after an interruption, at most
EVERY = 10.0  # seconds between two lines
# One that another run has appended to is not what was asked for.
APPEND = 'test "$(stat -c %s {part})" = {begin} && cat >>{part}'


class ActionModule(ActionBase):
    """Send from ``source`` for the model in ``directory``; ``checks`` is the command of the probes on the host."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Tell in ``sent`` whether there is something to verify."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(SPEC)
        try:
            source = Directory(Path(args["source"]))
            text = source.sums()
            sizes = {name: source.size(name) for name in manifest.parse(text)}
        except CheckError as error:
            raise AnsibleActionFail(
                f"On the controller: {plain(error)}\nremedy: {plain(error.fault.remedy)}"
            ) from error
        if self._task.check_mode:
            return {"skipped": True, "msg": "nothing is sent in check mode"}
        command = [args["checks"], "model", "--directory", args["directory"], "--expect", "--format", "json"]
        command += ["--full"] if args["full"] else []
        given = {
            "argv": command,
            "stdin": json.dumps({"sums": text, "sizes": sizes}),
            "stdin_add_newline": False,
        }
        reply = self._execute_module("ansible.legacy.command", given, task_vars=task_vars)
        try:
            [result] = json.loads(reply["stdout"])["results"]
        except (KeyError, ValueError) as error:
            raise AnsibleActionFail(plain(reply.get("stderr") or reply.get("msg") or "no answer")) from error
        if result["state"] != "ok":
            raise AnsibleActionFail(plain(f"{result['reason']}\nremedy: {result['remedy']}"))
        self._send(source, result["evidence"]["missing"], sizes, task_vars)
        return {"changed": False, "sent": not result["evidence"]["there"], "verdict": plain(result["reason"])}

    def _send(
        self,
        source: Directory,
        missing: dict[str, list[Any]],
        sizes: dict[str, int],
        task_vars: dict[str, Any] | None,
    ) -> None:
        """Append to each part until it has all bytes."""
        total = sum(sizes[name] for name in missing)
        done, due = sum(begin for _, begin in missing.values()), time.monotonic() + EVERY
        for name, (part, begin) in sorted(missing.items(), key=lambda item: sizes[item[0]]):
            for piece in source.pieces(name, begin, PIECE):
                command = APPEND.format(part=shlex.quote(part), begin=begin)
                reply = self._low_level_execute_command(command, in_data=piece)
                if reply["rc"]:
                    why = plain(reply["stderr"].strip()) or "another run writes to it"
                    raise AnsibleActionFail(
                        f"{name} was not sent to {part}: {why}\nWhat has arrived stays: run it again, and it goes on there."
                    )
                begin += len(piece)
                done += len(piece)
                if time.monotonic() >= due:
                    tell(f"model: sent {done / 2**30:.2f} of {total / 2**30:.2f} GiB", task_vars, whole=False)
                    due = time.monotonic() + EVERY
