"""A service that is ended on purpose: what runs is brought to its end, it stays stopped, and the backend waits for it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.faults.left import Left, strays
from tests.faults.rows import Report
from tests.faults.serving import again, ready, seen, serve
from tests.faults.watching import canary
from tests.systemd.client import MODEL
from tests.systemd.deployed import START, Host

TOKENS = 1500
MARGIN = 6.0  # seconds of answer that are to come when the stop does; vllm_shutdown_timeout gives them 30
# The model of a few MB says little of itself: without its end of text it goes on and on.
LONG: dict[str, Any] = {
    "model": MODEL,
    "prompt": "Hello",
    "max_tokens": TOKENS,
    "ignore_eos": True,
    "stream": True,
    "stream_options": {"include_usage": True},
}


def test_stopped_during_a_streamed_answer(host: Host, left: Left, report: Report) -> None:
    """`systemctl restart vllm` during a streamed answer: the answer is completed, then vLLM restarts."""
    pid = host.pid("vllm")
    codes: list[int] = []
    restart = threading.Thread(
        target=lambda: codes.append(host.ssh("systemctl restart vllm", seconds=START).returncode)
    )
    url = f"{host.vllm}/v1/completions"
    with host.client() as client, requests.post(url, json=LONG, stream=True, timeout=60) as reply:
        host.until(lambda: client.answers, 30, "the client is answered before the stop")
        events, started, asked = [], time.monotonic(), 0.0
        for line in reply.iter_lines():
            events += [line.removeprefix(b"data: ")] if line else []
            pace = (time.monotonic() - started) / max(1, len(events))
            if not asked and len(events) > 50 and (TOKENS - len(events)) * pace < MARGIN:
                asked = time.monotonic()
                restart.start()
        ended = time.monotonic()
        seconds = again(host, client)
        restart.join(START)
    *pieces, usage, end = events
    assert end == b"[DONE]"
    assert json.loads(usage)["usage"]["completion_tokens"] == TOKENS
    assert json.loads(pieces[-1])["choices"][0]["finish_reason"] == "length"
    assert asked and ended - asked > 1, "the answer was over before the stop"
    assert codes == [0]
    assert host.pid("vllm") not in (0, pid)
    assert left.words() == "nothing"
    stream = f"the stream ends whole, {ended - asked:.0f} s after the stop; meanwhile and then {seen(client)}"
    report(client=stream, again=seconds, left=left.words())


@pytest.fixture(scope="module")
def stopped(deployed: Host) -> Iterator[Host]:
    """The host with vLLM stopped by its operator, under traffic: one stop for three cases, for a start takes a minute."""
    serve(deployed)
    with deployed.client() as client:
        deployed.until(lambda: client.answers, 30, "the client is answered before the stop")
        deployed.told("systemctl stop vllm", seconds=90)
    yield deployed
    serve(deployed)


def test_stopped_stays_stopped(stopped: Host, report: Report) -> None:
    """`systemctl stop vllm`, then `bin/checks all`, `ansible/prove.yml` and ten runs of the canary: none of them starts it."""
    checks = stopped.ssh("/opt/vllm/bin/checks all --service vllm", seconds=120)
    assert checks.returncode == 2 and "health CRITICAL" in checks.stdout, checks.stdout
    prove = stopped.playbook("ansible/prove.yml")
    assert prove.returncode != 0 and "A probe failed on alpha" in " ".join(prove.stdout.split()), prove.stdout
    for _ in range(10):
        code, words = canary(stopped)
        assert code == 1 and words.startswith("warning: stopped: "), words
    stopped.told("systemctl start deep-probe.service")
    assert stopped.show("deep-probe.service", "Result") == "exec-condition"
    time.sleep(12)  # a restart after a failure comes after 10 s
    assert stopped.show("vllm", "ActiveState") == "inactive"
    assert stopped.show("vllm", "Result") == "success"
    assert stopped.show("vllm", "StatusText").startswith("stopped: ended ")
    assert stopped.processes() == {} and strays(stopped) == []
    assert stopped.told("ls -A /dev/shm") == ""
    with pytest.raises(requests.ConnectionError):
        stopped.chat()
    report(client="no connection", again=None, left="nothing")


@pytest.mark.long
def test_model_directory_gone(stopped: Host, report: Report) -> None:
    """The model's directory is gone when vLLM starts: after six failed starts systemd leaves it failed, and the cause is reported."""
    host = stopped
    model = host.model
    host.told(f"mv {model} {model}.away; systemctl reset-failed vllm")
    try:
        started, since = time.monotonic(), host.told("date +%s")
        assert host.ssh("systemctl restart vllm", seconds=START).returncode != 0
        host.until(
            lambda: host.show("vllm", "ActiveState") == "failed", 6 * START, "vLLM has failed for good"
        )
        passed = time.monotonic() - started
        starts = f"journalctl --unit vllm --since @{since} --grep '^Starting ' --output cat"
        assert len(host.told(starts).splitlines()) == 6
        assert f"{model} is no directory" in host.show("vllm", "StatusText")
        assert f"{model} is no directory" in host.log()
        reply = host.ask("Hello", "broken")
        assert (reply.status_code, "Retry-After" in reply.headers) == (503, True)
        assert host.processes() == {} and strays(host) == []
        assert host.told("ls -A /dev/shm") == ""
    finally:
        host.told(f"mv {model}.away {model}; systemctl reset-failed vllm")  # the next case starts it
    report(
        client=f"no connection, the backend 503; failed for good after {passed:.0f} s",
        again=None,
        left="the unit stays failed, with the cause",
    )


def test_vllm_away(stopped: Host, report: Report) -> None:
    """vLLM is down: the backend says so, and answers again without a restart once vLLM is back."""
    pid = stopped.pid("backend")
    alive = requests.get(f"{stopped.backend}/health", timeout=10)
    replies = [requests.get(f"{stopped.backend}/ready", timeout=30), stopped.ask("Hello", "away")]
    assert alive.status_code == 200
    for reply in replies:
        assert reply.status_code == 503, reply.text
        assert int(reply.headers["Retry-After"]) > 0
        assert "model server" in reply.json()["reason"] and reply.json()["remedy"]
    wait = replies[1].headers["Retry-After"]
    stopped.told("systemctl start vllm", seconds=START)
    seconds = stopped.until(lambda: ready(stopped), 30, "the backend is ready again")
    assert stopped.ask("Hello", "away").status_code == 200
    assert stopped.pid("backend") == pid
    report(
        client=f"503 with reason and `Retry-After: {wait}`; the time counts from when vLLM is back",
        again=round(seconds, 1),
        left="nothing",
    )
