"""A host with services for tests of the command: its registry, and a systemctl and a journalctl that say what they are told to say."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.python_checks.support import DEADLINE, ROOT

SYSTEMCTL = """#!/bin/sh
echo "$*" >>{directory}/calls
[ "$1" = show ] || exit 0
cat "{directory}/${{2%.service}}.shown"
"""
SHOWN = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "StatusText": "",
    "Result": "success",
    "NRestarts": "0",
    "MainPID": "0",
    "StateChangeTimestamp": "@0",
    "ExecMainCode": "0",
    "ExecMainStatus": "0",
    "UnitFileState": "enabled",
    "FragmentPath": "",
}

KINDS = {"backend": "backend"}
# A manager that says what standard input holds, and the command.
RECORDED = """
import json, sys
from python_checks import cli
from python_checks.service import managers
from python_checks.service.facts import Service

given = json.load(sys.stdin)
managers.services = lambda rows: {
    row.name: Service(row.name, row.kind, **(given[row.name] | {"address": row.url})) for row in rows
}
sys.exit(cli.main())
"""


class Hosted:
    """The directory of a deploy with its registry."""

    def __init__(self, directory: Path) -> None:
        """Make it, without a service."""
        self.home, self.programs = directory / "home", directory / "programs"
        for path in (self.home / "services", self.home / "releases", self.programs):
            path.mkdir(parents=True)
        for name, text in (
            ("systemctl", SYSTEMCTL.format(directory=self.programs)),
            ("journalctl", "#!/bin/sh\n"),
        ):
            (self.programs / name).write_text(text)
            (self.programs / name).chmod(0o755)

    def add(self, name: str, kind: str = "chat", command: tuple[str, ...] = (), **row: Any) -> None:
        """Add a service as roles/service does; `command` is that of its unit."""
        release = self.home / "releases" / name / "1-abc"
        release.mkdir(parents=True)
        (release / ".good").touch()
        release.with_name("current").symlink_to(release.name)
        given = {
            "name": name,
            "kind": kind,
            "manager": "systemd",
            "unit": name,
            "releases": str(release.parent),
        }
        (release / "service.json").write_text(json.dumps(given | row))
        (self.home / f"services/{name}.json").symlink_to(release.with_name("current") / "service.json")
        unit = self.programs / f"{name}.unit"
        quoted = " ".join(json.dumps(word) for word in command)
        unit.write_text(
            f"[Service]\nExecStart={quoted}\nStandardOutput=append:{row.get('log', '/nowhere')}\n"
        )
        self.shown(name)

    def shown(self, name: str, **changes: str) -> None:
        """Set what systemctl shows of a service."""
        shown = SHOWN | {"FragmentPath": str(self.programs / f"{name}.unit")} | changes
        text = "".join(f"{key}={value}\n" for key, value in shown.items())
        (self.programs / f"{name}.shown").write_text(text)

    @property
    def environment(self) -> dict[str, str]:
        """Return what bin/checks sets, and the programs."""
        return {"CHECKS_HOME": str(self.home), "PATH": f"{self.programs}:{os.environ['PATH']}"}

    def checks(
        self, *arguments: str, given: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a check as it is typed on the host."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "python_checks", *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | self.environment | environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    def recorded(
        self, services: dict[str, dict[str, Any]], *arguments: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a check where the managers say what was recorded, by service; those without a row get one."""
        for name in services:
            if not (self.home / f"services/{name}.json").exists():
                self.add(name, KINDS.get(name, "chat"))
        return subprocess.run(
            [sys.executable, "-P", "-c", RECORDED, *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | self.environment | environment,
            input=json.dumps(services),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
