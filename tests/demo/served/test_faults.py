"""Faults of the running demo: killed processes, and a deploy that cannot call tools."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from deployed import api_server, engine_processes, playbook, serves, until

START = 300  # seconds that a restarted vLLM gets on a busy machine


LONG = pytest.mark.long
VICTIMS = [
    pytest.param("API server", marks=LONG),
    "VLLM::EngineCore",
    pytest.param("VLLM::Worker", marks=LONG),
]


@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_process(victim: str) -> None:
    until(serves, START, "serving before the kill")
    before = {api_server()[0], *engine_processes("VLLM::")}
    os.kill(api_server()[0] if victim == "API server" else engine_processes(victim)[0], signal.SIGKILL)
    until(lambda: not before & {*engine_processes("VLLM::")}, 60, "the old engine processes are gone")
    until(serves, START, f"serving again after the kill of {victim}")
    assert not before & {api_server()[0], *engine_processes("VLLM::")}
    assert len(engine_processes("VLLM::EngineCore")) == 1
    assert len(engine_processes("VLLM::Worker")) == 2


def test_broken_model_is_refused_and_the_server_stays(tmp_path: Path) -> None:
    pid, command = api_server()
    model = Path(shutil.copytree(command[command.index("--model") + 1], tmp_path / "model"))
    shard = model / "model-00002-of-00003.safetensors"
    os.truncate(shard, shard.stat().st_size - 1)
    run = playbook("deploy.yml", "-e", f"vllm_model={model}")
    assert run.returncode != 0
    assert shard.name in run.stdout and "copy the model again" in " ".join(run.stdout.split())
    shard.unlink()
    run = playbook("deploy.yml", "-e", f"vllm_model={model}")
    assert run.returncode != 0
    assert f"{shard.name} is missing" in " ".join(run.stdout.split())
    assert api_server()[0] == pid and serves()


@pytest.mark.long  # three starts; tests/faults/test_deploy_returned.py has the same on a systemd host
def test_without_the_tool_flags_the_deploy_fails_in_tool_call() -> None:
    run = playbook("deploy.yml", "-e", "vllm_tool_call_parser=")
    assert run.returncode != 0
    assert "tool-call" in run.stdout
    assert "--enable-auto-tool-choice --tool-call-parser openai" in " ".join(run.stdout.split())
    again = playbook("deploy.yml")
    assert again.returncode == 0, again.stdout
