"""`plan stop` and `plan start`: what a timer stops stays down, is started again, and never beside a person or a deploy."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.python_checks.hosted import Hosted

STOP = ["disable --quiet vllm", "--no-block stop vllm"]
START = ["enable --quiet vllm", "--no-block start vllm"]


@pytest.fixture
def host(hosted: Hosted) -> Iterator[Hosted]:
    """A vLLM that runs."""
    for name in ("planned", "watch"):
        (hosted.home / name).mkdir()
    hosted.add("vllm")
    hosted.shown("vllm", MainPID=str(os.getpid()))
    yield hosted


def mark(host: Hosted) -> Path:
    return host.home / "planned/vllm"


def done(host: Hosted) -> list[str]:
    """Return what systemctl was asked to do."""
    path = host.programs / "calls"
    calls = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return [call for call in calls if not call.startswith("show ")]


def plan(host: Hosted, what: str, code: int = 0) -> str:
    found = host.checks("plan", what, "vllm")
    assert found.returncode == code, found.stdout + found.stderr
    return found.stdout


def test_it_is_stopped_and_started_again(host: Hosted) -> None:
    assert "vllm is stopped by plan" in plan(host, "stop")
    assert done(host) == STOP and mark(host).stat().st_mode & 0o777 == 0o644
    host.shown("vllm", ActiveState="inactive", SubState="dead")
    host.shown("vllm-start.timer", NextElapseUSecRealtime="@1")
    assert "vllm is started again" in plan(host, "start")
    assert done(host) == START and not mark(host).exists()


@pytest.mark.parametrize(
    ("active", "sub"), [("inactive", "dead"), ("failed", "failed"), ("deactivating", "stop")]
)
def test_what_an_operator_stopped_stays_so(host: Hosted, active: str, sub: str) -> None:
    host.shown("vllm", ActiveState=active, SubState=sub)
    assert "left as it is, for it does not run" in plan(host, "stop") and not mark(host).exists()
    assert "left as it is, for no plan stopped it" in plan(host, "start")
    assert done(host) == []


@pytest.mark.parametrize(("active", "sub"), [("activating", "start-post"), ("activating", "auto-restart")])
def test_a_start_is_stopped_as_well(host: Hosted, active: str, sub: str) -> None:
    host.shown("vllm", ActiveState=active, SubState=sub)
    plan(host, "stop")
    assert done(host) == STOP


def busy(host: Hosted, by: str) -> Path:
    """Have a person or a deploy work on the host, and return the file that says so."""
    file, said = {
        "maintenance": ("watch/maintenance.json", {"since": time.time(), "by": "kim", "reason": "disks"}),
        "deploy": ("deploy.lock", {"user": "kim", "host": "desk"}),
    }[by]
    (host.home / file).write_text(json.dumps(said))
    return host.home / file


BUSY = [("maintenance", "in maintenance"), ("deploy", "kim@desk deploys")]


@pytest.mark.parametrize(("by", "said"), BUSY)
def test_others_come_before_a_stop(host: Hosted, by: str, said: str) -> None:
    file = busy(host, by)
    assert f"left as it is: {said}" in plan(host, "stop", 1)
    assert done(host) == [] and not mark(host).exists()
    os.utime(file, (time.time() - 600,) * 2)
    if by == "deploy":  # its run is gone
        plan(host, "stop")
        assert done(host) == STOP


@pytest.mark.parametrize(("by", "said"), BUSY)
def test_others_come_before_a_start_and_the_plan_ends(host: Hosted, by: str, said: str) -> None:
    """Else the canary would call it stopped by plan until the next start."""
    mark(host).touch()
    host.shown("vllm", ActiveState="inactive", SubState="dead")
    busy(host, by)
    words = plan(host, "start", 1)
    assert f"not started: {said}" in words and "systemctl start vllm" in words
    assert done(host) == START[:1] and not mark(host).exists()


def test_a_deploy_ends_what_was_planned(host: Hosted) -> None:
    mark(host).touch()
    assert host.checks("restart", "vllm").returncode == 0
    assert not mark(host).exists() and "enable --quiet vllm" in done(host)


def test_without_a_mark_nothing_is_stopped(host: Hosted) -> None:
    """Else the canary would take it for a failure, and a boot would start it."""
    (host.home / "planned").rmdir()
    assert "its mark cannot be written" in plan(host, "stop", 2)
    assert done(host) == []


def test_supervisord_has_no_calendar(hosted: Hosted) -> None:
    hosted.add("vllm", manager="supervisor")
    assert "runs under no systemd" in hosted.checks("plan", "stop", "vllm").stdout
