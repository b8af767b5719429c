"""Named keys: who may, how much, until when; and what changes while a stream runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.door import KEY, REPOSITORY, Door, digest, row, until

OTHER = "sk-of-another-team"


def checks(
    *arguments: str | Path, given: str = "", home: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a check as the host does; `home`: the directory of a deploy."""
    command = [sys.executable, "-P", "-m", "python_checks", *map(str, arguments)]
    return subprocess.run(
        command,
        input=given,
        cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY)} | ({"CHECKS_HOME": str(home)} if home else {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def deploy(door: Door, *rows: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Give the gateway these keys, and the team's, as the role does."""
    team = {"name": "team", "sha256": digest(KEY), "parallel": 0, "requests_a_minute": 0}
    given = {"rows": [team, *rows], "services": ["vllm", "backend"], "named": ["monitoring"]}
    given |= {"parallel": 16, "requests_a_minute": 600}
    places = (
        "--socket",
        door.state / "admin.sock",
        "--map",
        door.map,
        "--probe-key",
        door.state / "probe.key",
    )
    return checks("keys", *places, given=json.dumps(given))


@pytest.fixture(autouse=True)
def only_the_team(door: Door) -> Iterator[None]:
    yield
    deploy(door)


def test_a_key_comes_and_goes_while_a_stream_runs(door: Door) -> None:
    assert door.chat(OTHER).status_code == 401
    with door.streaming():
        done = deploy(door, {"name": "other", "sha256": digest(OTHER)})
        assert done.returncode == 0 and "keys: 2, names: 2; the gateway has them" in done.stdout, (
            done.stdout + done.stderr
        )
        assert door.chat(OTHER).status_code == 200  # at the next request
        done = deploy(door)
        assert "from now on" in done.stdout and door.chat(OTHER).status_code == 401
    assert "as before" in deploy(door).stdout


def test_the_team_of_a_stream_may_be_revoked(door: Door) -> None:
    deploy(door, {"name": "other", "sha256": digest(OTHER)})
    with door.streaming(partial(door.chat, OTHER)):
        deploy(door)
        assert door.chat(OTHER).status_code == 401


def test_two_rows_of_one_name_are_a_rotation(door: Door) -> None:
    new = "sk-the-new-one"
    deploy(door, {"name": "other", "sha256": digest(OTHER)}, {"name": "other", "sha256": digest(new)})
    assert door.chat(OTHER).status_code == door.chat(new).status_code == 200
    assert {seen["head"]["x-gateway-key"] for seen in door.engine.seen()[-2:]} == {"other"}


def test_a_map_that_was_written_and_not_taken_up_is_taken_up_later(door: Door) -> None:
    """An earlier run may have been ended in between."""
    line = row("other", OTHER, minute=600, parallel=16)
    deploy(door)
    door.map.write_text(door.map.read_text() + line)
    assert door.chat(OTHER).status_code == 401
    deploy(door, {"name": "other", "sha256": digest(OTHER)})
    assert door.chat(OTHER).status_code == 200


def test_an_expired_key(door: Door) -> None:
    yesterday = time.strftime("%Y-%m-%d", time.localtime(time.time() - 86400))
    deploy(door, {"name": "other", "sha256": digest(OTHER), "expires": yesterday})
    reply = door.chat(OTHER)
    assert reply.status_code == 401 and "expired" in reply.json()["error"]["message"]
    deploy(door, {"name": "other", "sha256": digest(OTHER), "expires": time.strftime("%Y-%m-%d")})
    assert door.chat(OTHER).status_code == 200  # its last day


def test_a_key_of_another_service(door: Door) -> None:
    deploy(door, {"name": "other", "sha256": digest(OTHER), "services": ["backend"]})
    reply = door.chat(OTHER)
    assert reply.status_code == 403 and reply.json()["error"]["code"] == "not_allowed"


def test_parallel_requests_of_a_key(door: Door) -> None:
    deploy(door, {"name": "other", "sha256": digest(OTHER), "parallel": 4})
    with ThreadPoolExecutor(21) as pool:
        replies = [pool.submit(door.chat, OTHER, gap=3) for _ in range(20)]
        until(lambda: sum(reply.done() for reply in replies) == 16, 10, "what is too much is refused")
        assert door.chat().status_code == 200  # another key is served meanwhile
        assert sum(reply.done() for reply in replies) == 16
        codes = sorted(reply.result().status_code for reply in replies)
    assert codes == [200] * 4 + [429] * 16
    refused = next(reply.result() for reply in replies if reply.result().status_code == 429)
    assert refused.json()["error"]["type"] == "rate_limit_error" and int(refused.headers["Retry-After"]) > 0
    until(lambda: door.chat(OTHER).status_code == 200, 5, "its places are free again")


def test_requests_a_minute_of_a_key(door: Door) -> None:
    deploy(door, {"name": "minute", "sha256": digest(OTHER), "requests_a_minute": 5})
    assert [door.chat(OTHER).status_code for _ in range(7)] == [200] * 5 + [429] * 2
    assert door.chat().status_code == 200


def test_tokens_a_day_of_a_key(door: Door) -> None:
    """Refused from the next request on after they are used up: the engine tells the count with its answer."""
    deploy(door, {"name": "day", "sha256": digest(OTHER), "tokens_a_day": 200})
    for number in range(3):  # 90 each
        assert door.chat(OTHER, words=10).status_code == 200
        door.booked("day", number + 1)
    refused = door.chat(OTHER)
    assert refused.status_code == 429 and refused.json()["error"]["code"] == "insufficient_quota"


@pytest.mark.parametrize("name", ["a b", "probe"])
def test_a_bad_row_changes_nothing(door: Door, name: str) -> None:
    before = door.map.read_text()
    done = deploy(door, {"name": name, "sha256": "0" * 64})
    assert done.returncode == 2 and "remedy" in done.stdout, done.stdout + done.stderr
    assert door.map.read_text() == before and door.chat().status_code == 200


def test_the_key_of_the_probes_is_served_and_private(door: Door) -> None:
    deploy(door)
    file = door.state / "probe.key"
    assert file.stat().st_mode & 0o777 == 0o600 and door.chat(file.read_text()).status_code == 200


def test_the_gateway_holds_hashes_only(door: Door) -> None:
    shown = door.command(f"show map {door.map}")
    assert digest(KEY) in shown and KEY not in shown
    assert KEY not in (door.tree / "haproxy.cfg").read_text() + door.map.read_text() + door.command(
        "show env"
    )
