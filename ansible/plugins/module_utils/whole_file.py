"""Replace a file at once: a reader sees the old or the new one, never a part, and nothing unfinished stays."""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, content: str, mode: int = 0o644) -> None:
    """Write a file; a missing directory is made as private as the file.

    Raises:
        OSError: it is not written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=mode | (mode & 0o444) >> 2)
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)  # what a killed run left, or another put there
    try:
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(content)
        unfinished.chmod(mode)
        unfinished.replace(path)  # module.atomic_move would give a new file the mode of the umask
    except OSError:  # the disk is full
        unfinished.unlink(missing_ok=True)
        raise
