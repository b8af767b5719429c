"""NVIDIA's driver as programs see it, without a GPU: two libraries, with which vLLM's CUDA build builds its configuration.

Of `libcuda.so.1` every function says that there is no device; the environment's own libraries tell which it must have.
`libnvidia-ml.so.1` (nvml.c) tells of two GPUs of 80 GB.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.cuda.libraries import needed

NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE
CUDA = "libcuda.so.1"


def names(libraries: dict[Path, set[str]]) -> list[str]:
    """Return the functions of the driver that libraries are linked with."""
    asked = {
        path: {name for name in names if re.match(r"cu[A-Z]", name)} for path, names in libraries.items()
    }
    return sorted(set().union(*(asked[path] for path in asked if asked[path] and CUDA in needed(path))))


def make(libraries: dict[Path, set[str]], directory: Path) -> Path:
    """Compile both into a directory, and return it for LD_LIBRARY_PATH."""
    source = directory / "cuda.c"
    source.write_text("".join(f"int {name}(void) {{ return {NO_DEVICE}; }}\n" for name in names(libraries)))
    for name, file in ((CUDA, source), ("libnvidia-ml.so.1", Path(__file__).with_name("nvml.c"))):
        command = [
            "gcc",
            "-shared",
            "-fPIC",
            "-Wall",
            "-Werror",
            f"-Wl,-soname,{name}",
            "-o",
            directory / name,
            file,
        ]
        subprocess.run(command, timeout=120, check=True)
    return directory
