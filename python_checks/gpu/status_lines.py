"""GPUs in a line each, for the status screen."""

import shutil

from python_checks.core.result import CheckError, Line, State
from python_checks.core.say import joined, say
from python_checks.gpu import inventory
from python_checks.gpu.inventory import Gpu

SMI = 10.0  # seconds for nvidia-smi, which hangs with its driver


def gpus() -> list[Line]:
    """Return a line a GPU, and one for what nvidia-smi complains of."""
    if not shutil.which("nvidia-smi"):
        return [Line(say("GPUs"), say("no GPU (nvidia-smi is not installed)"))]
    try:
        found, complaints = inventory.look(SMI)
    except CheckError as error:
        return [Line(say("GPUs"), error.fault.reason, State.CRITICAL)]
    lines = [Line(say("GPUs"), fault.reason, fault.state) for fault in complaints]
    if not found.gpus:
        lines.append(Line(say("GPUs"), say("no GPU"), State.WARNING))
    return lines + [Line(say("GPU {index}", index=gpu.index), words(gpu)) for gpu in found.gpus]


def words(gpu: Gpu) -> str:
    """Return what a GPU does; what nvidia-smi does not say is left out."""
    parts = [gpu.name]
    if gpu.used is not None and gpu.total is not None:
        parts.append(say("{used:.1f} of {total:.1f} GiB used", used=gpu.used / 1024, total=gpu.total / 1024))
    if gpu.busy is not None:
        parts.append(say("{busy} % busy", busy=gpu.busy))
    return joined(", ", parts)
