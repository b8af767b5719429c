"""The end of a service: what runs is brought to its end, and what was stopped stays stopped."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import requests

from tests.systemd.client import MODEL
from tests.systemd.deployed import START, Host

# The nano model says little of itself; without its end of text it goes on, here for some seconds and less than the drain may take.
LONG = {
    "model": MODEL,
    "prompt": "Hello",
    "stream": True,
    "ignore_eos": True,
    "max_tokens": 200,
    "temperature": 0,
}


@dataclass
class Stop:
    """What a client of a streamed answer got, and when, after ``systemctl stop``."""

    code: int = -1
    asked: float = 0
    answered: float = 0
    stopped: float = 0
    events: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def stop(deployed: Host) -> Iterator[Stop]:
    """Stop vLLM in the middle of a streamed answer, and start it again in the end."""
    deployed.until(deployed.serves, START, "vLLM serves before the stop")
    seen = Stop()

    def systemctl() -> None:
        seen.code = deployed.ssh("systemctl stop vllm", seconds=90).returncode
        seen.stopped = time.monotonic()

    thread = threading.Thread(target=systemctl)
    with requests.post(f"{deployed.vllm}/v1/completions", json=LONG, stream=True, timeout=90) as reply:
        for line in filter(None, reply.iter_lines(decode_unicode=True)):
            seen.events.append(line.removeprefix("data: "))
            if len(seen.events) == 5:
                seen.asked = time.monotonic()
                thread.start()
    seen.answered = time.monotonic()
    thread.join(90)
    yield seen
    deployed.told("systemctl start vllm", seconds=START)


def test_a_streamed_answer_is_completed(stop: Stop) -> None:
    *events, end = stop.events
    answered, stopped = stop.answered - stop.asked, stop.stopped - stop.asked
    print(f"{len(events)} events; answered {answered:.1f} s and stopped {stopped:.1f} s after the stop")
    assert answered > 1, "the answer was over before the stop"
    assert end == "[DONE]"
    assert json.loads(events[-1])["choices"][0]["finish_reason"] == "length"
    assert stop.code == 0


def test_nothing_of_it_is_left(stop: Stop, deployed: Host) -> None:
    assert deployed.processes() == {}
    assert "VLLM::" not in deployed.told("ps -ww -eo args=")
    assert deployed.told("ls -A /dev/shm") == ""


def test_it_stays_stopped(stop: Stop, deployed: Host) -> None:
    assert deployed.show("vllm", "ActiveState") == "inactive"
    assert deployed.show("vllm", "Result") == "success"
    assert deployed.ssh("/opt/vllm/bin/checks all @/opt/vllm/checks/vllm.args").returncode == 2
    time.sleep(12)  # a restart after a failure comes after 10 s
    assert deployed.show("vllm", "ActiveState") == "inactive"


@pytest.mark.parametrize(
    "stranger",
    ["bash -c 'exec -a VLLM::EngineCore sleep 300'", "python3 -m http.server 8000"],
    ids=["engine", "port"],
)
def test_it_does_not_start_beside_a_stranger(stop: Stop, deployed: Host, stranger: str) -> None:
    pid = deployed.told(f"nohup {stranger} >/dev/null 2>&1 & echo $!", user="vrsoft")
    try:
        done = deployed.ssh("systemctl start vllm", seconds=60)
        assert done.returncode != 0, deployed.story()
        refusal = [line for line in deployed.log().splitlines() if line.startswith("guard CRITICAL")][-1]
        assert pid in refusal and "vrsoft" in refusal
        assert deployed.ssh(f"kill -0 {pid}").returncode == 0
    finally:
        deployed.told(f"systemctl stop vllm; kill {pid}")
