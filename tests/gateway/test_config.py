"""The configuration as the role makes it, and what it says to HAProxy itself."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.gateway.door import CHAT, HAPROXY, Door, opened
from tests.gateway.test_keys import deploy
from tests.gateway.test_tls import give
from tests.tls import certificate

ORIGIN = "https://chat.example.com"
CASES: dict[str, dict[str, Any]] = {
    "usual": {},
    "open": {"gateway_keys": []},
    "everything": {
        "gateway_cors_origins": [ORIGIN, "http://localhost:3000"],
        "gateway_self_signed": ["ml35.example"],
        "gateway_backend_routes": ["POST /v1/chat", "DELETE /v1/sessions/*"],
        "vllm_api_key": "sk-of-vllm-itself",
        "gateway_keys": [{"name": "ops", "sha256": "0" * 64, "services": ["monitoring"]}],
    },
}


def judged(tree: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """Have HAProxy judge a configuration; any warning is a failure."""
    command = [*before, HAPROXY, "-dW", "-c", "-f", str(tree / "haproxy.cfg")]
    return subprocess.run(
        command,
        env={"OPENAI_API_KEY": "sk-of-vllm-itself"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("case", CASES)
def test_haproxy_takes_it_without_a_warning(case: str, tmp_path: Path) -> None:
    with opened(tmp_path, run=False, **CASES[case]) as door:
        (door.state / "tls").mkdir()
        give(door, *certificate(tmp_path, "own"))
        done = judged(door.tree)
        assert done.returncode == 0, done.stdout + done.stderr
        text = (door.tree / "haproxy.cfg").read_text()
        assert "sk-of-vllm" not in text and ("${OPENAI_API_KEY}" in text) == (case == "everything")
        if os.geteuid() == 0:  # as the service's user, with few files
            for path in (tmp_path, *tmp_path.rglob("*")):
                os.chown(path, *pwd.getpwnam("nobody")[2:4])
            for directory in (tmp_path, *tmp_path.parents)[:4]:
                directory.chmod(directory.stat().st_mode | 0o755)
            done = judged(
                door.tree, "prlimit", "--nofile=256:256", "setpriv", "--reuid=nobody", "--clear-groups"
            )
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A door with values that are not the usual ones."""
    home: Path = tmp_path_factory.mktemp("c")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-of-vllm-itself")
        values = {
            "vllm_api_key": "sk-of-vllm-itself",
            "gateway_cors_origins": [ORIGIN],
            "gateway_hold_seconds": 2,
        }
        with opened(home, **values) as door:
            yield door


def test_vllm_gets_its_own_key_and_not_the_clients(other: Door) -> None:
    assert other.chat().status_code == 200
    assert other.engine.seen()[-1]["head"]["authorization"] == "Bearer sk-of-vllm-itself"


def test_web_pages_of_listed_origins_only(other: Door) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    good = requests.options(other.url + CHAT, headers=asked | {"Origin": ORIGIN}, timeout=5)
    assert good.status_code == 204 and good.headers["Access-Control-Allow-Origin"] == ORIGIN
    bad = requests.options(
        other.url + CHAT, headers=asked | {"Origin": "https://evil.example.com"}, timeout=5
    )
    assert bad.status_code == 404 and "Access-Control-Allow-Origin" not in bad.headers
    assert other.chat(head={"Origin": ORIGIN}).headers["Access-Control-Allow-Origin"] == ORIGIN


def test_what_waits_too_long_is_told_so(other: Door) -> None:
    other.command("set server vllm/main state drain")
    began = time.monotonic()
    reply = other.chat()
    assert reply.status_code == 503 and reply.json()["error"]["code"] == "unavailable"
    assert int(reply.headers["Retry-After"]) > 0 and time.monotonic() - began > 1.9
    other.command("set server vllm/main state ready")


def test_a_gateway_without_keys_serves_everyone_and_is_deployed_again(tmp_path: Path) -> None:
    """It has no map that could be brought up to date; one with keys comes with another configuration."""
    with opened(tmp_path, gateway_keys=[]) as door:
        for words in ("from now on", "as before"):
            done = deploy(door)
            assert done.returncode == 0 and words in done.stdout, done.stdout + done.stderr
        assert door.chat("").status_code == 200
