"""The secrets of a service on a host: files of whoever runs the deploy, which no release holds.

    DIRECTORY/ID/own.env       all of them, as both systemd's EnvironmentFile= and a shell read them
    DIRECTORY/ID/offered.env   those that other services of the host take
    DIRECTORY/ID/NAME          one alone, for a systemd credential or a probe
    DIRECTORY/current          the set that the activated release gets

A release names the set that it was made with and its variables, in a comment: ``# secrets ID: NAME NAME``. A set lives until another one is
proven. So a deploy that fails goes back with the set that served before, and a roll-back to an earlier release gets the newest one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import shutil
from pathlib import Path

MARK = re.compile(r"^[#;] secrets (\w+):((?: \w+)*)$", re.MULTILINE)
Values = dict[str, str]


def quoted(value: str) -> str:
    """Return a value as systemd and a shell read it, line breaks included: both take a backslash before these four characters."""
    return '"' + re.sub(r'(["\\`$])', r"\\\1", value) + '"'


def lines(values: Values) -> str:
    """Return the content of a file of variables."""
    return "".join(f"{name}={quoted(value)}\n" for name, value in sorted(values.items()))


class Sets:
    """The sets of one service, below a directory of their own."""

    def __init__(self, directory: Path) -> None:
        """They are in ``directory``; what makes their ids lies beside it."""
        self.directory, self.salt, self.link = directory, directory.parent / "salt", directory / "current"

    def id_of(self, *values: Values, dry: bool = False) -> str:
        """Return an id that a unit may show: without the host's salt nobody can try out which secret it is of."""
        if not dry:
            private(self.salt.parent)
            if not self.salt.exists():
                write(self.salt, secrets.token_hex(32))
        salt = self.salt.read_bytes() if self.salt.exists() else secrets.token_bytes(32)
        return hmac.new(salt, json.dumps(values, sort_keys=True).encode(), hashlib.sha256).hexdigest()[:12]

    def keep(self, name: str, own: Values, offered: Values, dry: bool = False) -> bool:
        """Have a set of that name; tell whether it was another one or none."""
        files = own | {"own.env": lines(own), "offered.env": lines(offered)}
        place = self.directory / name
        if same(place, files):
            return False
        if not dry:
            private(self.directory)
            unfinished = self.directory / f".{name}"
            shutil.rmtree(unfinished, ignore_errors=True)
            private(unfinished)
            for each, content in files.items():
                write(unfinished / each, content)
            shutil.rmtree(place, ignore_errors=True)
            unfinished.rename(place)
        return True

    @property
    def current(self) -> str:
        """Return the set that the activated release gets, empty when there is none."""
        name = os.readlink(self.link) if self.link.is_symlink() else ""
        return name if name and (self.directory / name).is_dir() else ""

    def of(self, text: str) -> str:
        """Return the set that a release with this file gets: its own while that is there, else the newest."""
        mark = MARK.search(text)
        return mark[1] if mark and (self.directory / mark[1]).is_dir() else self.current

    def lacking(self, text: str) -> list[str]:
        """Return the variables that a release with this file was made with and would not get."""
        mark, place = MARK.search(text), self.directory / (self.of(text) or ".")
        return [name for name in mark[2].split() if not (place / name).is_file()] if mark else []

    def follow(self, text: str, dry: bool = False) -> bool:
        """Have the release with this file get its set; tell whether it is another one than before."""
        name = self.of(text)
        if name == self.current:
            return False
        if not dry:
            unfinished = self.directory / ".current"
            unfinished.unlink(missing_ok=True)
            unfinished.symlink_to(name)
            unfinished.replace(self.link)
        return True

    def prune(self, text: str, dry: bool = False) -> bool:
        """Remove what the release with this file, which is proven, does not get; without secrets of its own that is all."""
        mark = MARK.search(text)
        stay = {self.current, "current"} if mark and mark[2] else set()
        there = list(self.directory.iterdir()) if self.directory.is_dir() else []
        going = [path for path in there if path.name not in stay]
        for path in () if dry else going:
            path.unlink() if path.is_symlink() else shutil.rmtree(path)
        if there and not stay and not dry:
            self.directory.rmdir()
        return bool(going)


def same(place: Path, files: Values) -> bool:
    """Tell whether a directory holds just these files."""
    try:
        return {path.name: path.read_text(encoding="utf-8") for path in place.iterdir()} == files
    except (OSError, ValueError):
        return False


def private(directory: Path) -> None:
    """Have a directory that is its owner's alone."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory.chmod(0o700)


def write(path: Path, content: str) -> None:
    """Write a new file that is its owner's alone, from the first moment."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "w", encoding="utf-8", newline="") as file:
        file.write(content)
