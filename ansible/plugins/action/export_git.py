"""Action ``export_git``: the files of one commit, exported on the controller, from where they are copied like any folder.

A host then needs neither git nor a way to the repository nor a key for it, and all hosts of a run get the same commit of a branch.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible import constants
from ansible.plugins.action import ActionBase

SPEC = {
    "url": {"type": "str", "required": True},
    "version": {"type": "str", "required": True},
}
SECONDS = 600  # for each command of git
COMMIT = re.compile(r"[0-9a-f]{40,64}")


def masked(text: str) -> str:
    """Return ``text`` without the passwords of its URLs."""
    return re.sub(r"://[^/@\s]+@", "://***@", text)


def git(*arguments: str | Path, remedy: str) -> str:
    """Run git, never asking for a password, and return its output; a failure tells what git said, without passwords of URLs."""
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
    environment.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    try:
        reply = subprocess.run(
            ["git", *arguments], env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise AnsibleActionFail(
            "The controller has no git. Install it: sudo apt-get install -y git"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise AnsibleActionFail(f"git did not end within {SECONDS} s. {remedy}") from error
    if reply.returncode != 0:
        raise AnsibleActionFail(f"{masked(reply.stderr.strip())}\n{masked(remedy)}")
    return reply.stdout.strip()


def export(url: str, version: str, directory: Path) -> str:
    """Write the files of ``version`` to ``directory``/tree and return the commit."""
    store, tree = directory / "git", directory / "tree"
    tree.mkdir(exist_ok=True)
    shutil.rmtree(store, ignore_errors=True)  # of an earlier host, whose export failed
    remedy = f"Can the controller read it? git ls-remote {url} (backend_git_url). Nothing was touched."
    git("clone", "--quiet", "--bare", "--filter=blob:none", "--", url, store, remedy=remedy)
    remedy = (
        f"{url} has no branch, tag or commit {version}: correct backend_git_version. Nothing was touched."
    )
    found = git(
        f"--git-dir={store}",
        "rev-parse",
        "--verify",
        "--end-of-options",
        f"{version}^{{commit}}",
        remedy=remedy,
    )
    commit = COMMIT.findall(found)[-1]
    remedy = f"The files of {commit} could not be read from {url}."
    git(f"--git-dir={store}", f"--work-tree={tree}", "checkout", "--quiet", commit, "--", ".", remedy=remedy)
    return commit


def refuse(tree: Path, url: str) -> None:
    """Refuse what a copy would not hold, or would take from elsewhere on the controller."""
    if (tree / ".gitmodules").exists():
        raise AnsibleActionFail(
            f"{url} has submodules, which are not exported. Use backend_source: copy with a folder."
        )
    for path in tree.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(tree.resolve()):
            name = path.relative_to(tree)
            raise AnsibleActionFail(
                f"{name} of {url} is a link that leads out of the repository, and is not followed."
            )


class ActionModule(ActionBase):
    """Export a version of a repository, once for all hosts of this run."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the commit and the directory; the end of the run removes it. Never a change, and the same in check mode."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(SPEC)
        key = hashlib.sha256(f"{args['url']} {args['version']}".encode()).hexdigest()[:16]
        directory = Path(constants.DEFAULT_LOCAL_TMP, f"git-{key}")
        directory.mkdir(exist_ok=True)
        done = directory / "commit"
        with (directory / "lock").open("w") as lock:  # the processes of the other hosts are here too
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                commit = export(args["url"], args["version"], directory)
                refuse(directory / "tree", masked(args["url"]))
                done.write_text(commit, encoding="ascii")
        return {
            "changed": False,
            "commit": done.read_text(encoding="ascii"),
            "directory": f"{directory}/tree",
        }
