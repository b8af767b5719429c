"""Programs of the host that fail, hang, or are not there: nvidia-smi and what reads the kernel's log."""

import os
import time
from pathlib import Path

import pytest

from python_checks.core import command
from python_checks.core.result import CheckError, State
from python_checks.gpu import nvidia_smi, xid
from tests.python_checks.gpu_support import script
from tests.python_checks.support import wait_for_end


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the path of a nvidia-smi that comes first on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path / "nvidia-smi"


@pytest.mark.parametrize(
    ("words", "code", "advice"),
    [
        (
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest"
            " NVIDIA driver is installed and running.",
            9,
            "modprobe nvidia",
        ),
        ("Failed to initialize NVML: Driver/library version mismatch", 18, "reboot the host"),
        ("Failed to initialize NVML: Unknown Error", 255, "daemon-reload"),
        ("No devices were found", 6, "lspci"),
        ("Unable to determine the device handle for GPU0: 0000:43:00.0: Unknown Error", 15, "Xid 79"),
        ("", 1, "journalctl -k"),
    ],
)
def test_a_failure_is_told_with_its_remedy(smi: Path, words: str, code: int, advice: str) -> None:
    script(smi, f'echo "{words}"; exit {code}')
    with pytest.raises(CheckError) as caught:
        nvidia_smi.ask(20, "-q", "-x")
    fault = caught.value.fault
    assert fault.state is State.CRITICAL and advice in fault.remedy
    assert fault.reason.startswith(f"nvidia-smi failed with {code}: {words[:40] or 'no message'}")


def test_a_missing_program_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CheckError) as caught:
        nvidia_smi.ask(5, "-q", "-x")
    assert caught.value.fault.reason == "nvidia-smi cannot be run: No such file or directory"


def test_a_hung_program_dies_with_its_children(smi: Path, tmp_path: Path) -> None:
    script(smi, f"sleep 600 & echo $! >{tmp_path}/child; echo $$ >{tmp_path}/self; wait")
    start = time.monotonic()
    with pytest.raises(CheckError, match=r"nvidia-smi gave no answer within 1 s; it was killed") as caught:
        nvidia_smi.ask(1, "-q", "-x")
    assert time.monotonic() - start < 60 and "reboot" in caught.value.fault.remedy
    for name in ("child", "self"):
        wait_for_end(int((tmp_path / name).read_text()))


def test_one_that_leaves_its_output_open_does_not_hold_us(smi: Path, tmp_path: Path) -> None:
    script(smi, f"sleep 600 & echo $! >{tmp_path}/child")  # ends, but the child keeps the pipe
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        command.run(["nvidia-smi"], 1)
    assert time.monotonic() - start < 60
    wait_for_end(int((tmp_path / "child").read_text()))


def test_the_kernels_log_comes_from_what_may_read_it(smi: Path) -> None:
    script(smi.with_name("journalctl"), "exit 1")
    script(smi.with_name("dmesg"), "echo from dmesg")
    assert xid.kernel_log(20) == "from dmesg\n"
    script(smi.with_name("dmesg"), "echo Operation not permitted; exit 1")
    assert xid.kernel_log(20) is None
    script(smi.with_name("journalctl"), "echo from journal")
    assert xid.kernel_log(20) == "from journal\n"
