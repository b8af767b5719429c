"""status, probe, doctor and drain, run against the demo."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest
import requests
from deployed import BACKEND, DIRECTORY, VLLM, api_server, engine_processes, playbook, serves, until

VERDICT = DIRECTORY / "checks/verdict.json"
TOKENS = 6000  # a request that outlasts the start of a playbook, also on a fast machine


def words(text: str) -> str:
    return " ".join(text.split())


def running() -> float:
    """Return how many requests vLLM says that it works on."""
    lines = requests.get(f"{VLLM}/metrics", timeout=10).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:num_requests_running{"))


def long_request(replies: list[requests.Response]) -> None:
    body = {
        "model": "gpt-oss-120b",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": TOKENS,
        "ignore_eos": True,
    }
    replies.append(requests.post(f"{VLLM}/v1/chat/completions", json=body, timeout=300))


def test_probe_is_remembered_and_status_tells_it() -> None:
    before = time.time()
    run = playbook("ansible/probe.yml")
    assert run.returncode == 0, run.stdout
    verdict = json.loads(VERDICT.read_text())
    assert verdict["state"] == "ok" and verdict["time"] > before
    assert set(verdict["releases"]) == {"vllm", "backend"}
    run = playbook("ansible/status.yml")
    assert run.returncode == 0, run.stdout
    assert f"pid {api_server()[0]}," in words(run.stdout)
    assert f"  release  {verdict['releases']['vllm']}\n" in run.stdout
    assert re.search(r"(no|1) request running, none waiting", words(run.stdout))  # the canary asks, too
    assert re.search(r"probes ok .*(ago|just now), 6 checks\b", words(run.stdout))
    assert "GPUs       no GPU" in run.stdout


def test_vllms_own_command_works() -> None:
    [vllm] = DIRECTORY.glob("venvs/vllm-*/bin/vllm")
    [model] = (path.parent for path in DIRECTORY.glob("models/*/config.json"))

    def run(*arguments: str | Path) -> str:
        done = subprocess.run(
            [vllm, *arguments], cwd="/", capture_output=True, text=True, timeout=240, check=True
        )
        return done.stdout

    assert re.fullmatch(r"\d+\.\d+\.\d+\+cpu", run("--version").split()[-1])
    size = ("--random-input-len", "16", "--random-output-len", "8", "--num-prompts", "2")
    server = ("--base-url", VLLM, "--model", "gpt-oss-120b", "--tokenizer", model)
    told = run("bench", "serve", *server, "--dataset-name", "random", *size)
    assert re.search(r"Successful requests: +2\b", told), told


def test_the_doctor_finds_all_well() -> None:
    run = playbook("ansible/doctor.yml")
    assert run.returncode == 0, run.stdout
    [well] = [line for line in run.stdout.splitlines() if line.startswith("   well ")]
    assert "vllm (127.0.0.1:" in well
    assert "tool-call" in run.stdout[run.stdout.index(well) :]


def test_a_dry_run_stops_and_writes_nothing() -> None:
    pid, written = api_server()[0], VERDICT.stat().st_mtime_ns
    for name in ("status", "probe", "doctor", "drain"):
        run = playbook(f"ansible/{name}.yml", "--check", "-v")
        assert run.returncode == 0, run.stdout
        assert "changed=0 " in run.stdout
    assert (api_server()[0], VERDICT.stat().st_mtime_ns) == (pid, written)
    assert serves()


@pytest.mark.long  # a host's drain is in test_start
def test_drain_lets_a_request_end_and_the_deploy_brings_vllm_back() -> None:
    replies: list[requests.Response] = []
    request = threading.Thread(target=long_request, args=[replies], daemon=True)
    request.start()
    until(lambda: running() == 1, 30, "the request is under way")
    run = playbook("ansible/drain.yml")
    assert run.returncode == 0, run.stdout
    assert "1 request running, none waiting" in run.stdout, "it was over before the drain looked"
    request.join(10)
    [reply] = replies
    assert reply.status_code == 200, reply.text
    assert reply.json()["usage"]["completion_tokens"] == TOKENS
    assert not engine_processes("VLLM::")

    chat = requests.post(f"{BACKEND}/v1/chat", json={"message": "Hello", "session_id": "drained"}, timeout=60)
    assert chat.status_code == 503
    time.sleep(15)  # longer than supervisord or a restart would take
    assert not engine_processes("VLLM::")

    status = playbook("ansible/status.yml")
    assert status.returncode == 0 and "!! vllm       stopped " in status.stdout, status.stdout
    doctor = playbook("ansible/doctor.yml")
    assert doctor.returncode == 2, doctor.stdout
    assert "cause somebody stopped it (drain.yml, an operator); it did not fail" in words(doctor.stdout)
    assert "supervisorctl --configuration" in words(doctor.stdout)
    assert "connection refused" not in doctor.stdout

    again = playbook("deploy.yml")
    assert again.returncode == 0, again.stdout
    until(serves, 60, "serving after the drain")
