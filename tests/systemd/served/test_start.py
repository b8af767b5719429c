"""A stop and starts of vLLM as ops do them: a drain, a start that fails, refused ones, and one seen by all who ask.

The drain leaves vLLM stopped, and so do the starts that fail: one whole start serves all of them.
"""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass, field

import pytest
import requests

from tests.systemd.deployed import START, Host
from tests.systemd.planted import planted, ran
from tests.systemd.play import said

TOKENS = 1500  # a request of half a minute


@dataclass
class Restart:
    """What was seen of it.

    Attributes:
        code: exit code of ``systemctl restart``.
        seconds: how long that took.
        status: lines of ``systemctl status`` that tell the phase, in their order.
        backend: exit code and seconds of a restart of the backend meanwhile.
        ready, health, chat: what the backend answered then.
        call: the function that the first request called, and the seconds that this and the next one took.
        ran: what root ran of what users had planted in the services' directories.
    """

    code: int = -1
    seconds: float = 0
    status: list[str] = field(default_factory=list)
    backend: tuple[int, float] = (-1, 0)
    ready: int = 0
    health: int = 0
    chat: int = 0
    call: tuple[str, float, float] = ("", 0, 0)
    ran: str = ""


def test_drain_lets_a_request_end_and_the_unit_stays_stopped(host: Host) -> None:
    replies: list[requests.Response] = []
    request = threading.Thread(
        target=lambda: replies.append(host.chat(seconds=300, max_tokens=TOKENS, ignore_eos=True)), daemon=True
    )
    request.start()
    gauge = "vllm:num_requests_running{"
    host.until(
        lambda: any(
            line.startswith(gauge) and float(line.split()[-1]) == 1
            for line in requests.get(f"{host.vllm}/metrics", timeout=10).text.splitlines()
        ),
        30,
        "the request is under way",
    )
    drain = host.playbook("ansible/drain.yml")
    assert drain.returncode == 0, drain.stdout
    assert "1 request running, none waiting" in drain.stdout
    request.join(10)
    assert replies[0].json()["usage"]["completion_tokens"] == TOKENS
    assert (host.show("vllm", "ActiveState"), host.show("vllm", "UnitFileState")) == ("inactive", "enabled")
    assert host.ask("Hello", "drained").status_code == 503
    doctor = host.playbook("ansible/doctor.yml")
    assert doctor.returncode == 2, doctor.stdout
    assert "cause somebody stopped it (drain.yml, an operator); it did not fail" in said(doctor)
    assert "remedy systemctl start vllm " in said(doctor)


def test_a_start_whose_process_dies_is_no_success(deployed: Host) -> None:
    deployed.told("systemctl reset-failed vllm")
    restart = subprocess.Popen(deployed.command("systemctl restart vllm"))
    deployed.until(lambda: "importing" in deployed.show("vllm", "StatusText"), 60, "vLLM is loading")
    deployed.told(f"kill -9 {deployed.pid('vllm')}")
    assert restart.wait(60) == 1  # and not when the time for a start is over
    assert deployed.show("vllm", "ActiveState") != "active"
    assert "wait CRITICAL" in deployed.log()
    deployed.told("systemctl stop vllm")


@pytest.mark.parametrize(
    "stranger",
    ["bash -c 'exec -a VLLM::EngineCore sleep 300'", "python3 -m http.server 8000"],
    ids=["engine", "port"],
)
def test_it_does_not_start_beside_a_stranger(deployed: Host, stranger: str) -> None:
    pid = deployed.told(f"nohup {stranger} >/dev/null 2>&1 & echo $!", user="vrsoft")
    try:
        assert deployed.ssh("systemctl start vllm", seconds=60).returncode == 1
        refusal = [line for line in deployed.log().splitlines() if line.startswith("guard CRITICAL")][-1]
        assert pid in refusal and "vrsoft" in refusal
        assert deployed.processes() == {} and deployed.ssh(f"kill -0 {pid}").returncode == 0
    finally:
        deployed.told(f"systemctl stop vllm; kill {pid}")


@pytest.fixture(scope="module")
def restart(deployed: Host) -> Restart:
    """Restart it, and meanwhile the backend; in both directories lie modules of their users."""
    with planted(deployed):
        seen = restarted(deployed)
        seen.ran = ran(deployed)
    return seen


def restarted(deployed: Host) -> Restart:
    """Restart both, and tell what was seen."""
    seen = Restart()

    def systemctl() -> None:
        started = time.monotonic()
        seen.code = deployed.ssh("systemctl restart vllm", seconds=START).returncode
        seen.seconds = time.monotonic() - started
        arguments, times = str(deployed.tool_call()), [time.monotonic()]
        deployed.tool_call()
        times += [time.monotonic()]
        seen.call = arguments, times[0] - started - seen.seconds, times[1] - times[0]

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


def test_root_ran_nothing_of_what_the_users_of_services_left(restart: Restart) -> None:
    """The guard, which runs as root before each start, and the waiter."""
    assert restart.ran == ""


def test_it_returns_when_the_model_answers(restart: Restart) -> None:
    assert restart.code == 0
    call, seconds, next_one = restart.call
    assert "get_weather" in call and "Seoul" in call
    # By hand the first request of a fresh server takes 15 s, ten times as long as the next one: it compiles.
    assert seconds < 4 * max(1, next_one)


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
