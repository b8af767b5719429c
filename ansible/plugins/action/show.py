"""Action ``show``: print lines for a person, without the quoting of ``debug``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.utils.display import Display

from ansible.plugins.action import ActionBase

sys.path.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
from plain_text import plain  # Ansible keeps plugins out of packages


class ActionModule(ActionBase):
    """Print ``text`` as it is, but for what commands a terminal."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Print the task's ``text``; never a change."""
        _, args = self.validate_argument_spec({"text": {"type": "str", "required": True}})
        Display().display("\n" + plain(args["text"].rstrip()))
        return {"changed": False}
