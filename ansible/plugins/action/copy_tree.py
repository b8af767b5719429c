"""Action ``copy_tree``: copy a folder of the controller to a host in one transfer; ``copy`` takes about a second for each file."""

from __future__ import annotations

import hashlib
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible.plugins.action import ActionBase

sys.path.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
from links import OUT, astray  # Ansible keeps plugins out of packages

SPEC = {
    "source": {"type": "path", "required": True},
    "directory": {"type": "path", "required": True},
}
# It is there whole or not at all: unpacked beside its place, then moved. What an interrupted run left is replaced.
# It comes in a file of the login user, who may not be root: what is unpacked is a copy of that, once it is seen to be what was sent.
UNPACK = """
set -e
rm -rf "$1.new" "$1.tar"
mkdir -p "$1.new"
cat "$2" >"$1.tar"
rm -f "$2"
if ! echo "$3  $1.tar" | sha256sum --check --status; then
    rm -r "$1.new" "$1.tar"
    echo "what arrived is not what was sent" >&2
    exit 1
fi
rm -rf "$1"
tar --extract --no-same-owner --file "$1.tar" --directory "$1.new"
mv "$1.new" "$1"
rm "$1.tar"
"""


def plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Give a member a mode that everyone may read; leave bytecode out, and what is neither a file nor a folder."""
    member.mode = 0o755 if member.isdir() else 0o644
    kept = member.isdir() or member.isreg()
    return member if kept and Path(member.name).name != "__pycache__" else None


def refuse(source: Path) -> None:
    """Refuse links that no copy can hold; one that leads out of the folder is the user's to make."""
    for path in filter(Path.is_symlink, source.rglob("*")):
        if (why := astray(path, source)) not in ("", OUT):
            raise AnsibleActionFail(f"{path} is a link that leads {why}: remove it.")


class ActionModule(ActionBase):
    """Replace ``directory`` on the host by a copy of ``source``."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Pack, transfer and unpack; always a change."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(SPEC)
        if self._task.check_mode:
            return {"changed": True}
        remote = f"{self._make_tmp_path()}/tree.tar"
        with tempfile.TemporaryDirectory() as scratch:
            local = Path(scratch) / "tree.tar"
            refuse(Path(args["source"]))
            with tarfile.open(local, "w", dereference=True) as tar:
                tar.add(args["source"], ".", filter=plain)
            with local.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._transfer_file(str(local), remote)
        self._fixup_perms2([self._connection._shell.tmpdir, remote])
        argv = ["sh", "-c", UNPACK, "sh", args["directory"], remote, digest]
        result: dict[str, Any] = self._execute_module(
            "ansible.legacy.command", {"argv": argv}, task_vars=task_vars
        )
        if result.get("rc"):
            result["msg"] = (
                f"{args['directory']} was not written: {result.get('stderr') or result.get('msg')}"
            )
        return result | {"changed": True}
