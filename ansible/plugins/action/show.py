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
    """Print ``text`` as it is, but for what commands a terminal; of several hosts each is named."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Print the task's ``text``; never a change."""
        _, args = self.validate_argument_spec({"text": {"type": "str", "required": True}})
        text = plain(args["text"].rstrip())
        host, hosts = (
            (task_vars or {}).get("inventory_hostname"),
            (task_vars or {}).get("ansible_play_hosts_all", ()),
        )
        if len(hosts) > 1 and host not in text.partition("\n")[0]:
            text = f"{host}:\n{text}"
        Display().display(f"\n{text}")
        return {"changed": False}
