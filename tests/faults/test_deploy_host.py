"""What is wrong with the host or with what comes to it is said before anything stops."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.deploys import OTHER_PYTHON
from tests.systemd.deployed import Host
from tests.systemd.play import REPOSITORY

Refused = Callable[..., str]
# The environments that are there, over a disk with room for a few MB more.
FILL = """
set -eu
mkdir -p /mnt/small && mount -t tmpfs -o size=64m,mode=755 small /mnt/small
cd /opt/vllm/venvs
for each in *; do
    if [ -d "$each" ]; then mkdir "/mnt/small/$each" && mount --bind "$each" "/mnt/small/$each"; else cp -p "$each" /mnt/small; fi
done
mount --rbind /mnt/small /opt/vllm/venvs
"""
EMPTY = "umount --recursive --lazy /opt/vllm/venvs; umount --recursive --lazy /mnt/small; rmdir /mnt/small"


def test_port_held_by_another_program(host: Host, refused: Refused) -> None:
    """The new port of vLLM is held by another program: refused, with its process and user."""
    started = "systemd-run --quiet --unit squatter --uid nobody python3 -m http.server 8001"
    host.told(started)
    try:
        host.until(lambda: host.ssh("ss -ltn | grep :8001").returncode == 0, 20, "port 8001 is held")
        pid = host.pid("squatter")
        words = refused(vllm_port=8001)
        assert "0.0.0.0:8001 is held by" in words and str(pid) in words and "nobody" in words
    finally:
        host.told("systemctl stop squatter")


@pytest.mark.long
def test_host_without_compiler(host: Host, refused: Refused) -> None:
    """g++ is gone, and apt cannot install it without a route out: refused, with the missing package."""
    host.told("mv /usr/bin/g++ /usr/bin/hidden-g++")
    try:
        words = refused()
        assert "lacks what vLLM needs at run time (g++)" in words and "apt-get install -y g++" in words
    finally:
        host.told("mv /usr/bin/hidden-g++ /usr/bin/g++")


def test_disk_full_during_the_install(host: Host, refused: Refused) -> None:
    """The disk fills up while a new environment is built (ENOSPC): the half-built one is removed."""
    host.told(FILL)
    try:
        words = refused(vllm_python=OTHER_PYTHON)
        assert "No space left on device" in words and "the half-built environment is removed" in words
        assert host.told("df --output=used -m /mnt/small | tail -1") == "1"
    finally:
        host.told(EMPTY)


@pytest.fixture
def broken_bundle(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A bundle with a corrupt wheel, and the name of that."""
    bundle = tmp_path / "bundle"
    shutil.copytree(
        REPOSITORY / ".tox/bundle",  # that of the inventory
        bundle,
        copy_function=lambda source, target: Path(target).symlink_to(source),
    )
    wheel = min((bundle / "wheels").glob("fastapi-*.whl"))
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 1
    wheel.unlink()
    wheel.write_bytes(content)
    yield bundle, wheel.name
    shutil.rmtree(bundle)


@pytest.mark.long
def test_corrupt_wheel_in_the_bundle(host: Host, broken_bundle: tuple[Path, str], refused: Refused) -> None:
    """One bit of a wheel in the offline bundle is flipped: refused with both checksums before anything is installed."""
    bundle, wheel = broken_bundle
    host.told(f"mv /opt/vllm/bundle/wheels/{wheel} /srv")  # so that it is brought again
    try:
        words = refused(host_bundle=str(bundle))
        assert f"{wheel} has SHA-256" in words and "Nothing was installed or stopped" in words
    finally:
        host.told(f"mv /srv/{wheel} /opt/vllm/bundle/wheels/")
