"""The clock: what timedatectl says, asked of programs that say it."""

from pathlib import Path

import pytest

from python_checks.core.result import State
from python_checks.doctor import clock, diagnosis
from python_checks.doctor.clock import Clock
from tests.python_checks.doctor_support import one, signs
from tests.python_checks.gpu_support import script


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a host, no container, whose hardware clock and timedatectl lie in a directory."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(clock, "HARDWARE", tmp_path / "since_epoch")
    monkeypatch.setattr(clock, "CONTAINER", tmp_path / "container")
    return tmp_path


def say(told: Path, synchronised: str, served: str = "no", local: str = "no") -> None:
    words = (
        f"LocalRTC={local}\\nNTP={served}\\nNTPSynchronized={synchronised}\\n"  # as systemd 252 prints them
    )
    script(told / "timedatectl", f"printf '{words}'")


def test_a_clock_that_is_synchronised(told: Path) -> None:
    say(told, "yes", "yes")
    assert clock.read() == Clock(True, True, None)
    assert "clock" in diagnosis.well(signs(clock=clock.read()))
    assert diagnosis.findings(signs(clock=clock.read())) == []


def test_a_clock_that_nobody_sets_is_a_warning(told: Path) -> None:
    say(told, "no")
    finding = one(signs(clock=clock.read()))
    assert finding.state is State.WARNING and "not synchronised" in finding.symptom
    assert finding.cause == "no time service is switched on" and "set-ntp true" in finding.remedy
    say(told, "no", "yes")
    assert one(signs(clock=clock.read())).cause == "its time service reaches no server"


def test_the_hardware_clock_tells_how_far_it_is_off(told: Path) -> None:
    (told / "since_epoch").write_text("1000000\n")
    say(told, "no")
    assert "days away from it" in one(signs(clock=clock.read())).evidence
    say(told, "no", local="yes")
    assert one(signs(clock=clock.read())).evidence == "timedatectl: NTPSynchronized=no"


def test_where_nothing_can_be_known_nothing_is_said(told: Path) -> None:
    script(
        told / "timedatectl", "echo 'System has not been booted with systemd as init system (PID 1).'; exit 1"
    )
    assert clock.read() == Clock()
    say(told, "no")
    (told / "container").write_text("systemd-nspawn")
    assert clock.read() == Clock()
    assert diagnosis.findings(signs(clock=Clock())) == []


def test_a_timedatectl_that_hangs(told: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "TIMEOUT", 0.2)
    script(told / "timedatectl", "sleep 60")
    assert clock.read() == Clock()
