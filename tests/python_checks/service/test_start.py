"""What a watch says on standard error, and whom it takes for the process it watches."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from python_checks.core import throttle
from python_checks.core.result import CheckError
from python_checks.log import phases
from python_checks.service import start

UP = "INFO:     Application startup complete.\n"


def test_an_unchanged_phase_is_said_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = start.Watch(None, None, 30, "waiting for /health")
    own.look()
    own.look()
    assert capsys.readouterr().err == "waiting for /health (0 s)\n"
    monkeypatch.setattr(throttle, "REPEAT", 0)
    own.look()
    assert capsys.readouterr().err == "waiting for /health (0 s)\n"


def test_a_change_of_phase_is_said_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    own = start.Watch(None, log, 30, phases.FIRST)
    own.look()
    log.write_text(UP)
    own.look()
    assert capsys.readouterr().err == f"{phases.FIRST} (0 s)\nAPI is up (0 s)\n"


def test_the_warm_up_stays_the_last_phase(tmp_path: Path) -> None:
    log = tmp_path / "log"
    own = start.Watch(None, log, 30, phases.FIRST)
    own.phase, own.warming = phases.WARM_UP, True
    log.write_text(UP)
    own.look()
    assert own.phase == phases.WARM_UP


def test_another_process_with_the_same_id_is_not_it() -> None:
    own = start.Watch(os.getpid(), None, 30, "waiting")
    own.look()
    assert own.identity is not None
    own.identity = replace(own.identity, started=own.identity.started - 1)
    with pytest.raises(CheckError, match=f"process {os.getpid()} ended"):
        own.look()
