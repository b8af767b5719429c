"""What a real supervisord is said to know: state, releases, automatic restarts, and commands that work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from states import state
from test_supervisor import HOSTILE, Supervised, until


class Asked(Supervised):
    """A supervisord, and what the module tells about its service."""

    def ask(self) -> dict[str, Any]:
        control = [self.program("supervisorctl"), "--configuration", str(self.directory / "supervisord.conf")]
        arguments = {
            "services": ["service"],
            "releases": str(self.directory / "releases"),
            "directory": str(self.directory),
            "control": control,
        }
        return state("supervisor_state", arguments)["service"]


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    """Run a service of a release under a supervisord and end it."""
    (tmp_path / "releases/service").mkdir(parents=True)
    (tmp_path / "releases/service/current").symlink_to("1-abc")
    service = Asked(tmp_path)
    yield service
    service.end()


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
    arguments = {
        "services": ["vllm"],
        "releases": str(tmp_path),
        "directory": str(tmp_path),
        "control": ["/nowhere/supervisorctl"],
    }
    assert state("supervisor_state", arguments)["vllm"]["state"] == "absent"
