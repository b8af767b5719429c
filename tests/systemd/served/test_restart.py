"""One restart of vLLM as ops do it, seen by systemctl, by the backend and by the first client."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import pytest
import requests

from tests.systemd.deployed import START, Host


@dataclass
class Restart:
    """What was seen of it.

    Attributes:
        code: exit code of ``systemctl restart``.
        seconds: how long that took.
        status: lines of ``systemctl status`` that tell the phase, in their order.
        backend: exit code and seconds of a restart of the backend meanwhile.
        ready, health, chat: what the backend answered then.
        call: the function that the first request called, and the seconds that took.
    """

    code: int = -1
    seconds: float = 0
    status: list[str] = field(default_factory=list)
    backend: tuple[int, float] = (-1, 0)
    ready: int = 0
    health: int = 0
    chat: int = 0
    call: tuple[str, float] = ("", 0)


@pytest.fixture(scope="module")
def restart(deployed: Host) -> Restart:
    deployed.until(deployed.serves, START, "vLLM serves before the restart")
    seen = Restart()

    def systemctl() -> None:
        started = time.monotonic()
        seen.code = deployed.ssh("systemctl restart vllm", seconds=START).returncode
        seen.seconds = time.monotonic() - started
        arguments = deployed.tool_call()
        seen.call = str(arguments), time.monotonic() - started - seen.seconds

    thread = threading.Thread(target=systemctl)
    thread.start()
    deployed.until(lambda: deployed.show("vllm", "ActiveState") == "activating", 60, "vLLM is loading")
    started = time.monotonic()
    code = deployed.ssh("systemctl restart backend").returncode
    seen.backend = code, time.monotonic() - started
    seen.health = requests.get(f"{deployed.backend}/health", timeout=10).status_code
    seen.ready = requests.get(f"{deployed.backend}/ready", timeout=10).status_code
    seen.chat = deployed.ask("Hello", "while-vllm-loads").status_code
    while thread.is_alive():
        line = deployed.ssh("systemctl status vllm | grep -E '^ *(Active|Status):'").stdout
        seen.status += [" ".join(line.split())]
        time.sleep(1)
    return seen


def test_it_returns_when_the_model_answers(restart: Restart) -> None:
    assert restart.code == 0
    call, seconds = restart.call
    assert "get_weather" in call and "Seoul" in call
    # By hand the first request of a fresh server takes 15 s: it compiles.
    assert seconds < 4


def test_the_status_tells_the_phase(restart: Restart) -> None:
    loading = [line for line in restart.status if "activating" in line]
    print(*dict.fromkeys(line.partition("Status:")[2] for line in loading), sep="\n")
    assert all("Status:" in line for line in loading[2:])
    text = " ".join(loading)
    assert "importing vLLM" in text and "starting the engine" in text and "warming up" in text


def test_the_backend_starts_without_vllm_and_says_so(restart: Restart) -> None:
    code, seconds = restart.backend
    assert code == 0 and seconds < 30
    assert (restart.health, restart.ready, restart.chat) == (200, 503, 503)


def test_the_backend_heals_by_itself(restart: Restart, deployed: Host) -> None:
    pid = deployed.pid("backend")
    deployed.until(lambda: deployed.ask("Hello", "healed").status_code == 200, 30, "the backend answers")
    assert requests.get(f"{deployed.backend}/ready", timeout=10).status_code == 200
    assert deployed.pid("backend") == pid


def test_a_start_that_fails_is_no_success(deployed: Host) -> None:
    model = deployed.told("sed -n '/^--model-directory/{n;p}' /opt/vllm/checks/vllm.args")
    deployed.told(f"mv {model} {model}.away")
    try:
        done = deployed.ssh("systemctl restart vllm", seconds=START)
        assert done.returncode != 0, deployed.story()
        assert deployed.show("vllm", "ActiveState") != "active"
    finally:
        deployed.told(f"mv {model}.away {model}")
    # systemd tries again by itself.
    deployed.until(deployed.serves, START, "vLLM serves again")
