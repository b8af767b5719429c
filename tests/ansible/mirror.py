"""A mirror of Pythons for uv, made of the one that runs the tests."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import sysconfig
import tarfile
from pathlib import Path

HERE = f"3.{sys.version_info.minor}"
LEFT_OUT = {"test", "site-packages", "dist-packages", "idlelib", "tkinter", "__pycache__"}


def mirror(folder: Path) -> Path:
    """Pack this interpreter as python-build-standalone packs its own, and return the list of downloads for uv."""
    name, version = f"cpython-{platform.python_version()}", HERE
    packed = folder / f"{name}-x86_64-unknown-linux-gnu-install_only.tar.gz"

    def wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        parts = Path(member.name).parts
        return None if LEFT_OUT & set(parts) or any(part.startswith("config-") for part in parts) else member

    with tarfile.open(packed, "w:gz", compresslevel=1) as tar:
        tar.add(Path(sys.executable).resolve(), f"python/bin/python{version}")
        tar.add(sysconfig.get_path("stdlib"), f"python/lib/python{version}", filter=wanted)
        tar.add(sysconfig.get_path("include"), f"python/include/python{version}")
    major, minor, patch = sys.version_info[:3]
    entry = {"name": "cpython", "arch": {"family": "x86_64", "variant": None}, "os": "linux", "libc": "gnu"}
    entry |= {"major": major, "minor": minor, "patch": patch, "prerelease": "", "variant": None}
    entry |= {"url": packed.as_uri(), "sha256": hashlib.sha256(packed.read_bytes()).hexdigest()}
    listed = folder / "downloads.json"
    listed.write_text(json.dumps({f"{name}-linux-x86_64-gnu": entry | {"build": "20200101"}}))
    return listed
