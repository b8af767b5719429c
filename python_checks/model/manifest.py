"""The manifest of a model: SHA256SUMS, as sha256sum writes it. Its names come from elsewhere and lead nowhere but below the model."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from python_checks.core import regular_file
from python_checks.core.result import CheckError, Fault, shorten
from python_checks.core.say import say

NAME = "SHA256SUMS"
MARK = ".vllm-deploy-model.json"  # of a model that was staged: size and time of each file as it was verified
LIMIT = 2**20  # bytes
LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")
LONGEST = 255  # bytes of a file's name
BLOCK = 2**20  # bytes
MAKE = say(
    "where the model is whole, run in its directory: find -L . -type f ! -name SHA256SUMS ! -path '*/.*' "
    "-exec sha256sum {{}} + >SHA256SUMS"
)

Sums = dict[str, str]  # name below the model -> SHA-256


def parse(text: str) -> Sums:
    """Return what a manifest names.

    Raises:
        CheckError: a line is no line of sha256sum, or a name leads out of the model's directory.
    """
    sums: Sums = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        found = LINE.fullmatch(line.rstrip("\r"))
        if not found:
            raise _refused(number, line, say("it is no line of sha256sum"))
        name = found[2].removeprefix("./")
        if why := _fault(name):
            raise _refused(number, name, why)
        if sums.setdefault(name, found[1].lower()) != found[1].lower():
            raise _refused(number, name, say("the file is named twice, with two sums"))
    sums.pop(NAME, None)  # a manifest of `sha256sum *` that was made for the second time
    folders = {str(parent) for name in sums for parent in PurePosixPath(name).parents}
    if both := sorted(folders & set(sums)):
        raise _refused(0, both[0], say("it is a file and a directory at once"))
    if not sums:
        raise CheckError(Fault(say("{name} names no file", name=NAME), MAKE))
    return sums


def read(path: Path) -> str:
    """Return the text of a manifest.

    Raises:
        CheckError: there is none, or it cannot be read.
    """
    try:
        return regular_file.content(path, limit=LIMIT).decode()
    except FileNotFoundError as error:
        raise CheckError(
            Fault(
                say("{path} is missing: nothing tells which files belong to the model", path=path),
                say("{make}; then copy it there", make=MAKE),
            )
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CheckError(
            Fault(say("{path} cannot be read: {error}", path=path, error=error), MAKE)
        ) from error


def digest(file: BinaryIO, told: Callable[[int], None]) -> str:
    """Return the SHA-256 of a file from where it stands to its end; `told` gets the bytes of each block."""
    summed = hashlib.sha256()
    while block := file.read(BLOCK):
        summed.update(block)
        told(len(block))
    return summed.hexdigest()


def _fault(name: str) -> str:
    """Return why a name is none of a file below the model; empty when it is one."""
    parts = name.split("/")
    if not name.isprintable() or "\\" in name:
        return say("it holds a character that no file of a model has")
    if any(part in ("", ".", "..") for part in parts):
        return say("it leads out of the model's directory, or is not plain")
    if any(len(part.encode()) > LONGEST for part in parts) or len(name.encode()) > 4 * LONGEST:
        return say("it is too long")
    return say("that name is for our own use") if name == MARK else ""


def _refused(number: int, text: str, why: str) -> CheckError:
    words = say(
        "{name}, line {number}: {text}: {why}",
        name=NAME,
        number=number,
        text=shorten(repr(text), 100),
        why=why,
    )
    return CheckError(Fault(words, MAKE))
