"""The gpu check on hosts whose driver, GPUs or links are not as they should be."""

import os
from pathlib import Path

import pytest

from python_checks.core.result import State
from python_checks.gpu import hardware, inventory
from tests.python_checks.gpu_support import DOCUMENTS, NCCL, Host, document, script
from tests.python_checks.support import Probe


@pytest.fixture
def host(probe: Probe, tmp_path: Path) -> Host:
    """Give a host with GPUs."""
    return Host(probe, tmp_path / "bin")


def test_weak_points_alone_are_a_warning(host: Host) -> None:
    done = host("a100x2", NCCL, p2p="none", ability="8.0")
    assert done.returncode == 1 and "peer" not in done.stdout
    done = host("h100x2", p2p="none")
    assert done.returncode == 1 and "remedy: set --disable-custom-all-reduce" in done.stdout
    assert host("h100x2", NCCL, p2p="none").returncode == 0


@pytest.mark.parametrize(
    ("devices", "wanted", "words"),
    [
        ("0,1", 2, ""),
        ("1", 1, "GPU 1 NVIDIA"),
        ("GPU-2a1b2c3d", 1, "GPU 1 NVIDIA"),
        ("1", 2, "1 of 2 GPUs is visible (CUDA_VISIBLE_DEVICES=1)"),
        ("", 1, "0 of 2 GPUs are visible (CUDA_VISIBLE_DEVICES=)"),
        ("0,2", 2, "names 2, which is not here"),
        ("0,0", 2, "1 of 2 GPUs is visible"),
        ("MIG-1", 1, "names MIG-1, which is not here"),
    ],
)
def test_the_devices_that_vllm_may_see(host: Host, devices: str, wanted: int, words: str) -> None:
    done = host("h100x2", NCCL, "--devices", devices, "--tensor-parallel-size", str(wanted))
    assert words in done.stdout
    assert done.returncode == (2 if "visible" in words or "not here" in words else 0)


def test_an_old_driver_is_named_with_the_way_to_another_lock(host: Host) -> None:
    done = host("old_driver", NCCL)
    assert done.returncode == 2
    assert "driver 550.163.01 runs CUDA 12.4, the locked vLLM is built for CUDA 13.0" in done.stdout
    assert "install driver R580 or newer" in done.stdout and "vllm_lock" in done.stdout
    assert host("old_driver", NCCL, "--cuda", "12.4").returncode == 0
    done = host("old_driver", NCCL, "--cuda", "12.8")  # CUDA's minor versions are compatible, but for PTX
    assert done.returncode == 1 and "built for CUDA 12.8" in done.stdout and "R5" not in done.stdout
    unsaid = inventory.parse(document("old_driver").replace("<cuda_version>12.4", "<cuda_version>N/A"))
    assert "runs an older CUDA" in hardware.driver(unsaid, (13, 0))[0].reason
    assert hardware.driver(unsaid, (12, 9)) == []
    assert hardware.driver(unsaid, (14, 0))[0].state is State.UNKNOWN


def test_sick_gpus_are_critical(host: Host) -> None:
    done = host("sick", NCCL)
    assert done.returncode == 2
    for words in (
        "the driver asks for: Reset",
        "GPU 0 (NVIDIA H100 80GB HBM3): 3 uncorrected memory errors",
        "waits to be remapped",
    ):
        assert words in done.stdout
    assert "sudo nvidia-smi -i 0 -r" in done.stdout
    done = host("sick", NCCL, "--devices", "1", "--tensor-parallel-size", "1")
    assert done.returncode == 0  # the other one is not ours to use


def test_a_fabric_that_is_not_ready_is_critical(host: Host) -> None:
    text = document("h100x2")
    for state, code in (("In Progress", 2), ("Not Started", 2), ("Completed", 0), ("N/A", 0)):
        fabric = f"<fabric><state>{state}</state><status>N/A</status></fabric>"
        done = host(text.replace("<processes>", f"{fabric}<processes>"), NCCL)
        assert done.returncode == code
        assert ("systemctl enable --now nvidia-fabricmanager" in done.stdout) is bool(code)


def test_an_xid_in_the_kernels_log_is_critical(host: Host) -> None:
    done = host("h100x2", NCCL, log=(DOCUMENTS / "kernel.log").read_text())
    assert done.returncode == 2
    assert "GPU 1 (NVIDIA H100 80GB HBM3): Xid 79, 154 since boot" in done.stdout
    assert "GPU 0 (NVIDIA H100 80GB HBM3): Xid" not in done.stdout


def test_a_gpu_without_bfloat16_is_critical(host: Host) -> None:
    done = host("h100x2", NCCL, ability="7.5")
    assert done.returncode == 2 and "compute capability 7.5, bfloat16 needs 8.0" in done.stdout


def test_a_hung_driver_ends_at_the_deadline(probe: Probe, tmp_path: Path) -> None:
    script(tmp_path / "nvidia-smi", "sleep 1000")
    done = probe("gpu", "--timeout", "1", PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 2
    assert "gpu CRITICAL: nvidia-smi gave no answer within 1 s; it was killed" in done.stdout


def test_a_host_without_a_driver(probe: Probe, tmp_path: Path) -> None:
    done = probe("gpu", PATH=str(tmp_path))
    assert done.returncode == 2 and "remedy: install the NVIDIA driver, 580" in done.stdout
