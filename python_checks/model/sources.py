"""Where a model comes from: what every source can do, and a directory of this host. SHA256SUMS lies beside the files."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from python_checks.core import regular_file
from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import say
from python_checks.model import files, manifest
from python_checks.model.unreadable import RESOLVE

PIECE = 2**20  # bytes that are read at once, at most


class PassingError(Exception):
    """A failure that the next try may not meet; the message says what it was."""


class Source(Protocol):
    """A place with the files of a model."""

    def sums(self) -> str:
        """Return the text of its manifest."""
        ...

    def size(self, name: str) -> int | None:
        """Return the bytes of a file, None where the source does not tell."""
        ...

    def read(self, name: str, begin: int) -> tuple[int, Iterator[bytes]]:
        """Return a file from byte `begin` on; where that cannot be had, from byte 0, which is returned as well."""
        ...


class Directory:
    """A directory of this host: a plain one, or a snapshot of a hub's cache, whose links are followed to its blobs."""

    def __init__(self, path: Path) -> None:
        """Judge it.

        Raises:
            CheckError: it holds no whole model.
        """
        result = files.look(path)
        if result.state is State.CRITICAL:
            raise CheckError(Fault(say("source {path}: {why}", path=path, why=result.reason), result.remedy))
        self.path = path
        cache = [path.parent.parent / "blobs"] if path.parent.name == "snapshots" else []
        self._roots = [os.path.realpath(root) for root in (path, *cache)]

    def sums(self) -> str:
        """Return the text of its manifest."""
        return manifest.read(self._real(manifest.NAME))

    def size(self, name: str) -> int:
        """Return the bytes of a file."""
        try:
            return self._real(name).stat().st_size
        except FileNotFoundError as error:
            words = say("{path} is missing, though {name} names it", path=error.filename, name=manifest.NAME)
            raise CheckError(Fault(words, manifest.MAKE)) from error

    def read(self, name: str, begin: int) -> tuple[int, Iterator[bytes]]:
        """Return a file from a byte on."""
        return begin, self.pieces(name, begin, PIECE)

    def pieces(self, name: str, begin: int, size: int) -> Iterator[bytes]:
        """Yield a file from a byte on, `size` bytes at a time."""
        with regular_file.opened(self._real(name), follow=False) as file:
            file.seek(begin)
            while piece := file.read(size):
                yield piece

    def _real(self, name: str) -> Path:
        """Return where a file lies. Who may write to the source could have us read any file of the host by a link."""
        real = Path(os.path.realpath(self.path / name))
        if not any(real.is_relative_to(root) for root in self._roots):
            words = say(
                "{path} is a link that leads out of the source, to {real}", path=self.path / name, real=real
            )
            raise CheckError(Fault(words, RESOLVE))
        return real


class Sent:
    """What somebody appended to the parts, as `Staging.plan` told: there is nothing more to fetch."""

    def __init__(self, ready: Path) -> None:
        """Know where the manifest is kept."""
        self._ready = ready

    def sums(self) -> str:
        """Return the text of its manifest."""
        return manifest.read(self._ready / manifest.NAME)

    def size(self, name: str) -> None:
        """Tell nothing: the sum decides."""

    def read(self, name: str, begin: int) -> tuple[int, Iterator[bytes]]:
        """Return no more bytes."""
        return begin, iter(())
