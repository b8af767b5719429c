"""GPUs in a line each, for the status screen."""

import re
import shutil

from python_checks.core.result import CheckError, Line, State, one_line
from python_checks.gpu import nvidia_smi

QUERY = "--query-gpu=index,name,memory.used,memory.total,utilization.gpu"
SMI = 10.0  # seconds for nvidia-smi, which hangs with its driver


def gpus() -> list[Line]:
    """Return a line a GPU; what nvidia-smi does not say is left out."""
    if not shutil.which("nvidia-smi"):
        return [Line("GPUs", "no GPU (nvidia-smi is not installed)")]
    try:
        return gpu_lines(nvidia_smi.ask(SMI, QUERY, "--format=csv,noheader,nounits"))
    except CheckError as error:
        return [Line("GPUs", error.fault.reason, State.CRITICAL)]


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
            words += f", {used / 1024:.1f} of {total / 1024:.1f} GiB used"
        if busy is not None:
            words += f", {busy} % busy"
        lines.append(Line(f"GPU {index}", words))
    return lines or [Line("GPUs", "no GPU", State.WARNING)]
