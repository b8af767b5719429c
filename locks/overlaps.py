"""Refuse a lock with two packages that write the same file: the one that is unpacked last would win, and the other is broken.

    locks/overlaps.py LOCK [PYTHON…]    e.g. locks/vllm-cuda.txt 3.12

Of each wheel that a host may install only the list of its files is fetched (RECORD, at the end of the archive). Needs uv on PATH.
"""

from __future__ import annotations

import configparser
import csv
import io
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import requests
import urllib3

PYTHONS = ("3.11", "3.12", "3.13")
PLATFORM = (
    "x86_64-manylinux_2_40"  # newer than every host's, so that no wheel is missed that one of them may take
)
BLOCK = 1 << 16  # bytes fetched at least: enough for the list of most wheels
SECONDS, AT_ONCE = 60, 8
RETRY = urllib3.Retry(5, backoff_factor=1, status_forcelist=(429, 500, 502, 503, 504))
# A file, who may write it, and why no harm comes of it.
HARMLESS = {
    "site-packages/build_backend.py": (
        {"flashinfer-python", "torch-c-dlpack-ext"},
        "each builds its own sdist with it, and no module imports it",
    ),
}

Files = dict[str, str]  # path below the environment -> its content's hash, or what makes the script


class NotOfferedError(Exception):
    """For this Python there are no wheels of everything."""


class Remote(io.RawIOBase):
    """A file on a server, of which pieces are fetched as they are read.

    Args:
        session: What fetches them.
        url: Its address.
    """

    def __init__(self, session: requests.Session, url: str) -> None:
        """Fetch its end, which is where an archive begins to be read."""
        self.session, self.url, self.position = session, url, 0
        self._fetch(f"-{BLOCK}")

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go elsewhere."""
        self.position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        return self.position

    def read(self, size: int | None = -1) -> bytes:
        """Return bytes, fetched unless the last piece holds them."""
        end = self.size if size is None or size < 0 else min(self.position + size, self.size)
        if self.position < self.start or end > self.start + len(self.held):
            self._fetch(f"{self.position}-{max(end, self.position + BLOCK) - 1}")
        data = self.held[self.position - self.start : end - self.start]
        self.position = end
        return data

    def _fetch(self, piece: str) -> None:
        reply = self.session.get(self.url, headers={"Range": f"bytes={piece}"}, timeout=SECONDS)
        reply.raise_for_status()
        self.start, self.held, self.size = 0, reply.content, len(reply.content)
        if reply.status_code == 206:  # a server that knows no pieces sends all of it
            first, total = re.findall(r"\d+", reply.headers["Content-Range"])[::2]
            self.start, self.size = int(first), int(total)


@cache
def session() -> requests.Session:
    """Return what keeps connections open and asks again."""
    made = requests.Session()
    made.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=AT_ONCE, max_retries=RETRY))
    return made


def platform(lock: Path) -> str:
    """Return the platform of the hosts that a lock is for."""
    other = "\n# machine: aarch64\n" in f"\n{lock.read_text(encoding='utf-8')}"
    return PLATFORM.replace("x86_64", "aarch64") if other else PLATFORM


def environment(lock: Path, python: str) -> dict[str, dict[str, Files]]:
    """Return the packages that a lock installs under a Python, and of each the files of every wheel that fits a host.

    Raises:
        NotOfferedError: uv finds no wheels of everything, with its words.
    """
    with tempfile.TemporaryDirectory() as directory:
        found = Path(directory, "pylock.toml")
        command = ["uv", "pip", "compile", "--quiet", "--no-deps", "--no-build", "--format", "pylock.toml"]
        command += [
            "--python-version",
            python,
            "--python-platform",
            platform(lock),
            "-o",
            str(found),
            str(lock),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotOfferedError(done.stderr.strip())
        packages = tomllib.loads(found.read_text())["packages"]
    wheels = [(each["name"], wheel) for each in packages for wheel in each["wheels"]]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        files = pool.map(lambda wheel: contents(wheel[1]["url"]), wheels)
        together: dict[str, dict[str, Files]] = {}
        for (name, wheel), listed in zip(wheels, files, strict=True):
            together.setdefault(name, {})[wheel["url"].rpartition("/")[2]] = listed
    return together


@cache
def contents(url: str) -> Files:
    """Return what a wheel installs."""
    place = url.removeprefix("file://")
    with zipfile.ZipFile(place if place != url else Remote(session(), url)) as wheel:
        (record,) = (name for name in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/RECORD", name))
        rows = csv.reader(wheel.read(record).decode().splitlines())
        files = {installed(path): digest or f"only in {record}" for path, digest, _ in rows}
        points = record.replace("RECORD", "entry_points.txt")
        if points in wheel.namelist():
            files |= scripts(wheel.read(points).decode())
    return files


def installed(path: str) -> str:
    """Return where a file of a wheel goes, below the environment."""
    found = re.fullmatch(r"([^/]+)\.data/(\w+)/(.*)", path)
    if not found:
        return f"site-packages/{path}"
    name, kind, inner = found.groups()
    places = {"purelib": "site-packages/", "platlib": "site-packages/", "scripts": "bin/", "data": ""}
    return places.get(kind, f"{kind}/{name}/") + re.sub(r"^lib/python[\d.]+/", "", inner)


def scripts(points: str) -> Iterator[tuple[str, str]]:
    """Yield the commands that an installer makes, each with what it runs."""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # names keep their case
    parser.read_string(points)
    for section in ("console_scripts", "gui_scripts"):
        for name, target in parser.items(section) if parser.has_section(section) else ():
            yield f"bin/{name}", target


def overlaps(packages: dict[str, dict[str, Files]]) -> dict[str, set[str]]:
    """Return the files that several packages write with different content, each with their names; harmless ones, too."""
    writers: dict[str, dict[str, set[str]]] = {}
    for name, wheels in packages.items():
        for files in wheels.values():
            for path, content in files.items():
                writers.setdefault(path, {}).setdefault(content, set()).add(name)
    several = {path: set.union(*each.values()) for path, each in writers.items() if len(each) > 1}
    return {path: names for path, names in several.items() if len(names) > 1}


def harmful(found: dict[str, set[str]]) -> list[str]:
    """Return a sentence for each set of packages that break one another."""
    by_names: dict[frozenset[str], list[str]] = {}
    for path, names in found.items():
        if not names <= HARMLESS.get(path, (set(), ""))[0]:
            by_names.setdefault(frozenset(names), []).append(path)
    return [
        f"{' and '.join(sorted(names))} write different {sorted(paths)[0]}"
        + (f" and {len(paths) - 1} more" if paths[1:] else "")
        for names, paths in by_names.items()
    ]


def main(lock: str, pythons: Iterable[str]) -> int:
    """Print what is wrong, and return 1 when anything is, or when no Python can be looked at."""
    wrong, looked = dict[str, None](), 0
    for python in pythons:
        try:
            wrong |= dict.fromkeys(harmful(overlaps(environment(Path(lock), python))))
            looked += 1
        except (NotOfferedError, requests.RequestException) as error:
            print(f"{Path(lock).name}: not looked at for Python {python}: {error}", file=sys.stderr)
            if "has no wheels with a matching Python" not in str(error):  # nobody can install it there
                return 1
    remedy = "Constrain one of them in the .in file, or name a harmless pair in locks/overlaps.py."
    for words in wrong:
        print(f"{Path(lock).name}: {words}. The one that is unpacked last wins. {remedy}", file=sys.stderr)
    return int(bool(wrong) or not looked)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:] or PYTHONS))
