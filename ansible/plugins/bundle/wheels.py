"""The wheels that locks name for one Python on Linux, of one architecture: which are there, and fetching the others.

The locks decide: a file with a hash that no lock names is removed. pip fetches, and checks the hashes; it would judge a lock's markers by
the Python that runs it, so the lines that hold for another Python are picked here.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

LOCKS = Path(__file__).resolve().parents[3] / "locks"
# The newest glibc whose wheels are taken: the oldest for which every package of every lock has one.
GLIBC = {"x86_64": 31, "aarch64": 35}
LINUX = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "sys_platform": "linux",
}
Files = dict[str, dict[str, Any]]


def say(text: str) -> None:
    """Show a line of progress."""
    print(text, file=sys.stderr, flush=True)


class Target(NamedTuple):
    """What a bundle is for: a Python such as ``3.12``, and an architecture as ``uname -m`` says it."""

    python: str
    machine: str = "x86_64"

    @property
    def platforms(self) -> list[str]:
        """Return the platform tags of its wheels, the newest first."""
        newest = [f"manylinux_2_{minor}" for minor in range(GLIBC[self.machine], 4, -1)]
        older = ["manylinux2014", "manylinux2010", "manylinux1", "linux"]
        return [f"{each}_{self.machine}" for each in (*newest, *older)]


def supported(target: Target) -> set[Tag]:
    """Return the tags of the wheels that fit a target."""
    python, platforms = target.python, target.platforms
    version, abi = [int(part) for part in python.split(".")], f"cp{python.replace('.', '')}"
    return {*cpython_tags(version, [abi], platforms), *compatible_tags(version, abi, platforms)}


def fits(name: str, tags: set[Tag]) -> bool:
    """Tell whether ``name`` is that of a wheel for one of ``tags``."""
    with contextlib.suppress(InvalidWheelFilename):
        return not tags.isdisjoint(parse_wheel_filename(name)[3])
    return False


def entries(lock: Path, target: Target) -> list[str]:
    """Return the requirements of a lock, each with its hashes, that hold for a target."""
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"^(\w\S*)(?: ; (.*?))?((?:\s+--hash=\S+)+)\s*$", text, re.MULTILINE)
    if len(found) != len(re.findall(r"^\w", text, re.MULTILINE)):
        sys.exit(
            f"{lock} has lines that are not NAME==VERSION with hashes; regenerate it: locks/compile {lock.stem}"
        )
    python = target.python
    values = LINUX | {
        "python_version": python,
        "python_full_version": f"{python}.99",
        "platform_machine": target.machine,
    }
    return [
        f"{package}{rest}\n"
        for package, marker, rest in found
        if not marker or Marker(marker).evaluate(values)
    ]


def describe(path: Path) -> dict[str, Any]:
    """Return the size and the SHA-256 of a file."""
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def tidy(folder: Path, wanted: list[str], target: Target) -> tuple[Files, list[str]]:
    """Remove what is corrupt or not wanted; return the wheels that stay and the requirements that lack one."""
    tags, text, files = supported(target), "".join(wanted), {}
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        about = describe(path)
        if fits(path.name, tags) and about["sha256"] in text:
            files[path.name] = about
        else:
            say(f"removing {path.name}: not wanted, or not as it has to be")
            path.unlink()
    hashes = {about["sha256"] for about in files.values()}
    return files, [entry for entry in wanted if hashes.isdisjoint(re.findall("sha256:(.{64})", entry))]


def fetch(folder: Path, wanted: list[str], target: Target) -> bool:
    """Let pip download ``wanted``, showing what it is at; tell whether it could, and show its last lines if not."""
    listed = folder.with_name("wanted.txt")
    listed.write_text("".join(wanted), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-cache-dir"]
    command += ["--progress-bar", "off", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    command += [
        "--implementation",
        "cp",
        "--python-version",
        target.python,
        *(f"--platform={each}" for each in target.platforms),
    ]
    command += ["--dest", str(folder), "--requirement", str(listed)]
    said, number = [], 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        assert pip.stdout
        for line in pip.stdout:
            if match := re.search(r"Downloading (\S+ \(.+\))|Processing (\S+)", line):
                number += 1
                say(f"{number} of {len(wanted)}: {match[1] or Path(match[2]).name}")
            if not line.startswith("WARNING"):
                said.append(line)
    listed.unlink()
    if pip.returncode:
        say("".join(said[-10:]))
    return pip.returncode == 0
