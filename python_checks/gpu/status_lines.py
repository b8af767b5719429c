"""GPUs in a line each, for the status screen."""

import shutil

from python_checks.core.result import CheckError, Line, State
from python_checks.gpu import inventory
from python_checks.gpu.inventory import Gpu

SMI = 10.0  # seconds for nvidia-smi, which hangs with its driver


def gpus() -> list[Line]:
    """Return a line a GPU, and one for what nvidia-smi complains of."""
    if not shutil.which("nvidia-smi"):
        return [Line("GPUs", "no GPU (nvidia-smi is not installed)")]
    try:
        found, complaints = inventory.look(SMI)
    except CheckError as error:
        return [Line("GPUs", error.fault.reason, State.CRITICAL)]
    lines = [Line("GPUs", fault.reason, fault.state) for fault in complaints]
    if not found.gpus:
        lines.append(Line("GPUs", "no GPU", State.WARNING))
    return lines + [Line(f"GPU {gpu.index}", words(gpu)) for gpu in found.gpus]


def words(gpu: Gpu) -> str:
    """Return what a GPU does; what nvidia-smi does not say is left out."""
    parts = [gpu.name]
    if gpu.used is not None and gpu.total is not None:
        parts.append(f"{gpu.used / 1024:.1f} of {gpu.total / 1024:.1f} GiB used")
    if gpu.busy is not None:
        parts.append(f"{gpu.busy} % busy")
    return ", ".join(parts)
