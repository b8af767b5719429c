"""Prometheus' own checker of metrics, from PATH or from Debian's package."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.python_checks.support import ROOT

SECONDS = 300  # for some 30 MB
FETCH = 'apt-get "$@" update && apt-get "$@" download prometheus && dpkg -x prometheus_*.deb .'


def promtool() -> str:
    """Return the path of promtool; what is fetched stays in .tox for later runs."""
    kept = ROOT / ".tox" / "promtool"
    found = shutil.which("promtool") or (kept.exists() and str(kept))
    if found:
        return found
    if not shutil.which("apt-get"):
        pytest.skip("promtool is not on PATH, and there is no apt to fetch it with")
    kept.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        (Path(scratch) / "partial").mkdir()
        # Package lists of its own: the system's may be missing or stale, and only root could renew them.
        own = [f"-o=Dir::State::Lists={scratch}", f"-o=Dir::Cache={scratch}", "-o=APT::Sandbox::User=root"]
        done = subprocess.run(
            ["sh", "-c", FETCH, "fetch", *own],
            cwd=scratch,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"promtool cannot be fetched (exit code {done.returncode}):\n{done.stdout}")
        os.replace(Path(scratch) / "usr" / "bin" / "promtool", kept)
    return str(kept)
