"""Fetch the files of a model into parts, which the next try or the next run goes on with, and verify each."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from python_checks.core import regular_file
from python_checks.core.result import CheckError, Fault, shorten
from python_checks.core.say import count, say
from python_checks.core.throttle import Throttle
from python_checks.core.words import GIB, span
from python_checks.model import manifest
from python_checks.model.sources import PassingError, Source
from python_checks.model.unreadable import KINDS, POINTER, POINTERS

TRIES = 6  # in a row, each with less than PROGRESS
PROGRESS = 2**20  # bytes that make a try no failure: it goes on where it was cut
EVERY = 1.0  # seconds between two words of how far it is
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds between two tries
AGAIN = say("run it again: it goes on where it stopped")

Value = TypeVar("Value")


class Progress:
    """How many bytes of how many are done, said on standard error.

    Attributes:
        done: Bytes that are there; `fetched`: bytes that were read or came in this run, some of them perhaps in vain.
    """

    def __init__(self, words: str, total: int) -> None:
        """Begin now; `words` say what is done."""
        self.done = self.fetched = 0
        self._total, self._words = total, words
        self._throttle, self._start, self._due = Throttle(), time.monotonic(), 0.0

    def add(self, number: int) -> None:
        """Count bytes, and say how far it is now and then."""
        self.done += number
        self.fetched += number
        if (passed := time.monotonic() - self._start) < self._due:
            return
        self._due = passed + EVERY
        rate = self.fetched / passed if passed else 0.0
        left = span(max(0, self._total - self.done) / rate if rate else 0.0)
        more = say(
            ": {done:.2f} of {total:.2f} GiB, {rate:.0f} MB/s, {left} left",
            done=self.done / GIB,
            total=self._total / GIB,
            rate=rate / 1e6,
            left=left,
        )
        self._throttle.tell(self._words, more)

    def skip(self, number: int) -> None:
        """Count bytes that were there before."""
        self.done += number

    def say(self, words: str) -> None:
        """Say something else."""
        self._throttle.tell(words, "")


class Tries:
    """The tries of one thing: after a failure that passes, whether there is another one."""

    def __init__(self, name: str, progress: Progress) -> None:
        """None was made yet."""
        self._name, self._progress, self._failed = name, progress, 0

    def failed(self, error: PassingError, gained: int) -> None:
        """Wait before the next try; `gained` are the bytes of the last one.

        Raises:
            CheckError: there were enough.
        """
        self._failed = 0 if gained >= PROGRESS else self._failed + 1
        why = shorten(str(error), 300)
        if self._failed >= TRIES:
            words = say(
                "{name} was not fetched in {tries} tries: {why}", name=self._name, tries=TRIES, why=why
            )
            remedy = say("look at the source and the network; {again}", again=AGAIN)
            raise CheckError(Fault(words, remedy)) from error
        self._progress.say(say("{name}: trying again: {why}", name=self._name, why=why))
        time.sleep(PAUSES[max(0, self._failed - 1)])


def patiently(name: str, progress: Progress, ask: Callable[[], Value]) -> Value:
    """Ask for something small until it is answered.

    Raises:
        CheckError: there is no answer, or one that does not pass.
    """
    tries = Tries(name, progress)
    while True:
        try:
            return ask()
        except PassingError as error:
            tries.failed(error, 0)


def size(source: Source, name: str, progress: Progress) -> int | None:
    """Return the bytes of a file, None where the source does not tell."""
    return patiently(name, progress, lambda: source.size(name))


def bring(source: Source, name: str, wanted: str, length: int | None, part: Path, progress: Progress) -> None:
    """Fetch a file into `part` until its SHA-256 is `wanted`; what was kept of an earlier try and turns out wrong is fetched anew, once.

    Raises:
        CheckError: it cannot be had, or is not what the manifest names.
    """
    before = progress.done
    for kept in (part.exists(), False):
        _fetch(source, name, length, part, progress)
        _refuse_pointer(name, part)
        with regular_file.opened(part, follow=False) as file:
            if manifest.digest(file, lambda _: None) == wanted:
                return
        part.unlink()
        progress.done = before
        if not kept:
            break
    words = say("{name} is not what the manifest names: its SHA-256 is another", name=name)
    raise CheckError(
        Fault(
            words, say("the source has changed, or is damaged: make SHA256SUMS anew where the model is whole")
        )
    )


def _fetch(source: Source, name: str, length: int | None, part: Path, progress: Progress) -> None:
    """Append to a part until it is whole."""
    tries = Tries(name, progress)
    handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "r+b", buffering=0) as file:
        progress.skip(file.seek(0, os.SEEK_END))
        while True:
            before = file.seek(0, os.SEEK_END)
            try:
                if length is not None and before > length:
                    raise PassingError(say("more bytes were kept than it has"))
                if length is None or before < length:
                    _append(source, name, file, progress)
                if length is not None and file.tell() != length:
                    raise PassingError(
                        say("it ended at byte {number} of {length}", number=file.tell(), length=length)
                    )
                os.fsync(file.fileno())
                return
            except PassingError as error:
                end = file.seek(0, os.SEEK_END)
                if end == before or (length is not None and end > length):  # what was kept may be why
                    progress.done -= end
                    file.truncate(0)
                tries.failed(error, end - before if length is not None else 0)


def _append(source: Source, name: str, file: BinaryIO, progress: Progress) -> None:
    end = file.seek(0, os.SEEK_END)
    begin, pieces = source.read(name, end)
    if begin != end:
        progress.done += begin - end
        file.truncate(begin)
        file.seek(begin)
    for piece in pieces:
        file.write(piece)
        progress.add(len(piece))


def _refuse_pointer(name: str, part: Path) -> None:
    """Refuse a pointer of Git LFS at the first file, long before the whole is judged; the manifest was made of it."""
    if part.stat().st_size <= POINTER and part.read_bytes().startswith(POINTERS):
        part.unlink()
        forms, remedy = KINDS["pointer"]
        raise CheckError(Fault(count(1, *forms, name=name), remedy))
