"""File systems of this host, and what is left on them."""

import os
from dataclasses import dataclass
from pathlib import Path

from python_checks.core.result import State
from python_checks.core.say import say
from python_checks.core.words import GIB

LOW, EMPTY = 5.0, 1.0  # GiB; logs, caches and the next environment need some


@dataclass(frozen=True)
class Disk:
    """A file system: the paths of vllm-deploy on it, and its free and whole size in bytes."""

    paths: tuple[str, ...]
    free: int
    total: int

    @property
    def state(self) -> State:
        """Judge what is left."""
        left = self.free / GIB
        return State.CRITICAL if left < EMPTY else State.WARNING if left < LOW else State.OK

    def __str__(self) -> str:
        """Return it in words."""
        return say(
            "{free:.1f} of {total:.1f} GiB free ({paths})",
            free=self.free / GIB,
            total=self.total / GIB,
            paths=", ".join(self.paths),
        )


def disks(paths: list[Path]) -> list[Disk]:
    """Return the file systems of those paths that exist, one each; a path below another one is not named."""
    found: dict[int, list[Path]] = {}
    for path in dict.fromkeys(paths):
        if path.is_absolute() and path.exists():
            found.setdefault(path.stat().st_dev, []).append(path)
    disks = []
    for held in found.values():
        size = os.statvfs(held[0])
        names = tuple(str(path) for path in held if not set(path.parents) & set(held))
        disks.append(Disk(names, size.f_bavail * size.f_frsize, size.f_blocks * size.f_frsize))
    return disks
