"""The end of a service: what runs is brought to its end, and what was stopped stays stopped."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from tests.systemd.client import MODEL
from tests.systemd.deployed import START, Host

# A model of a few MB says little of itself; without its end-of-text it goes on and on.
LONG = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Hello"}],
    "stream": True,
    "ignore_eos": True,
    "max_tokens": 600,
    "temperature": 0,
}


@pytest.fixture(scope="module")
def stopped(deployed: Host) -> Iterator[dict[str, object]]:
    """Stop vLLM in the middle of a streamed answer; return what the client got, and start it again in the end."""
    deployed.until(deployed.serves, START, "vLLM serves before the stop")
    seen: dict[str, object] = {}

    def stop() -> None:
        seen["code"] = deployed.ssh("systemctl stop vllm", seconds=90).returncode
        seen["stopped"] = time.monotonic()

    thread, events = threading.Thread(target=stop), []
    try:
        with requests.post(
            f"{deployed.vllm}/v1/chat/completions", json=LONG, stream=True, timeout=90
        ) as reply:
            for line in reply.iter_lines():
                events += [line.removeprefix(b"data: ")] if line else []
                if len(events) == 5:
                    seen["asked"] = time.monotonic()
                    thread.start()
        seen["answered"] = time.monotonic()
        thread.join(90)
        yield seen | {"events": events}
    finally:
        deployed.told("systemctl start vllm", seconds=START)


def test_a_streamed_answer_is_completed(stopped: dict[str, object]) -> None:
    *events, end = stopped["events"]  # type: ignore[misc]  # of the fixture above
    assert end == b"[DONE]"
    assert [json.loads(event)["choices"][0]["finish_reason"] for event in events if b"choices" in event][
        -1
    ] == "length"
    asked, answered, ended = (float(stopped[name]) for name in ("asked", "answered", "stopped"))  # type: ignore[arg-type]  # times
    print(
        f"{len(events)} events; answered {answered - asked:.1f} s and stopped {ended - asked:.1f} s after the stop"
    )
    assert answered - asked > 1, "the stop came when the answer was over"
    assert stopped["code"] == 0


def test_nothing_of_it_is_left(stopped: dict[str, object], deployed: Host) -> None:
    assert deployed.processes() == {}
    assert "VLLM::" not in deployed.told("ps -ww -eo args=")
    assert deployed.told("ls -A /dev/shm") == ""


def test_it_stays_stopped(stopped: dict[str, object], deployed: Host) -> None:
    assert deployed.show("vllm", "ActiveState") == "inactive"
    assert deployed.show("vllm", "Result") == "success"
    assert deployed.ssh("/opt/vllm/bin/checks all @/opt/vllm/checks/vllm.args").returncode == 2
    time.sleep(12)  # a restart after a failure comes after 10 s
    assert deployed.show("vllm", "ActiveState") == "inactive"
