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
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from ansible.errors import AnsibleActionFail

from ansible import constants
from ansible.plugins.action import ActionBase

sys.path.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
from links import astray  # Ansible keeps plugins out of packages
from plain_text import plain

SPEC = {
    "url": {"type": "str", "required": True},
    "version": {"type": "str", "required": True},
    "environment": {"type": "dict", "default": {}},
}
SECONDS = 600  # for each command of git
COMMIT = re.compile(r"[0-9a-f]{40,64}")
# Every user of the controller sees the arguments of a process, and only its own user sees its environment. ansible.builtin.git has a URL's
# password in git's arguments, and Ansible writes the `environment` of a task into those of `sh -c`: hence no task with that module.
HELPER = """!f() { [ "$1" != get ] || printf 'username=%s\\npassword=%s\\n' "$EXPORT_GIT_USER" "$EXPORT_GIT_PASSWORD"; }; f"""


class Repository(NamedTuple):
    """Where a repository is, and with what git may ask there; ``url`` holds neither name nor password.

    ``way`` are variables that tell how git gets there: a proxy, a CA.
    """

    url: str
    user: str = ""
    password: str = ""
    way: Mapping[str, str] = MappingProxyType({})

    @property
    def scope(self) -> str:
        """Return the start of settings of git that are for this server, and for no other that it is sent on to."""
        place = urlsplit(self.url)
        return f"credential.{place.scheme}://{place.netloc}"

    def options(self) -> list[str]:
        """Return options of git that have it ask with name and password."""
        key = f"{self.scope}.helper"
        first = (
            [f"{key}="] if self.password else []
        )  # without a password a helper of the user's own may know it
        settings = [*first, f"{key}={HELPER}"] if self.user else []
        return [word for each in settings for word in ("-c", each)]

    def environment(self) -> dict[str, str]:
        """Return the variables that these options read."""
        number = int(os.environ.get("GIT_CONFIG_COUNT", 0))
        return {
            **self.way,
            "EXPORT_GIT_USER": self.user,
            "EXPORT_GIT_PASSWORD": self.password,
            f"GIT_CONFIG_KEY_{number}": f"{self.scope}.username",
            f"GIT_CONFIG_VALUE_{number}": self.user,
            "GIT_CONFIG_COUNT": str(number + bool(self.user)),
        }


def repository(given: str) -> Repository:
    """Take a URL apart; the message of a failure does not hold it, for it may hold a password."""
    place = urlsplit(given)
    if place.scheme not in ("http", "https"):
        if place.password:
            raise AnsibleActionFail(
                f"backend_git_url is a URL of {place.scheme} with a password, which git does not take there. Leave it"
                " out, and let the controller's user have a key."
            )
        return Repository(given)
    if "@" in place.path + place.query + place.fragment:
        raise AnsibleActionFail(
            "backend_git_url has an @ behind a /, ? or #, so it cannot be told where its password ends. Write %2F, %3F,"
            " %23 and %40 for these in the password or the path."
        )
    user, _, host = place.netloc.rpartition("@")
    name, _, password = user.partition(":")
    return Repository(SplitResult(place.scheme, host, *place[2:]).geturl(), unquote(name), unquote(password))


def git(source: Repository, *arguments: str | Path, remedy: str) -> str:
    """Run git, never asking for a password, and return its output; a failure tells what git said."""
    environment = os.environ | source.environment() | {"GIT_TERMINAL_PROMPT": "0"}
    environment.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    try:
        reply = subprocess.run(
            ["git", *source.options(), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise AnsibleActionFail(
            "The controller has no git, and backend_source is git. Install it."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise AnsibleActionFail(f"git did not end within {SECONDS} s. {remedy}") from error
    if reply.returncode != 0:
        secret = source.password or source.user  # a token may be either; a server may quote it
        said = reply.stderr.strip()
        # The secret goes first: with another character in it, it would not be found.
        raise AnsibleActionFail(f"{plain(said.replace(secret, '***') if secret else said)}\n{remedy}")
    return reply.stdout.strip()


def export(source: Repository, version: str, directory: Path) -> str:
    """Write the files of ``version`` to ``directory``/tree and return the commit."""
    store, tree = directory / "git", directory / "tree"
    tree.mkdir(exist_ok=True)
    shutil.rmtree(store, ignore_errors=True)  # of an earlier host, whose export failed
    url = source.url
    remedy = f"Can the controller read it? git ls-remote {url} (backend_git_url). Nothing was touched."
    git(source, "clone", "--quiet", "--bare", "--filter=blob:none", "--", url, store, remedy=remedy)
    remedy = (
        f"{url} has no branch, tag or commit {version}: correct backend_git_version. Nothing was touched."
    )
    found = git(
        source,
        f"--git-dir={store}",
        "rev-parse",
        "--verify",
        "--end-of-options",
        f"{version}^{{commit}}",
        remedy=remedy,
    )
    commit = COMMIT.findall(found)[-1]
    remedy = f"The files of {commit} could not be read from {url}."
    work = (f"--git-dir={store}", f"--work-tree={tree}")
    git(source, *work, "checkout", "--quiet", commit, "--", ".", remedy=remedy)
    if (tree / ".gitmodules").exists():
        submodules(source, work, tree)
    return commit


def submodules(source: Repository, work: tuple[str, str], tree: Path) -> None:
    """Write the files of the submodules, and of theirs, into ``tree``; only those of the same server are asked with the password."""
    remedy = f"Can the controller read each submodule of {source.url} (.gitmodules)? Nothing was touched."
    update = ("submodule", "--quiet", "update", "--init", "--recursive")
    git(source, "-C", tree, "-c", "core.bare=false", *work, *update, remedy=remedy)
    for mark in tree.rglob(".git"):
        mark.unlink()


def refuse(tree: Path, url: str) -> None:
    """Refuse what a copy would not hold, or would take from elsewhere on the controller."""
    for path in filter(Path.is_symlink, tree.rglob("*")):
        if why := astray(path, tree):
            raise AnsibleActionFail(
                f"{path.relative_to(tree)} of {url} is a link that leads {why}, and is not followed."
            )


class ActionModule(ActionBase):
    """Export a version of a repository, once for all hosts of this run."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the commit, the directory, which the end of the run removes, and the URL without its password; never a change."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(SPEC)
        source = repository(args["url"])._replace(way=args["environment"])
        key = hashlib.sha256(f"{args['url']} {args['version']}".encode()).hexdigest()[:16]
        directory = Path(constants.DEFAULT_LOCAL_TMP, f"git-{key}")
        directory.mkdir(exist_ok=True)
        done = directory / "commit"
        with (directory / "lock").open("w") as lock:  # the processes of the other hosts are here too
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                commit = export(source, args["version"], directory)
                refuse(directory / "tree", source.url)
                done.write_text(commit, encoding="ascii")
        return {
            "changed": False,
            "commit": done.read_text(encoding="ascii"),
            "directory": f"{directory}/tree",
            "url": source.url,
        }
