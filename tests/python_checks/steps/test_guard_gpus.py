"""A start on GPUs of which others hold memory, as nvidia-smi tells it, and on a host without any."""

import sys
from pathlib import Path

from tests.python_checks.gpu_support import document, script
from tests.python_checks.island import LISTEN, Island


def programs(directory: Path, nvidia_smi: str | None) -> str:
    """Return a PATH with this nvidia-smi, or none."""
    directory.mkdir()
    if nvidia_smi is not None:
        script(directory / "nvidia-smi", nvidia_smi)
    return f"{directory}:/usr/bin:/bin"


def test_gpu_memory_of_another_is_named(island: Island, port: tuple[str, str], tmp_path: Path) -> None:
    pid = island.start(sys.executable, "-c", LISTEN, "0")
    (tmp_path / "document").write_text(document("orphans").replace("999999901", str(pid)))
    path = programs(tmp_path / "bin", f"cat {tmp_path}/document")
    done = island.guard(*port, PATH=path)
    assert done.returncode == 2 and f"GPU 0: 72896 MiB held by pid {pid} (user " in done.stdout, done.stdout
    assert "GPU 1: an unknown part held by pid 999999902" in done.stdout
    own = island.guard(*port, "--tensor-parallel-size", "1", "--pid", str(pid), PATH=path)
    assert own.returncode == 0, own.stdout
    assert island.guard(*port, "--devices", "", PATH=path).returncode == 0
    assert "names 7, which is not here" in island.guard(*port, "--devices", "0,7", PATH=path).stdout


def test_a_host_without_a_driver_passes_and_a_broken_one_does_not(
    island: Island, port: tuple[str, str], tmp_path: Path
) -> None:
    assert island.guard(*port, PATH=programs(tmp_path / "none", None)).returncode == 0
    broken = "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18"
    done = island.guard(*port, PATH=programs(tmp_path / "broken", broken))
    assert done.returncode == 2 and "reboot the host" in done.stdout
    unused = island.guard(*port, "--devices", "", PATH=f"{tmp_path}/broken:/usr/bin:/bin")
    assert unused.returncode == 0, unused.stdout
