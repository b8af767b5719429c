"""Who holds memory on the GPUs: strangers, our own, a desktop, nobody that can be seen."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from python_checks.core.result import State
from python_checks.gpu import holders, inventory
from python_checks.host import cgroups
from tests.python_checks.gpu_support import NCCL, Host, document
from tests.python_checks.support import ROOT, Probe

TEMPLATE = ROOT / "templates" / "systemd" / "service.service.j2"


@pytest.fixture
def host(probe: Probe, tmp_path: Path) -> Host:
    """Give a host with GPUs."""
    return Host(probe, tmp_path / "bin")


@pytest.fixture
def holder() -> Iterator[int]:
    """Give the id of a process that runs, in a session of its own."""
    code = "import time; print('ready', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        yield child.pid
        child.kill()


def held_by(pid: int) -> str:
    """Return the document of two GPUs that this process holds; of the second it is not known how much."""
    return document("orphans").replace("999999901", str(pid)).replace("999999902", str(pid))


def test_a_process_here_is_named_with_its_user(holder: int) -> None:
    gpus = inventory.parse(held_by(holder)).gpus
    reason = holders.judge(gpus, lambda pid: False, 0.9)[0].reason
    assert f"72896 MiB held by pid {holder} (user " in reason and sys.executable in reason
    ours = [holders.free(gpu, lambda pid: pid == holder) for gpu in gpus]
    assert ours == [(81152 - 72906 + 72896) * 2**20, 81152 * 2**20]


def test_our_own_server_is_no_stranger(host: Host, holder: int) -> None:
    foreign = host(held_by(holder), NCCL)
    own = host(held_by(holder), NCCL, "--pid", "1", "--pid", str(holder))
    assert (foreign.returncode, own.returncode) == (2, 0), own.stdout


def test_what_an_earlier_server_left_is_named(host: Host) -> None:
    done = host("orphans", NCCL)
    assert done.returncode == 2
    # 81559 - 407 - 72906 MiB = 8.05 GiB free
    for words in (
        "GPU 0: 72896 MiB held by pid 999999901 (VLLM::Worker_TP0); vLLM takes 71.3 GiB, 8.1 of 79.2 are free",
        "GPU 1: an unknown part held by pid 999999902",
    ):
        assert words in done.stdout


def test_a_desktop_counts_only_when_memory_is_short() -> None:
    gpus = inventory.parse(document("laptop")).gpus  # 5772 of 7798 MiB are free: 0.74
    assert holders.judge(gpus, lambda pid: False, 0.7) == []
    (fault,) = holders.judge(gpus, lambda pid: False, 0.9)
    assert "1448 MiB held by pid 999999903" in fault.reason and "23 MiB" in fault.reason


def test_memory_that_nobody_holds_is_told() -> None:
    text = document("h100x1").replace("<free>81152 MiB", "<free>100 MiB")
    (fault,) = holders.judge(inventory.parse(text).gpus, lambda pid: False, 0.9)
    assert "held by no process that can be seen from here" in fault.reason and "fuser" in fault.remedy


def test_a_stranger_that_computes_is_a_warning_while_enough_is_left() -> None:
    text = document("orphans").replace("72896 MiB", "400 MiB").replace("<free>8246 MiB", "<free>80752 MiB")
    assert text.count("80752 MiB") == 2
    faults = holders.judge(inventory.parse(text).gpus, lambda pid: False, 0.9)
    assert [fault.reason[:26] for fault in faults] == [
        "GPU 0: 400 MiB held by pid",
        "GPU 1: an unknown part hel",
    ]
    assert {(fault.state, fault.remedy) for fault in faults} == {(State.WARNING, holders.ENOUGH)}
    unsaid = text.replace("<free>80752 MiB", "<free>N/A")
    faults = holders.judge(inventory.parse(unsaid).gpus, lambda pid: False, 0.9)
    assert {(fault.state, fault.remedy) for fault in faults} == {(State.WARNING, holders.UNSAID)}


def test_a_service_of_this_host_is_no_stranger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its unit is written as ours are; while enough is left nobody need know, and else the remedy is not to kill it."""
    [line] = [row for row in TEMPLATE.read_text().splitlines() if row.startswith("Description=")]
    unit = re.sub(r"{{.*}}", "reference backend", line).replace("@RELEASE@", "1a2b3c4d5e6f-0b0ec79a6d39")
    (tmp_path / "backend.service").write_text(f"[Unit]\n{unit}\n[Service]\n")
    (tmp_path / "other.service").write_text("[Unit]\nDescription=Somebody's, release 7\n")
    monkeypatch.setattr(holders, "UNITS", tmp_path)
    text = document("orphans").replace("72896 MiB", "2040 MiB").replace("<free>8246 MiB", "<free>79104 MiB")
    few = inventory.parse(text).gpus
    many = inventory.parse(document("orphans")).gpus
    for name, small, large in (
        ("backend", 0, "a service of vllm-deploy"),
        ("other", 2, "stop it"),
        ("gone", 2, "stop it"),
    ):
        monkeypatch.setattr(cgroups, "unit", lambda pid, name=name: f"{name}.service")
        assert len(holders.judge(few, lambda pid: False, 0.9)) == small, name
        faults = holders.judge(many, lambda pid: False, 0.9)
        assert {fault.state for fault in faults} == {State.CRITICAL}
        assert all(fault.remedy.startswith(large) for fault in faults), faults


def test_who_holds_another_slice_is_no_matter() -> None:
    text = document("orphans").replace("<current_mig>Disabled", "<current_mig>Enabled")
    assert holders.judge(inventory.parse(text).gpus, lambda pid: False, 0.9) == []
