"""A unit that is stopped by plan: until when, and that it is no failure for canary, status and doctor."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from python_checks.canary.liveness import Facts, situation
from python_checks.canary.memory import Memory
from python_checks.canary.rules import judge
from python_checks.checks import canary
from python_checks.core.result import State
from python_checks.core.words import clock
from python_checks.doctor import diagnosis
from python_checks.service import planned, systemd
from python_checks.service.condition import condition
from python_checks.service.facts import Service
from python_checks.service.last_words import LastWords
from python_checks.service.registry import Row
from tests.python_checks.doctor_support import signs
from tests.python_checks.hosted import Hosted

NEXT = time.mktime((2026, 11, 30, 7, 0, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("shown", "then"),
    [
        ("@1795000000", 1795000000.0),
        ("Mon 2026-11-30 07:00:00 UTC", NEXT),  # as systemd 252 shows it, in the host's zone
        ("n/a", 0.0),
        ("", 0.0),
        ("@", 0.0),
    ],
)
def test_a_time_as_systemctl_shows_it(shown: str, then: float) -> None:
    assert planned.moment(shown) == then


def test_the_clock() -> None:
    assert clock(NEXT, NEXT - 3600) == "07:00" and clock(NEXT, NEXT - 86400) == "2026-11-30 07:00"


@pytest.fixture
def host(hosted: Hosted, monkeypatch: pytest.MonkeyPatch) -> Hosted:
    """A vLLM that a plan stopped."""
    monkeypatch.setenv("CHECKS_HOME", str(hosted.home))
    monkeypatch.setenv("PATH", f"{hosted.programs}:/usr/bin:/bin")
    (hosted.home / "planned").mkdir()
    (hosted.home / "planned/vllm").touch()
    hosted.add("vllm")
    hosted.shown("vllm", ActiveState="inactive", SubState="dead")
    text = f"NextElapseUSecRealtime=@{time.time() + 3600:.0f}\n"
    (hosted.programs / "vllm-start.timer.shown").write_text(text)
    return hosted


def test_it_counts_only_while_it_is_down_and_its_timer_will_fire(host: Hosted) -> None:
    row = Row("vllm", manager="systemd", unit="vllm")
    unit = systemd.ask(row)
    assert unit.state == "planned" and unit.words.startswith("stopped by plan until ")
    (host.programs / "vllm-start.timer.shown").write_text("NextElapseUSecRealtime=\n")
    assert systemd.ask(row).state == "stopped"  # nothing brings it back
    (host.programs / "vllm-start.timer.shown").write_text("NextElapseUSecRealtime=@1795000000\n")
    host.shown("vllm", ActiveState="failed", SubState="failed")
    assert systemd.ask(row).state == "failed"
    host.shown("vllm", ActiveState="inactive", SubState="dead")
    (host.home / "planned/vllm").unlink()
    assert systemd.ask(row).state == "stopped"


def test_the_canary_takes_it_for_maintenance(host: Hosted) -> None:
    facts = Facts(unit=systemd.ask(Row("vllm", manager="systemd", unit="vllm")))
    assert situation(facts, Memory(), 900) == "planned"
    found = judge(facts, Memory(strikes=2), 1000.0, 900)
    assert (found.state, found.heal, found.memory.strikes) == (State.OK, "", 0)
    assert found.reason.startswith("stopped by plan until ")
    figures = {figure.name: figure.value for figure in canary.report(found, facts, Row("vllm")).figures}
    assert figures["hands_off"] == 1  # alerts are silent


def test_status_and_doctor_say_until_when() -> None:
    now = time.time()
    down = Service("vllm", state="stopped", until=now + 3600, restarts=2, ended="success")
    how = condition(down, "it does not run", LastWords(), now)
    assert how.state is State.OK and how.words == f"stopped by plan until {clock(now + 3600, now)}"
    found = signs()
    services = {**found.services, "vllm": down}
    seen = replace(found, services=services, refused={**found.refused, "vllm": "it does not run"}, now=now)
    assert diagnosis.findings(seen) == []
    assert any(f"stopped by plan until {clock(now + 3600, now)}" in each for each in diagnosis.well(seen))
