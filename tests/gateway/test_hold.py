"""What clients see while the engine is away: they wait."""

from __future__ import annotations

import json
import socket
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
import requests

from tests.gateway.door import CHAT, KEY, Door, until
from tests.gateway.test_keys import checks


@pytest.fixture(autouse=True)
def back(door: Door) -> Iterator[None]:
    """Leave the engine up and in service."""
    yield
    door.command("set server vllm/main state ready")
    door.engine.start()
    until(door.up, 10, "the engine is up again")


def test_drain_restart_ready_costs_waiting_and_no_error(door: Door) -> None:
    """The sequence of a restart: a stream under way ends whole, later requests wait and are answered."""
    with ThreadPoolExecutor(8) as pool:
        stream = pool.submit(door.chat, stream=True, words=20, gap=0.1)
        time.sleep(0.5)
        door.command("set server vllm/main state drain")
        waiting = [pool.submit(door.chat) for _ in range(4)]
        assert stream.result().text.endswith("data: [DONE]\n\n")
        assert len(door.engine.seen()) and not any(each.done() for each in waiting)
        door.engine.stop()
        time.sleep(1)
        door.engine.start()
        time.sleep(1.5)  # its health is good by now
        assert not any(each.done() for each in waiting)
        door.command("set server vllm/main state ready")
        assert [each.result().status_code for each in waiting] == [200] * 4
    held = [json.loads(line)["held"] for line in door.log.splitlines() if line.startswith("{")]
    assert sum(each.isdigit() and int(each) > 2000 for each in held) == 4  # milliseconds


def test_an_engine_that_is_gone_is_waited_for(door: Door) -> None:
    """Killed, and nobody told the gateway before: the first requests find a closed port."""
    door.engine.stop()
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(door.chat) for _ in range(4)]
        time.sleep(2.5)
        door.engine.start()
        assert [each.result().status_code for each in waiting] == [200] * 4


def test_no_more_wait_than_may(door: Door) -> None:
    door.command("set server vllm/main state drain")
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(door.chat) for _ in range(5)]
        time.sleep(1)
        reply = door.chat()
        assert reply.status_code == 503 and reply.json()["error"]["code"] == "overloaded"
        assert reply.headers["Retry-After"] == "10"
        door.command("set server vllm/main state ready")
        assert [each.result().status_code for each in waiting] == [200] * 5


def test_a_client_that_left_takes_no_place(door: Door) -> None:
    door.command("set server vllm/main state drain")
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 2\r\n\r\n{{}}"
    left = []
    for _ in range(5):
        left.append(socket.create_connection(("127.0.0.1", door.port)))
        left[-1].sendall(head.encode())
    time.sleep(0.5)
    for channel in left:
        channel.close()
    time.sleep(1.5)
    before = len(door.engine.seen())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(door.chat)
        time.sleep(0.5)
        assert not waiting.done()
        door.command("set server vllm/main state ready")
        assert waiting.result().status_code == 200
    assert len(door.engine.seen()) == before + 1  # nobody asked vllm for those who left


def test_health_is_told_at_once(door: Door) -> None:
    door.command("set server vllm/main state drain")
    began = time.monotonic()
    assert requests.get(f"{door.url}/health", timeout=5).status_code == 503
    assert time.monotonic() - began < 1


def test_a_stranger_is_not_kept_waiting(door: Door) -> None:
    door.command("set server vllm/main state drain")
    began = time.monotonic()
    assert door.chat("wrong").status_code == 401 and time.monotonic() - began < 1


def test_an_error_of_the_engine_is_not_repeated(door: Door) -> None:
    """A request that ran may have done something."""
    before = len(door.engine.seen())
    assert door.chat(status=500).status_code == 500
    assert len(door.engine.seen()) == before + 1
    assert door.chat().status_code == 200


def test_a_stream_that_is_cut_is_seen_to_be_cut(door: Door) -> None:
    with pytest.raises(requests.RequestException):
        door.chat(stream=True, words=9, gap=0.02, cut=4)


def test_no_stream_is_bunched(door: Door) -> None:
    """Each event arrives when it was sent: HAProxy as it comes sends some together, every 200 ms."""
    head, times = {"Authorization": f"Bearer {KEY}"}, []
    body = {"stream": True, "words": 40, "gap": 0.05}
    with requests.post(door.url + CHAT, json=body, headers=head, stream=True, timeout=30) as reply:
        while reply.raw.read1(65536):
            times.append(time.monotonic())
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) >= 38 and statistics.median(gaps) > 0.03


def test_replies_direct_and_through_it_are_the_same(door: Door, tmp_path: Path) -> None:
    """As a host compares them, and where something between adds an event it is seen."""
    (tmp_path / "key").write_text(KEY)
    given = ("conformance", "--url", door.engine.url, "--model", "gpt-oss-120b", "--timeout", "20")
    done = checks(*given, "--through", door.url, "--through-key-file", tmp_path / "key")
    lines = [line for line in done.stdout.splitlines() if line.startswith("through-")]
    assert len(lines) == 9 and all(" OK: " in line for line in lines), done.stdout + done.stderr
    done = checks(*given, "--through", door.url)
    assert "the status is 200, and through it 401" in done.stdout
