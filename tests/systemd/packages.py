"""Packages of the distribution on a host that reaches no archive: fetched here, by what the host has installed already."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.systemd.deployed import Host


def install(host: Host, *names: str, folder: Path) -> None:
    """Install packages on the host; ``folder`` keeps what is downloaded.

    Raises:
        AssertionError: if a package cannot be fetched or installed; it holds what apt or dpkg said.
    """
    (folder / "partial").mkdir(parents=True)
    (folder / "status").write_text(host.told("cat /var/lib/dpkg/status"))
    options = {
        "Dir::State::status": folder / "status",
        "Dir::Cache::archives": folder,
        "Debug::NoLocking": 1,
        "APT::Sandbox::User": "root",
    }
    fetch = ["apt-get", "install", "--download-only", "--yes", "--no-install-recommends"]
    done = subprocess.run(
        [*fetch, *(f"-o{name}={value}" for name, value in options.items()), *names],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if not (names_here := [each.name for each in folder.glob("*.deb")]):
        return  # the host has them already
    packed = subprocess.run(
        ["tar", "-C", folder, "-c", *names_here],
        capture_output=True,
        check=True,
    )
    command = "d=$(mktemp -d) && tar -C $d -x && DEBIAN_FRONTEND=noninteractive dpkg -i $d/*.deb; code=$?; rm -r $d; exit $code"
    sent = subprocess.run(
        host.command(command), input=packed.stdout, capture_output=True, timeout=300, check=False
    )
    assert sent.returncode == 0, (sent.stdout + sent.stderr).decode()
