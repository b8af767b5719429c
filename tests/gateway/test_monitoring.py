"""Prometheus behind the gateway: opened by a key that names it, and by no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.gateway.door import KEY, Door, digest, opened, played, row
from tests.gateway.test_keys import deploy
from tests.ports import free_port

OPS = "sk-of-who-looks-at-metrics"
TEAM = {"name": "team", "sha256": digest(KEY)}
LOOKS = {"name": "ops", "sha256": digest(OPS), "services": ["monitoring"]}
PAGE, QUERY = "/consoles/status.html", "/api/v1/query"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Door, str]]:
    """A door whose engine stands for Prometheus, too, and where people reach that."""
    port = free_port()
    with opened(
        tmp_path_factory.mktemp("m"), gateway_keys=[TEAM, LOOKS], gateway_monitoring_port=port
    ) as door:
        door.keys(row("ops", OPS, services="|monitoring|"))
        done = deploy(door, LOOKS)
        assert done.returncode == 0, done.stdout + done.stderr
        yield door, f"http://127.0.0.1:{port}"


def asked(url: str, password: str, method: str = "GET") -> requests.Response:
    """Ask as a browser does, with the key as the password."""
    return requests.request(method, url, auth=("anybody", password), timeout=10)


def test_a_browser_is_asked_for_the_key_and_then_served(watched: tuple[Door, str]) -> None:
    door, url = watched
    stranger = requests.get(url + PAGE, timeout=10)
    assert stranger.status_code == 401 and stranger.headers["WWW-Authenticate"] == "Basic realm=monitoring"
    assert asked(url + PAGE, "wrong").status_code == 401
    assert asked(url + PAGE, OPS).status_code == 200
    seen = door.engine.seen()[-1]
    assert seen["target"] == PAGE and OPS not in str(seen) and "authorization" not in seen["head"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_grafana_may_query(watched: tuple[Door, str], method: str) -> None:
    door, url = watched
    assert asked(f"{url}{QUERY}?query=up%3D%3D1", OPS, method).status_code == 200
    assert door.engine.seen()[-1]["target"] == f"{QUERY}?query=up%3D%3D1"


@pytest.mark.parametrize(
    "path", ["/", "/graph", "/metrics", "/-/reload", "/api/v1/status/config", "/api/v1/admin/tsdb/snapshot"]
)
def test_nothing_else_is_let_through(watched: tuple[Door, str], path: str) -> None:
    door, url = watched
    before = len(door.engine.seen())
    assert {asked(url + path, OPS, method).status_code for method in ("GET", "POST")} == {404}
    assert len(door.engine.seen()) == before


def test_keys_are_for_one_or_the_other(watched: tuple[Door, str]) -> None:
    door, url = watched
    assert asked(url + PAGE, KEY).status_code == 403 and door.chat(OPS).status_code == 403
    assert door.chat().status_code == 200


def test_without_such_a_key_it_is_not_opened(door: Door) -> None:
    assert "monitoring" not in (door.tree / "haproxy.cfg").read_text()


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ({}, True),
        ({"gateway_self_signed": ["ml35.example"]}, False),
        ({"gateway_host": "127.0.0.1"}, False),
        ({"gateway_keys": [TEAM]}, False),
    ],
)
def test_no_password_goes_in_the_clear(tmp_path: Path, more: dict[str, Any], refused: bool) -> None:
    """What is not refused goes on to the ports, which it shares with vLLM here."""
    given = {"host_directory": str(tmp_path), "service_manager": "supervisor", "gateway_host": "0.0.0.0"}
    done = played(tmp_path, "preflight.yml", given | {"gateway_keys": [TEAM, LOOKS]} | more)
    assert ("would send its key in the clear" in " ".join(done.stdout.split())) == refused, done.stdout
    assert refused or "takes the ports" in done.stdout, done.stdout
