"""Module ``deploy_lock``: one deploy at a time on a host. The lock is a file that says who holds it.

The file's time is the holder's last sign of life.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
void: {description: "Why the run that holds it must be gone, by what this host sees; empty when it may live.", type: str, returned: always}
"""
SPEC = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "required": True, "choices": ["taken", "released"]},
    "holder": {"type": "dict", "required": True},
    "instead_of": {"type": "dict"},
}
LEASE = 180.0  # seconds without a sign of life after which a run is taken for gone; python_checks/service/marks.py has it, too
ABOUT_HERE = (
    "since",
    "here",
)  # what the host adds to the holder: when it was taken, and in which life of the host


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Let no other process change the lock meanwhile."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def life() -> str:
    """Return what is another after each boot of this host, a container's too; empty where that is hidden."""
    try:
        began = Path("/proc/1/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot.replace('-', '')}/{began}"  # as systemd writes it
    except (OSError, IndexError):
        return ""


def read(path: Path) -> dict[str, Any]:
    """Return what a lock says; an unreadable one has no holder."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def holder(path: Path) -> dict[str, Any]:
    """Return the holder of a lock."""
    return {key: value for key, value in read(path).items() if key not in ABOUT_HERE}


def take(path: Path, mine: dict[str, Any], instead_of: dict[str, Any] | None) -> bool:
    """Take the lock unless another one than ``instead_of`` has it, and tell whether it is ours."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    with alone(path.parent):
        if path.exists() and holder(path) != instead_of:
            return holder(path) == mine
        handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(mine | {"since": time.time(), "here": life()}, file)
        os.chmod(unfinished, 0o644)  # the canary reads it
        os.replace(unfinished, path)
    return True


def release(path: Path, mine: dict[str, Any]) -> None:
    """Give the lock back, if it is ours."""
    if path.parent.is_dir():
        with alone(path.parent):
            if path.exists() and holder(path) == mine:
                path.unlink()


def void(path: Path) -> str:
    """Return why the run that holds a lock must be gone, as far as this host can tell; empty when it may live."""
    here = read(path).get("here", "")
    if here and life() and here != life():
        return "this host was booted since"
    silent = time.time() - path.stat().st_mtime
    return f"it gave no sign of life for {silent:.0f} s" if abs(silent) > LEASE else ""


def main() -> None:
    """Take or release it, and tell who holds it."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    given = module.params
    path, mine = Path(given["path"]), given["holder"]
    if not module.check_mode:
        if given["state"] == "taken":
            take(path, mine, given["instead_of"])
        else:
            release(path, mine)
    there = path.exists()
    since = read(path).get("since") if there else None
    age = (
        time.time() - float(since if isinstance(since, (int, float)) else path.stat().st_mtime)
        if there
        else 0.0
    )
    module.exit_json(changed=False, holder=holder(path), age=age, void=void(path) if there else "")


if __name__ == "__main__":
    main()
