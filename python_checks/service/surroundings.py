"""What a service's host says about itself: GPUs in use, disks."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from python_checks.core.result import CheckError, Line, State, one_line
from python_checks.core.say import say
from python_checks.gpu import nvidia_smi
from python_checks.gpu.memory import GIB

QUERY = "--query-gpu=index,name,memory.used,memory.total,utilization.gpu"
SMI = 10.0  # seconds for nvidia-smi, which hangs with its driver
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


def gpus() -> list[Line]:
    """Return a line a GPU; what nvidia-smi does not say is left out."""
    if not shutil.which("nvidia-smi"):
        return [Line(say("GPUs"), say("no GPU (nvidia-smi is not installed)"))]
    try:
        return gpu_lines(nvidia_smi.ask(SMI, QUERY, "--format=csv,noheader,nounits"))
    except CheckError as error:
        return [Line(say("GPUs"), error.fault.reason, State.CRITICAL)]


def gpu_lines(text: str) -> list[Line]:
    """Read the table of nvidia-smi."""
    lines = []
    for row in text.splitlines():
        index, name, *figures = (one_line(field) for field in row.split(","))
        used, total, busy = (
            int(each) if re.fullmatch(r"\d+", each) else None for each in [*figures, "", "", ""][:3]
        )
        words = name
        if used is not None and total is not None:
            words += say(", {used:.1f} of {total:.1f} GiB used", used=used / 1024, total=total / 1024)
        if busy is not None:
            words += say(", {busy} % busy", busy=busy)
        lines.append(Line(say("GPU {index}", index=index), words))
    return lines or [Line(say("GPUs"), say("no GPU"), State.WARNING)]
