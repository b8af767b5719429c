"""Action ``copy_tree``: copy a folder of the controller to a host in one transfer; ``copy`` takes about a second for each file."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

SPEC = {
    "source": {"type": "path", "required": True},
    "directory": {"type": "path", "required": True},
}
# It is there whole or not at all: unpacked beside its place, then moved. What an interrupted run left is replaced.
UNPACK = """
set -e
rm -rf "$1.new" "$1"
mkdir -p "$1.new"
tar --extract --no-same-owner --file "$2" --directory "$1.new"
mv "$1.new" "$1"
rm -f "$2"
"""


def plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Give a member a mode that everyone may read; leave bytecode out."""
    member.mode = 0o755 if member.isdir() else 0o644
    return None if Path(member.name).name == "__pycache__" else member


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
            with tarfile.open(local, "w", dereference=True) as tar:
                tar.add(args["source"], ".", filter=plain)
            self._transfer_file(str(local), remote)
        self._fixup_perms2([self._connection._shell.tmpdir, remote])
        argv = ["sh", "-c", UNPACK, "sh", args["directory"], remote]
        result: dict[str, Any] = self._execute_module(
            "ansible.legacy.command", {"argv": argv}, task_vars=task_vars
        )
        if result.get("rc"):
            result["msg"] = (
                f"{args['directory']} was not written: {result.get('stderr') or result.get('msg')}"
            )
        return result | {"changed": True}
