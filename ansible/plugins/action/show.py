"""Action ``show``: print lines for a person, without the quoting of ``debug``."""

from __future__ import annotations

from typing import Any

from ansible.utils.display import Display

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Print ``text`` as it is."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Print the task's ``text``; never a change."""
        _, args = self.validate_argument_spec({"text": {"type": "str", "required": True}})
        Display().display("\n" + args["text"].rstrip())
        return {"changed": False}
