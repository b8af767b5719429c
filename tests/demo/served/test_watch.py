"""The canary, which a loop of supervisord runs beside vLLM."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from typing import Any

import pytest
from deployed import DIRECTORY, api_server, engine_processes, playbook, processes, serves, until

VERDICT = DIRECTORY / "watch/canary.verdict"


def verdict(since: float) -> dict[str, Any]:
    """Return the canary's next verdict."""
    until(lambda: VERDICT.exists() and VERDICT.stat().st_mtime > since, 60, "the canary looks again")
    found: dict[str, Any] = json.loads(VERDICT.read_text())
    return found


def test_it_looks_again_and_again() -> None:
    for _ in range(2):
        assert verdict(time.time())["state"] == "ok"
    assert "vllm_probe_success" in (DIRECTORY / "metrics/canary.prom").read_text()
    status = playbook("ansible/status.yml").stdout
    assert re.search(r"canary     alive: ", status), status


@pytest.mark.slow
def test_maintenance_keeps_it_off() -> None:
    for wanted, words in (("on", "in maintenance since"), ("off", "alive")):
        assert playbook("ansible/maintenance.yml", "-e", f"maintenance={wanted}").returncode == 0
        assert words in verdict(time.time())["results"][0]["reason"]
    again = playbook("ansible/maintenance.yml", "-e", "maintenance=off", "-v")
    assert "changed=0 " in again.stdout
    assert playbook("ansible/maintenance.yml").returncode != 0


@pytest.mark.long
def test_it_heals_a_server_that_hangs() -> None:
    before = api_server()[0]
    os.kill(engine_processes("VLLM::Worker")[0], signal.SIGSTOP)
    until(lambda: before not in processes(), 240, "the canary restarts it")
    until(serves, 120, "serving again")
    assert verdict(time.time())["state"] == "ok"
