"""Action ``check``: run a probe on a host; its verdict, reason and remedy are the message of the task."""

from __future__ import annotations

import errno
from typing import Any

from ansible.plugins.action import ActionBase

WARNING = 1  # exit code of python_checks


class ActionModule(ActionBase):
    """Run ``argv``, a command of python_checks; a warning passes and is shown."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the probe; never a change."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec({"argv": {"type": "list", "elements": "str", "required": True}})
        dry, self._task.check_mode = self._task.check_mode, False  # a probe changes nothing
        reply = self._execute_module("ansible.legacy.command", {"argv": args["argv"]}, task_vars=task_vars)
        if dry and reply.get("rc") == errno.ENOENT:
            return {
                "changed": False,
                "skipped": True,
                "verdict": "",
                "msg": "the probes are not installed yet",
            }
        said = "\n".join(reply[key] for key in ("stdout", "stderr") if reply.get(key))
        verdict = said or reply.get("msg", "")
        if reply.get("rc") == WARNING:
            return {"changed": False, "verdict": verdict, "warnings": [verdict]}
        return {"changed": False, "verdict": verdict, "failed": reply.get("rc") != 0, "msg": verdict}
