"""Module ``link_log``: a link at the place where an inventory wants a log, to the log itself, which lies where only root writes.

Root and systemd open a log under its name. In a directory of another user that name may be a link to any file, or a FIFO that nobody
writes to; so this module never opens it there, and the link is made with that user's rights.
"""

from __future__ import annotations

import os
import pwd
import time
from pathlib import Path
from typing import Any

from ansible.module_utils import another_user
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.plain_text import plain
from ansible.module_utils.trust import others

DOCUMENTATION = """
module: link_log
author: vllm-deploy
short_description: Keep a link to a log
description: What else lies at the place is kept beside it under another name.
options:
  path: {description: The place., type: path, required: true}
  log: {description: The log., type: path, required: true}
  state: {description: Whether there is a link., type: str, choices: [present, absent], default: present}
"""
RETURN = """
kept: {description: "Where that lies now which lay at the place, empty when nothing did.", type: str, returned: always}
"""
SPEC = {
    "path": {"type": "path", "required": True},
    "log": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}
SECONDS = 30  # for a link
REMEDY = "Choose another place for the log (vllm_log_file, backend_log_file): "


def is_there(path: Path, log: Path) -> bool:
    """Tell whether the link is at its place."""
    return path.is_symlink() and os.readlink(path) == str(log)


def owner(path: Path) -> int:
    """Return with whose rights a name in the directory of ``path`` is made.

    Raises:
        ValueError: root owns it, and others may write there.
    """
    found = others(path.parent)
    if open_to_all := [other for other in found if not other.uid]:
        other = open_to_all[0]
        raise ValueError(f"{REMEDY}{other.path} {other.why}; or: sudo chmod go-w {other.path}")
    return found[0].uid if found else 0


def link(path: Path, log: Path) -> str:
    """Make the link, and return where that lies now which lay there."""
    kept = ""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    if os.path.lexists(path):
        kept = f"{path}.{time.strftime('%Y%m%d-%H%M%S')}"
        os.rename(path, kept)
    os.symlink(log, path)
    return kept


def as_user(uid: int, path: Path, log: Path, state: str) -> str:
    """Do it in a process of its own with the rights of a user, and return what `link` does.

    Raises:
        ValueError: that user may not.
    """

    def work() -> str:
        if state == "present":
            return link(path, log)
        os.unlink(path)
        return ""

    try:
        return str(another_user.ask(pwd.getpwuid(uid) if uid else None, work, SECONDS))
    except (ValueError, KeyError) as error:
        words = f"{REMEDY}no link can be made at {path} with the rights of user {uid}: {error}"
        raise ValueError(words) from error


def act(given: dict[str, Any], dry: bool) -> dict[str, Any]:
    """Do what is asked and return the result.

    Raises:
        ValueError: the place is no place for a log.
    """
    path, log = Path(given["path"]), Path(given["log"])
    if is_there(path, log) == (given["state"] == "present") or path == log:
        return {"changed": False, "kept": ""}
    uid = owner(path)
    return {"changed": True, "kept": "" if dry else as_user(uid, path, log, given["state"])}


def main() -> None:
    """Do what is asked."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    try:
        module.exit_json(**act(module.params, module.check_mode))
    except ValueError as error:
        module.fail_json(msg=plain(error))  # where a link leads is its owner's to write


if __name__ == "__main__":
    main()
