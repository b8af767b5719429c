"""The wheels that locks name for one Python on x86-64 Linux: which are there, and fetching the others.

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
from typing import Any

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

LOCKS = Path(__file__).resolve().parents[3] / "locks"
# glibc 2.31 is the oldest for which every package of every lock has a wheel.
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(31, 4, -1)]
PLATFORMS += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]
LINUX = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "sys_platform": "linux",
}
Files = dict[str, dict[str, Any]]


def say(text: str) -> None:
    """Show a line of progress."""
    print(text, file=sys.stderr, flush=True)


def supported(python: str) -> set[Tag]:
    """Return the tags of the wheels that fit a Python such as ``3.12``."""
    version, abi = [int(part) for part in python.split(".")], f"cp{python.replace('.', '')}"
    return {*cpython_tags(version, [abi], PLATFORMS), *compatible_tags(version, abi, PLATFORMS)}


def fits(name: str, tags: set[Tag]) -> bool:
    """Tell whether ``name`` is that of a wheel for one of ``tags``."""
    with contextlib.suppress(InvalidWheelFilename):
        return not tags.isdisjoint(parse_wheel_filename(name)[3])
    return False


def entries(lock: Path, python: str) -> list[str]:
    """Return the requirements of a lock, each with its hashes, that hold for a Python on Linux."""
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"^(\w\S*)(?: ; (.*?))?((?:\s+--hash=\S+)+)\s*$", text, re.MULTILINE)
    if len(found) != len(re.findall(r"^\w", text, re.MULTILINE)):
        sys.exit(
            f"{lock} has lines that are not NAME==VERSION with hashes; regenerate it: locks/compile {lock.stem}"
        )
    target = LINUX | {"python_version": python, "python_full_version": f"{python}.99"}
    return [
        f"{package}{rest}\n"
        for package, marker, rest in found
        if not marker or Marker(marker).evaluate(target)
    ]


def describe(path: Path) -> dict[str, Any]:
    """Return the size and the SHA-256 of a file."""
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def tidy(folder: Path, wanted: list[str], python: str) -> tuple[Files, list[str]]:
    """Remove what is corrupt or not wanted; return the wheels that stay and the requirements that lack one."""
    tags, text, files = supported(python), "".join(wanted), {}
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        about = describe(path)
        if fits(path.name, tags) and about["sha256"] in text:
            files[path.name] = about
        else:
            say(f"removing {path.name}: not wanted, or not as it has to be")
            path.unlink()
    hashes = {about["sha256"] for about in files.values()}
    return files, [entry for entry in wanted if hashes.isdisjoint(re.findall("sha256:(.{64})", entry))]


def fetch(folder: Path, wanted: list[str], python: str) -> bool:
    """Let pip download ``wanted``, showing what it is at; tell whether it could, and show its last lines if not."""
    listed = folder.with_name("wanted.txt")
    listed.write_text("".join(wanted), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-cache-dir"]
    command += ["--progress-bar", "off", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    command += [
        "--implementation",
        "cp",
        "--python-version",
        python,
        *(f"--platform={each}" for each in PLATFORMS),
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
