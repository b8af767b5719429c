"""Module ``inspect_checkout``: whether a backend's own checkout and environment can be run as they are, and which state they are in."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils import another_user
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.plain_text import plain

DOCUMENTATION = """
module: inspect_checkout
author: vllm-deploy
short_description: Look at a backend's checkout with the eyes of the user that will run it; changes nothing
description: >-
  The content is the user's, so a deploy cannot know what changed. The id covers what C(uvicorn --reload) watches (C(*.py)), C(.env), the
  packages of C(.venv) and the commit of a git work tree: when one of them is another, the backend has to be restarted.
options:
  directory: {description: The checkout., type: path, required: true}
  app: {description: "The application, C(module:attribute).", type: str, required: true}
  user: {description: Who will run it. Root looks as this user; a user that does not exist yet is no help., type: str, required: true}
"""
RETURN = """
commit: {description: "The commit, empty when it is no git work tree.", type: str, returned: success}
id: {description: 12 hex digits of what has to be loaded anew., type: str, returned: success}
home: {description: "The home directory of the user, empty when there is none.", type: str, returned: success}
"""
SPEC = {
    "directory": {"type": "path", "required": True},
    "app": {"type": "str", "required": True},
    "user": {"type": "str", "required": True},
}
Command = list[str | Path]
LARGE = 16 * 2**20  # bytes of a module or of settings that are read
SECONDS = 240  # for a look, its three commands of a minute at most among it


def command(argv: Command, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout; it may write no bytecode there."""
    environment = {"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(
            argv, cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(argv, 1, "", str(error))


def faults(directory: Path, app: str, user: str) -> Iterator[str]:
    """Yield what is in the way of running it, each with its remedy."""
    python = directory / ".venv/bin/python"
    module = directory / app.partition(":")[0].replace(".", "/")
    for path in (*reversed(directory.parents), directory):
        if not os.path.isdir(path):
            yield f"The directory {path} is not there. Correct backend_directory."
            return
        if not os.access(path, os.X_OK):
            yield f"{user} may not enter {path}. Set backend_user to the owner of the checkout, or let {user} in."
            return
    if not any(os.access(path, os.R_OK) for path in (module.with_suffix(".py"), module / "__init__.py")):
        yield f"{module}.py is not there, or {user} may not read it. Correct backend_directory or backend_app."
    if not os.access(python, os.X_OK):
        yield (
            f"{python} is not there, or {user} may not run it. Make the environment, as the owner of the checkout: "
            f"cd {directory} && python3 -m venv .venv && .venv/bin/pip install -r requirements.txt"
        )
        return
    tried = command([python, "-m", "uvicorn", "--version"], directory)
    if tried.returncode != 0:
        last = (tried.stderr.strip().splitlines() or ["it says nothing"])[-1]
        yield f"{python} -m uvicorn does not run ({last}). Install it: {python} -m pip install uvicorn"


def regular(path: Path) -> bytes:
    """Return what a regular file holds, of a large one its beginning, its size and its time; nothing of a FIFO that nobody writes to."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            return b""
        rest = f"{facts.st_size} {facts.st_mtime_ns}".encode() if facts.st_size > LARGE else b""
        return file.read(LARGE) + rest


def content(directory: Path) -> Iterator[bytes]:
    """Yield what the backend would load: its modules, its settings, and which packages it has."""
    for folder, folders, names in os.walk(directory):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
        )
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix == ".py" or path == directory / ".env":
                with contextlib.suppress(OSError):  # it may not be read, or is gone by now
                    data = regular(path)
                    yield f"{path.relative_to(directory)} {len(data)}\n".encode(errors="replace") + data
    for path in sorted(directory.glob(".venv/lib/python*/site-packages/*.dist-info")):
        yield f"{path.name}\n".encode()


def look(directory: Path, app: str, user: str) -> dict[str, Any]:
    """Return the faults of the checkout, and the state that it is in."""
    if found := list(faults(directory, app, user)):
        return {"faults": found}
    # safe.directory: git runs as the user who runs the backend, also where another one owns the checkout
    tried = command(["git", "-c", "safe.directory=*", "rev-parse", "HEAD"], directory)
    commit = tried.stdout.strip() if tried.returncode == 0 else ""
    commit = commit if re.fullmatch("[0-9a-f]{40,64}", commit) else ""
    digest = hashlib.sha256(commit.encode())
    for data in content(directory):
        digest.update(data)
    home = pwd.getpwuid(os.geteuid()).pw_dir
    found_home = home if os.path.isdir(home) else ""
    return {"faults": [], "commit": commit, "id": digest.hexdigest()[:12], "home": found_home}


def judge(found: Any, account: pwd.struct_passwd) -> dict[str, Any]:
    """Return what a process of the user's told, where that is what `look` returns: it is the user's to say, and root's to use.

    Raises:
        ValueError: it is something else.
    """
    faults = [str(fault) for fault in found["faults"]]
    if faults:
        return {"faults": faults}
    if not re.fullmatch("(?:[0-9a-f]{40,64})?", found["commit"]) or not re.fullmatch(
        "[0-9a-f]{12}", found["id"]
    ):
        raise ValueError("no commit and no id of a checkout")
    return {
        "faults": [],
        "commit": found["commit"],
        "id": found["id"],
        "home": account.pw_dir if found["home"] else "",
    }


def as_user(user: str, directory: Path, app: str) -> dict[str, Any]:
    """Look in a process of its own that has become ``user``; only root can, and only a user that is there."""
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        account = pwd.getpwuid(os.geteuid())
    if os.geteuid() != 0 or account.pw_uid == 0:
        return look(directory, app, pwd.getpwuid(os.geteuid()).pw_name)
    try:
        return judge(another_user.ask(account, lambda: look(directory, app, user), SECONDS), account)
    except (ValueError, KeyError, TypeError) as error:
        return {"faults": [f"{directory} could not be looked at by {user}: {error}."]}


def main() -> None:
    """Look, and fail with all faults at once."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    given = module.params
    found = as_user(given["user"], Path(given["directory"]), given["app"])
    if found["faults"]:
        lines = [
            *found["faults"],
            "Nothing that serves was touched, nor the checkout, which is yours (backend_source existing).",
        ]
        module.fail_json(msg=plain("\n".join(lines)))  # the user's words are among them
    module.exit_json(changed=False, **{name: found[name] for name in ("commit", "id", "home")})


if __name__ == "__main__":
    main()
