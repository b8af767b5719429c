"""Module ``deploy_lock``: one deploy at a time on a host. The lock is a file that says who holds it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: deploy_lock
author: vllm-deploy
short_description: Take or release the deploy lock of a host
options:
  path: {description: The lock., type: path, required: true}
  state: {description: What to do., type: str, required: true, choices: [taken, released]}
  holder: {description: "Who takes or releases it; releasing another's lock does nothing.", type: dict, required: true}
  instead_of: {description: A holder whose lock may be taken over., type: dict}
"""
RETURN = """
holder: {description: Who holds it now, type: dict, returned: always}
age: {description: Seconds since it was taken., type: float, returned: always}
"""
SPEC = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "required": True, "choices": ["taken", "released"]},
    "holder": {"type": "dict", "required": True},
    "instead_of": {"type": "dict"},
}


def read(path: Path) -> dict[str, object]:
    """Return the holder of a lock; an unreadable one has no name."""
    try:
        found: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found


def take(path: Path, holder: dict[str, object], instead_of: dict[str, object] | None) -> bool:
    """Take the lock; a link is made at once or not at all, so of two only one has it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    mine = path.with_name(f".{path.name}.{os.getpid()}")
    mine.write_text(json.dumps(holder), encoding="utf-8")
    try:
        if instead_of is not None and read(path) == instead_of:
            path.unlink(missing_ok=True)
        os.link(mine, path)
    except FileExistsError:
        return read(path) == holder
    finally:
        mine.unlink()
    return True


def main() -> None:
    """Take or release it, and tell who holds it."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    given = module.params
    path, holder = Path(given["path"]), given["holder"]
    if not module.check_mode:
        if given["state"] == "taken":
            take(path, holder, given["instead_of"])
        elif read(path) == holder:
            path.unlink()
    age = time.time() - path.stat().st_mtime if path.exists() else 0.0
    module.exit_json(changed=False, holder=read(path), age=age)


if __name__ == "__main__":
    main()
