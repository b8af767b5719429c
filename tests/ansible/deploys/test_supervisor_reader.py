"""What a real supervisord is said to know: state, releases, automatic restarts, and commands that work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from python_checks.core.result import CheckError
from python_checks.service import managers, supervisor
from python_checks.service.registry import Row
from tests.ansible.deploys.test_supervisor import HOSTILE, Supervised, until


class Asked(Supervised):
    """A supervisord, and what the reader tells about its service."""

    @property
    def row(self) -> Row:
        control = [self.program("supervisorctl"), "--configuration", str(self.directory / "supervisord.conf")]
        releases = str(self.directory / "releases/service")
        return Row("service", "other", "supervisor", "service", control, releases=releases)

    def ask(self) -> dict[str, Any]:
        return managers.services([self.row])["service"].as_dict()


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    """Run a service of a release under a supervisord and end it."""
    (tmp_path / "releases/service").mkdir(parents=True)
    (tmp_path / "releases/service/current").symlink_to("1-abc")
    service = Asked(tmp_path)
    yield service
    service.end()


@pytest.mark.slow
def test_from_running_to_nothing(asked: Asked) -> None:
    first = asked.state()
    facts = asked.ask()
    assert (facts["state"], facts["pid"], facts["restarts"]) == ("running", first["pid"], 0)
    assert (facts["running"], facts["current"], facts["stale"]) == ("1-abc", "1-abc", False)
    assert facts["command"][4:] == HOSTILE and facts["log"] == str(asked.directory / "service.log")

    os.kill(facts["pid"], signal.SIGKILL)
    second = asked.state()
    facts = asked.ask()
    assert (facts["state"], facts["pid"], facts["restarts"]) == ("running", second["pid"], 1)
    assert facts["ended"] == "terminated by SIGKILL; not expected"

    program = asked.directory / "conf.d/service.ini"
    program.write_text(program.read_text().replace("startsecs = 30", "startsecs = 29"))
    facts = asked.ask()
    assert (facts["running"], facts["stale"]) == ("", True)

    stop = facts["start"].replace(" start service", " stop service")
    subprocess.run(["sh", "-c", stop], check=True, timeout=30)
    facts = asked.ask()
    assert (facts["state"], facts["pid"], facts["restarts"]) == ("stopped", 0, 1)
    subprocess.run(["sh", "-c", facts["start"]], check=False, timeout=60)
    assert asked.ask()["pid"] == asked.state()["pid"]

    asked.process.terminate()
    asked.process.wait(timeout=30)
    facts = asked.ask()
    assert (facts["state"], facts["words"]) == ("down", "supervisord does not run")


def test_a_service_that_never_stays_up_is_given_up(asked: Asked) -> None:
    asked.state()
    (asked.directory / "service.py").write_text("raise SystemExit(3)")
    os.kill(asked.ask()["pid"], signal.SIGKILL)
    until(lambda: asked.ask()["gave_up"], 60)
    facts = asked.ask()
    assert (facts["state"], facts["pid"]) == ("failed", 0)
    assert facts["ended"] == "exit status 3; not expected" and facts["restarts"] >= 3


def test_a_program_that_is_not_there_is_said_by_supervisord_alone(asked: Asked) -> None:
    """No log begins: its words for the state hold the reason."""
    asked.state()
    program = asked.directory / "conf.d/service.ini"
    program.write_text(
        program.read_text().replace(f"command = {sys.executable}", "command = /nowhere/venv/bin/python")
    )
    asked.ask()
    subprocess.run(["sh", "-c", asked.ask()["start"].replace(" start ", " update ")], check=True, timeout=60)
    until(lambda: asked.ask()["gave_up"], 60)
    facts = asked.ask()
    assert (facts["state"], facts["words"]) == ("failed", "FATAL")
    assert facts["told"][0] == "can't find command '/nowhere/venv/bin/python'"


def test_nothing_is_set_up(tmp_path: Path) -> None:
    control = ["/nowhere/supervisorctl", "--configuration", str(tmp_path / "supervisord.conf")]
    row = Row("vllm", "chat", "supervisor", "vllm", control, releases=str(tmp_path))
    assert managers.services([row])["vllm"].state == "absent"


def test_a_restart_takes_what_is_new_and_waits_for_the_answer(
    asked: Asked, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever state it was in; what waits is told the process, the log and the key."""
    first = asked.state()
    program = asked.directory / "conf.d/service.ini"
    program.write_text(program.read_text().replace("startsecs = 30", "startsecs = 29"))
    (asked.directory / "key").write_text("sk-secret")
    code = "import os, sys; print(*sys.argv[1:], os.environ['VLLM_API_KEY'], flush=True); sys.exit('--bad' in sys.argv)"
    wait = [sys.executable, "-c", code]
    row = replace(asked.row, wait=wait, ready=["--chat"], log="/log", key_file=str(asked.directory / "key"))
    told: list[str] = []
    assert supervisor.restart(row, told.append)
    second = asked.state()
    assert second["pid"] != first["pid"] and told[0].startswith("stopping")
    assert capfd.readouterr().out == f"--chat --pid {second['pid']} --log /log sk-secret\n"
    assert (asked.ask()["stale"], asked.ask()["pid"]) == (False, second["pid"])
    assert supervisor.follow(row, told.append)
    assert capfd.readouterr().out == f"--pid {second['pid']} --log /log sk-secret\n"
    assert not supervisor.restart(replace(row, ready=["--bad"]), told.append)
    subprocess.run([*row.control, "stop", "service"], check=False, timeout=60)
    with pytest.raises(CheckError, match="has no process"):
        supervisor.follow(row, told.append)
    told.clear()
    assert supervisor.restart(row, told.append)
    assert not [words for words in told if words.startswith("stopping")]  # it was not running
