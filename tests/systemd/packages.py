"""An archive of packages on a host that reaches none, so that a role installs them itself."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.systemd.deployed import Host

PLACE = "/var/lib/archive"
# Ansible's apt module installs this first, where a host lacks it.
FOR_ANSIBLE = "python3-apt"
OPEN = f"""
mkdir -p {PLACE} && tar -C {PLACE} -x &&
mv /etc/apt/sources.list {PLACE}/before && echo 'deb [trusted=yes] file:{PLACE} ./' >/etc/apt/sources.list
"""
CLOSE = f"mv {PLACE}/before /etc/apt/sources.list; rm -rf {PLACE} /var/lib/apt/lists/*"


def entry(package: Path) -> str:
    """Return what an archive's list says of a package."""
    about = subprocess.run(["dpkg-deb", "--field", package], capture_output=True, text=True, check=True)
    data = package.read_bytes()
    return f"{about.stdout}Filename: ./{package.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n\n"


def fetch(status: str, names: tuple[str, ...], folder: Path) -> list[Path]:
    """Download packages and what they need, as a host with this ``status`` of dpkg would."""
    (folder / "partial").mkdir(parents=True)
    (folder / "status").write_text(status)
    options = {
        "Dir::State::status": folder / "status",
        "Dir::Cache::archives": folder,
        "Debug::NoLocking": 1,
        "APT::Sandbox::User": "root",
    }
    command = ["apt-get", "install", "--download-only", "--yes", "--no-install-recommends"]
    done = subprocess.run(
        [*command, *(f"-o{name}={value}" for name, value in options.items()), *names],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(folder.glob("*.deb"))


@contextmanager
def archive(host: Host, *names: str, folder: Path) -> Iterator[None]:
    """Offer packages to the host's apt, and nothing else, while the block runs; purge at its end what was installed.

    Args:
        host: Where.
        names: The packages.
        folder: Keeps what is downloaded; it does not exist yet.
    """
    packages = fetch(host.told("cat /var/lib/dpkg/status"), (*names, FOR_ANSIBLE), folder)
    (folder / "Packages").write_text("".join(map(entry, packages)))
    packed = subprocess.run(
        ["tar", "-C", folder, "-c", "Packages", *(each.name for each in packages)],
        capture_output=True,
        check=True,
    )
    sent = subprocess.run(
        host.command(OPEN), input=packed.stdout, capture_output=True, timeout=300, check=False
    )
    assert sent.returncode == 0, sent.stderr.decode()
    before = installed(host)
    try:
        yield
    finally:
        if more := sorted(installed(host) - before):
            host.told(f"DEBIAN_FRONTEND=noninteractive dpkg --purge {' '.join(more)}", seconds=300)
        host.told(CLOSE)


def installed(host: Host) -> set[str]:
    """Return the names of the host's packages, also of those that left their configuration."""
    return set(host.told("dpkg-query --show --showformat='${binary:Package}\\n'").split())
