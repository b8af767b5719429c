"""Malformed requests, slow clients and large ones by the hundred: a good key is served all the while."""

from __future__ import annotations

import random
import socket
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.gateway.door import CHAT, KEY, Door, opened

HEADS = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /v1/models HTTP/9.9\r\n\r\n",
    b"\x00" * 40 + b"\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\nA\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET " + b"/x" * 9000 + b" HTTP/1.1\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\n" + b"X: " + b"y" * 40000 + b"\r\n\r\n",
)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A door with the limits of a host."""
    home: Path = tmp_path_factory.mktemp("a")
    with opened(home, gateway_header_seconds=5) as door:
        yield door


def seconds(door: Door, number: int = 20) -> float:
    """Return what a good key's request takes, the median of some."""
    times = []
    for _ in range(number):
        began = time.monotonic()
        assert door.chat(timeout=10).status_code == 200
        times.append(time.monotonic() - began)
    return statistics.median(times)


def send(door: Door, data: bytes) -> bytes:
    """Send bytes and return the beginning of the answer; a connection that is reset has none."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", door.port), timeout=10) as channel:
        channel.sendall(data)
        channel.shutdown(socket.SHUT_WR)
        return channel.recv(4096)
    return b""


def malformed(door: Door, number: int) -> list[bytes]:
    """Send so many, each one of the above or a good one with some bytes changed."""
    chance = random.Random(7)
    good = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY[:-1]}\r\nContent-Length: 2\r\n\r\n{{}}".encode()

    def one(_: int) -> bytes:
        data = bytearray(chance.choice((*HEADS, good)))
        for _ in range(chance.randrange(4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        return send(door, bytes(data))

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, range(number)))


@pytest.mark.parametrize("number", [500, pytest.param(10_000, marks=pytest.mark.long)])
def test_malformed_requests_reach_nothing_and_harm_nobody(usual: Door, number: int) -> None:
    before, seen = seconds(usual), len(usual.engine.seen())
    answers = malformed(usual, number)
    assert not any(b" 200 " in answer.split(b"\r\n")[0] for answer in answers)
    assert len(usual.engine.seen()) == seen
    assert seconds(usual) < 2 * before + 0.02  # the machine that tests has noise of its own


def test_a_hundred_slow_clients_keep_nobody_out(usual: Door) -> None:
    before = seconds(usual)
    with ExitStack() as ends:
        slow = [ends.enter_context(socket.create_connection(("127.0.0.1", usual.port))) for _ in range(100)]
        for number, channel in enumerate(slow):
            head = (
                f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 9000\r\n"
            )
            channel.sendall(head.encode() + (b"\r\n{" if number % 2 else b""))
        for _ in range(6):
            assert seconds(usual, 5) < 2 * before + 0.02
            for channel in slow:
                with suppress(OSError):
                    channel.sendall(b" " if channel.fileno() % 2 else b"")
            time.sleep(0.5)
        time.sleep(4)
        for channel in slow:
            channel.settimeout(2)
            with suppress(ConnectionError):
                assert b" 408 " in channel.recv(100)  # nobody is waited for without an end


def test_bodies_of_many_megabytes(usual: Door) -> None:
    before = seconds(usual)
    with ThreadPoolExecutor(4) as pool:
        large = [pool.submit(usual.chat, prompt="x" * 15_000_000) for _ in range(4)]
        seconds(usual, 5)
        assert [each.result().status_code for each in large] == [200] * 4
        refused = [pool.submit(usual.chat, prompt="x" * 17_000_000) for _ in range(4)]
        for each in refused:
            with suppress(OSError):  # it stops reading, so a client may see a reset
                assert each.result().status_code == 413
    assert seconds(usual) < 2 * before + 0.02
