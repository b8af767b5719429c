"""Programs of Prometheus, from PATH or from Debian's packages."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.python_checks.support import ROOT

SECONDS = 300  # for some 30 MB
PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "prometheus-node-exporter": "prometheus-node-exporter",
}
FETCH = 'name=$1; shift; apt-get "$@" update && apt-get "$@" download "$name" && dpkg -x "$name"_*.deb .'


def promtool() -> str:
    """Return the path of the checker of metrics."""
    return _program("promtool", "prometheus")


def prometheus() -> str:
    """Return the path of the server."""
    return _program("prometheus", "prometheus")


def node_exporter() -> str:
    """Return the path of the exporter with the textfile collector."""
    return _program("prometheus-node-exporter", "prometheus-node-exporter")


def all_programs(directory: Path) -> Path:
    """Make a directory with links to all of them, by their names in Debian, as roles/monitoring looks for them."""
    directory.mkdir()
    for name, package in PACKAGES.items():
        (directory / name).symlink_to(_program(name, package))
    return directory


def _program(name: str, package: str) -> str:
    """Return the path of a program; what is fetched stays in .tox for later runs."""
    kept = ROOT / ".tox" / name
    found = shutil.which(name) or (kept.exists() and str(kept))
    if found:
        return found
    if not shutil.which("apt-get"):
        pytest.skip(f"{name} is not on PATH, and there is no apt to fetch it with")
    kept.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        (Path(scratch) / "partial").mkdir()
        # Package lists of its own: the system's may be missing or stale, and only root could renew them.
        own = [f"-o=Dir::State::Lists={scratch}", f"-o=Dir::Cache={scratch}", "-o=APT::Sandbox::User=root"]
        done = subprocess.run(
            ["sh", "-c", FETCH, "fetch", package, *own],
            cwd=scratch,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"{name} cannot be fetched (exit code {done.returncode}):\n{done.stdout}")
        for each in (Path(scratch) / "usr" / "bin").iterdir():
            os.replace(each, kept.with_name(each.name))
    return str(kept)
