"""Action ``check``: run a probe on a host; its verdict, reason and remedy are the message of the task.

A dry run installs nothing, and must fail where the deploy would: there the probe runs from the controller's copy, in a directory of the
host that is removed again, for the host's own may be missing or older. What cannot be run without what is not installed yet is named.
"""

from __future__ import annotations

import hashlib
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase

sys.path.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
from plain_text import plain  # Ansible keeps plugins out of packages
from screen_lines import tell

WARNING = 1  # exit code of python_checks
MISSING = (125, 126, 127)  # exit codes of sh and env: a program or a directory is not there
SOURCE = Path(__file__).resolve().parents[3] / "python_checks"
# No program is run from there: the place for temporary files may forbid that. The probes' own environment has the libraries that some need.
CARRIED = """
set -e
umask 022
tree=$(mktemp -d 2>/dev/null || TMPDIR=/tmp mktemp -d)
trap 'rm -rf "$tree"' EXIT
trap 'exit 130' HUP INT TERM
chmod 755 "$tree"
cat "$1" >"$tree/.tar"  # the login user's, who may have put another in its place
echo "$2  $tree/.tar" | sha256sum --check --status || { echo 'what arrived is not what was sent' >&2; exit 3; }
tar --extract --no-same-owner --file "$tree/.tar" --directory "$tree"
rm "$tree/.tar"
checks=$3; shift 3
export CHECKS_HOME="${checks%/bin/checks}"
for python in "${checks%/bin/checks}"/venvs/checks-*/bin/python python3.13 python3.12 python3.11 python3; do
    "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
    python=
done
[ "$python" ] || { echo 'no Python 3.11 or newer' >&2; exit 127; }
run='tree=$1 python=$2; shift 2; PYTHONPATH=$tree exec "${CHECKS_PYTHON:-$python}" -B -P -m python_checks "$@"'
for word do
    shift
    if [ "$word" = "$checks" ]; then set -- "$@" sh -c "$run" sh "$tree" "$python"; else set -- "$@" "$word"; fi
done
cd /
"$@"
"""


def sources(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave bytecode out."""
    return None if Path(member.name).name == "__pycache__" else member


class ActionModule(ActionBase):
    """Run ``argv``, a command of python_checks; a warning passes and is shown."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the probe; never a change."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec({"argv": {"type": "list", "elements": "str", "required": True}})
        dry, self._task.check_mode = self._task.check_mode, False  # a probe changes nothing
        argv = self._carried(args["argv"]) if dry else args["argv"]
        reply = self._execute_module("ansible.legacy.command", {"argv": argv}, task_vars=task_vars)
        said = [reply[key] for key in ("stdout", "stderr") if reply.get(key)]
        verdict = plain("\n".join(said) or reply.get("msg"))
        if dry and reply.get("rc") in MISSING:
            words = f"NOT CHECKED in this dry run, for it needs what is not installed yet: {self._task.get_name().strip()} ({verdict})"
            # A warning of a skipped task is hidden with it.
            tell(words, task_vars, colour=constants.COLOR_WARN)
            return {"changed": False, "skipped": True, "verdict": "", "msg": words}
        # A Python that cannot even load the probes ends with this exit code, too.
        if reply.get("rc") == WARNING and " WARNING: " in reply["stdout"]:
            return {"changed": False, "verdict": verdict, "warnings": [verdict]}
        return {"changed": False, "verdict": verdict, "failed": reply.get("rc") != 0, "msg": verdict}

    def _carried(self, argv: list[str]) -> list[str]:
        """Bring the probes to the host and return the command that runs them there instead of those that are installed."""
        checks = next((word for word in argv if word.endswith("/bin/checks")), "")
        if not checks:
            return argv
        remote = f"{self._make_tmp_path()}/checks.tar"
        with tempfile.TemporaryDirectory() as scratch:
            local = Path(scratch) / "checks.tar"
            with tarfile.open(local, "w") as tar:
                tar.add(SOURCE, SOURCE.name, filter=sources)
            self._transfer_file(str(local), remote)
            digest = hashlib.sha256(local.read_bytes()).hexdigest()
        self._fixup_perms2([self._connection._shell.tmpdir, remote])
        return ["sh", "-c", CARRIED, "sh", remote, digest, checks, *argv]
