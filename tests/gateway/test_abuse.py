"""Malformed requests, slow clients and large ones by the hundred: a good key is served all the while."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.gateway.abuse import Abuse, Place, Slow, beside, large, malformed, send
from tests.gateway.door import KEY, Door, opened

MIB = 16  # of a body, at most: the role's default


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A door with the limits of a host, which waits for nobody as long."""
    home: Path = tmp_path_factory.mktemp("a")
    with opened(home, gateway_header_seconds=3) as door:
        yield door


@pytest.fixture
def place(door: Door) -> Place:
    """Where it listens."""
    return "127.0.0.1", door.port


def test_malformed_requests_reach_nothing(door: Door, place: Place) -> None:
    seen = len(door.engine.seen())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(partial(send, place), malformed(500, KEY)))
    assert not any(b" 200 " in answer for answer in answers)
    assert sum(b" 400 " in answer for answer in answers) > 100
    assert len(door.engine.seen()) == seen


def test_slow_clients_are_not_waited_for_without_an_end(door: Door, place: Place) -> None:
    seen = len(door.engine.seen())
    slow = [Slow(place, KEY, number) for number in range(100)]
    for _ in range(7):
        time.sleep(0.5)
        for client in slow:
            client.drip()
    answers = [client.told() for client in slow]
    # A reset that the next byte called for may overtake the words.
    assert answers.count(b"HTTP/1.1 408 Request Time-out") > 50 and len({*answers} - {b""}) == 1
    assert len(door.engine.seen()) == seen


def test_bodies_of_many_megabytes(door: Door, place: Place) -> None:
    with ThreadPoolExecutor(4) as pool:
        taken = [pool.submit(door.chat, prompt="x" * 15_000_000) for _ in range(4)]
        assert [each.result().status_code for each in taken] == [200] * 4
    seen = len(door.engine.seen())
    for pieces, status in zip(large(KEY, MIB), (413, 401, 400), strict=True):
        # It stops reading, so a client may see a reset.
        answer = send(place, *pieces)
        assert not answer or b" %d " % status in answer, (status, answer)
    assert len(door.engine.seen()) == seen


@pytest.mark.parametrize(
    ("number", "seconds"), [(800, 10), pytest.param(10_000, 120, marks=pytest.mark.long)]
)
def test_a_good_key_is_served_all_the_while(door: Door, place: Place, number: int, seconds: float) -> None:
    """Within twice the time that the engine takes by itself; tests/systemd has a real one."""

    def ask() -> None:
        assert door.chat(gap=0.1, timeout=10).status_code == 200

    abuse = Abuse(place, KEY, MIB, number, seconds)
    alone, meanwhile = beside(abuse, ask)
    assert sum(abuse.answers.values()) > number and not any(b" 200 " in answer for answer in abuse.answers)
    assert sum(abuse.slow.values()) > 100
    assert len(meanwhile) > 2 * seconds and statistics.median(meanwhile) < 2 * alone
