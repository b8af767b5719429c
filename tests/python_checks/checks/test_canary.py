"""`canary` as a process beside a server that is a process: what it says, what it keeps, and when systemctl is asked to restart."""

import itertools
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.python_checks.canary_support import RESTART, Canary, figures
from tests.python_checks.support import ROOT, Server


@pytest.mark.parametrize(
    ("mode", "code", "condition", "words", "strikes"),
    [
        ("answer", 0, "alive", "alive: answered in 0.", 0),
        ("busy", 1, "busy", "within 1 s, while its engines work; 2 requests running, 1 waiting", 0),
        ("full busy", 1, "busy", "busy: HTTP 503: so says full, while its engines work", 0),
        ("refuse", 2, "refused", "refused: HTTP 404: so says refuse", 0),
        ("page", 2, "refused", "refused: HTTP 200, but no chat completion: <h1>it works</h1>", 0),
        ("fail busy", 2, "refused", "refused: HTTP 500: so says fail", 0),
        ("hang", 1, "hung", "within 1 s, and its engines make no step", 1),
        ("fail", 1, "dead", "dead: HTTP 500: so says fail", 1),
        ("full", 1, "dead", "dead: HTTP 503: so says full", 1),
        ("cut", 1, "dead", "dead: no connection to 127.0.0.1:", 1),
    ],
)
def test_each_condition(
    canary: Canary, mode: str, code: int, condition: str, words: str, strikes: int
) -> None:
    canary.mode(mode)
    found, result = canary.run()
    assert (found, result["evidence"]["condition"]) == (code, condition) and words in result["reason"], result
    assert figures(result)["strikes"] == strikes == json.loads(canary.state.read_text())["strikes"]
    assert ("strike 1 of 3" in result["reason"]) is bool(strikes)
    assert bool(result["remedy"]) is (code > 0) and result["evidence"]["pid"] == canary.server.pid


def test_the_counters_are_those_of_all_engines(canary: Canary) -> None:
    canary.mode("hang")
    counters = {"steps": 5 + 7, "prompt": 3, "generated": 4, "cache": 0.25}
    evidence = canary.run()[1]["evidence"]
    assert evidence["counters"] == {"before": counters, "after": counters}
    assert evidence["queue"] == "2 requests running, 1 waiting"


def test_the_chat_is_tiny_and_figures_are_kept(canary: Canary, server: Server) -> None:
    server.answers["/v1/chat/completions"] = (200, {"choices": [{"message": {"content": "x"}}]})
    code, result = canary.run("--url", server.url, "--model", "m")
    assert code == 0 and server.requests[0][0] == "/metrics"
    path, body = server.requests[1]
    assert path == "/v1/chat/completions" and body["model"] == "m" and body["max_tokens"] <= 16
    assert list(figures(result)) == [
        "strikes",
        "heals",
        "gave_up",
        "hands_off",
        "patience",
        "chat",
    ]  # no counters, and yet alive


def test_three_strikes_restart_it_three_times_an_hour_and_then_never(canary: Canary) -> None:
    canary.quick()
    canary.mode("hang")
    found = [canary.run() for _ in range(13)]
    assert [code for code, _ in found] == [1, 1, 2] * 3 + [1, 1, 2, 2]
    reasons = [result["reason"] for _, result in found]
    for heal in (1, 2, 3):
        assert reasons[heal * 3 - 1].endswith(f"strike 3 of 3: restarted, heal {heal} of 3 in an hour")
    assert canary.restarts == [RESTART] * 3
    for reason in reasons[11:]:
        assert reason.startswith("gave up, 3 restarts in an hour did not help")
    assert [figures(result)["gave_up"] for _, result in found] == [0] * 11 + [1, 1]
    canary.mode("answer")
    code, result = canary.run()
    assert (code, figures(result)["gave_up"], figures(result)["heals"]) == (0, 0, 3)


def test_an_answer_and_a_busy_server_end_the_strikes(canary: Canary) -> None:
    for mode in ("answer", "busy", "refuse"):
        strikes = []
        for step in ("hang", "hang", mode, "hang", "hang"):
            canary.mode(step)
            strikes.append(figures(canary.run()[1])["strikes"])
        assert strikes == [1, 2, 0, 1, 2], mode
        canary.mode("answer")
        canary.run()
    assert canary.restarts == []


def test_steps_slower_than_the_deadline_are_steps(canary: Canary, server: Server) -> None:
    """Counters stand still during each chat, and have moved from one run to the next."""
    runs = iter([100, 100, 101, 101, 102, 102, 103, 103, 104, 104])
    names = (
        "num_requests_running",
        "num_requests_waiting",
        "prompt_tokens_total",
        "generation_tokens_total",
        "kv_cache_usage_perc",
    )

    def metrics(_: object) -> tuple[int, str]:
        lines = [f"vllm:iteration_tokens_total_count {next(runs)}.0", *(f"vllm:{name} 1.0" for name in names)]
        return 200, "\n".join(lines) + "\n"

    server.answers |= {"/metrics": metrics, "/v1/chat/completions": lambda _: (time.sleep(3), (200, {}))[1]}
    conditions = [canary.run("--url", server.url)[1]["evidence"]["condition"] for _ in range(5)]
    assert conditions == ["hung", "busy", "hung", "busy", "hung"] and canary.restarts == []


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_stopped_and_a_killed_process(canary: Canary, number: signal.Signals) -> None:
    canary.server.send_signal(number)
    if number is signal.SIGKILL:
        canary.server.wait()
        code, result = canary.run()
        assert (code, result["evidence"]["condition"]) == (1, "restarting") and "has ended" in result[
            "reason"
        ]
        canary.shown(pid=os.getpid())  # a main process that runs and does not listen
        code, result = canary.run()
        assert (code, result["evidence"]["condition"]) == (1, "dead") and "connection refused" in result[
            "reason"
        ]
    else:
        code, result = canary.run()
        assert (code, result["evidence"]["condition"]) == (1, "hung")
        assert "/metrics gives no answer either" in result["reason"]


@pytest.mark.parametrize(
    ("active", "sub", "code", "condition"),
    [
        ("inactive", "dead", 1, "stopped"),
        ("failed", "failed", 2, "failed"),
        ("activating", "start-post", 1, "starting"),
        ("activating", "auto-restart", 1, "restarting"),
        ("deactivating", "stop-sigterm", 1, "stopping"),
    ],
)
def test_what_does_not_run_is_left_alone(
    canary: Canary, active: str, sub: str, code: int, condition: str
) -> None:
    canary.mode("hang")
    canary.run(), canary.run()
    canary.shown(active, sub)
    for _ in range(10 if condition == "stopped" else 4):
        found, result = canary.run()
        assert (found, result["evidence"]["condition"], figures(result)["strikes"]) == (code, condition, 0)
        assert "failed failed" not in result["reason"]
    assert canary.restarts == []


def test_another_process_starts_from_zero(canary: Canary) -> None:
    canary.mode("hang")
    assert [figures(canary.run()[1])["strikes"] for _ in range(2)] == [1, 2]
    canary.end()
    canary.server = canary.serve()
    assert figures(canary.run()[1])["strikes"] == 1


def test_only_the_process_that_was_judged_is_restarted(canary: Canary) -> None:
    """The operator stops it between the verdict and the restart."""
    canary.quick()
    canary.mode("hang")
    canary.run(), canary.run()
    shown = canary.directory / "shown"
    stopped = f"sed -i s/=active/=inactive/ {shown}"
    program = canary.directory / "systemctl"
    program.write_text(program.read_text() + f"case $* in show*) {stopped} ;; esac\n")
    code, result = canary.run()
    assert code == 1 and "not restarted, for by now it is inactive" in result["reason"]
    assert canary.restarts == [] and figures(result)["heals"] == 0
    assert json.loads(canary.state.read_text())["heals"] == []


def test_a_refused_restart_is_told_and_counted(canary: Canary) -> None:
    canary.quick()
    canary.mode("hang")
    canary.run(), canary.run()
    program = canary.directory / "systemctl"
    program.write_text(program.read_text() + "case $* in *try-restart*) echo Access denied; exit 1 ;; esac\n")
    code, result = canary.run()
    assert (
        code == 2
        and "strike 3 of 3: not restarted: systemd refuses a restart: Access denied" in result["reason"]
    )
    assert figures(result)["heals"] == 1


def test_maintenance_is_ok_and_asks_nobody(canary: Canary) -> None:
    canary.mode("hang")
    canary.run(), canary.run()
    calls = (canary.directory / "calls").read_text()
    canary.maintenance.write_text(json.dumps({"since": time.time() - 7200, "by": "kim", "reason": "new GPU"}))
    code, result = canary.run()
    assert code == 0 and "(2 h), by kim: new GPU" in result["reason"] and figures(result)["strikes"] == 0
    canary.maintenance.write_text("{broken")
    code, result = canary.run()
    assert (
        code == 0 and result["reason"].startswith("in maintenance; ") and "does not tell" in result["reason"]
    )
    assert (canary.directory / "calls").read_text() == calls
    canary.maintenance.unlink()
    assert figures(canary.run()[1])["strikes"] == 1


def test_a_deploy_is_left_in_peace_but_not_for_ever(canary: Canary) -> None:
    canary.mode("hang")
    canary.lock.write_text(json.dumps({"user": "kim", "host": "desk", "pid": 1}))
    code, result = canary.run()
    assert (code, result["evidence"]["condition"], figures(result)["strikes"]) == (0, "deploying", 0)
    assert "kim@desk deploys, for " in result["reason"]
    for minutes in (-4, 4):
        os.utime(canary.lock, (time.time() - minutes * 60,) * 2)
        code, result = canary.run()
        assert (code, result["evidence"]["condition"]) == (1, "hung")
        assert "left over from a deploy: kim@desk began it" in result["reason"]
    canary.mode("answer")
    code, result = canary.run()
    assert (code, result["evidence"]["condition"]) == (1, "alive") and "deploy again" in result["remedy"]


def test_a_release_that_no_probe_has_proven_is_told(canary: Canary) -> None:
    folder = canary.directory / "releases/vllm"
    for release in ("1-a", "1-b"):
        (folder / release).mkdir(parents=True)
    (folder / "current").symlink_to("1-b")
    (folder / "1-a/.good").touch()
    words = "release of vllm 1-b was not proven by any probe since"
    code, result = canary.run("--releases", str(folder.parent))
    assert code == 1 and result["evidence"]["condition"] == "alive" and words in result["reason"]
    assert "rollback.yml" in result["remedy"]
    (folder / "1-b/.good").touch()
    assert canary.run("--releases", str(folder.parent))[0] == 0
    (folder / "trial").write_text(json.dumps({"release": "1-b", "since": time.time() - 300}))
    code, result = canary.run("--releases", str(folder.parent))
    assert code == 1 and "1-b, activated 5 min ago, was not proven" in result["reason"]
    (folder / "trial").write_text(json.dumps({"release": "1-a", "since": time.time() - 300}))
    assert canary.run("--releases", str(folder.parent))[0] == 0, "of one that is not activated"
    canary.lock.write_text(json.dumps({"user": "kim", "host": "desk"}))
    (folder / "1-b/.good").unlink()
    assert canary.run("--releases", str(folder.parent))[0] == 0, "its deploy has not come so far"


def test_its_words_are_in_the_status_of_its_unit(canary: Canary, tmp_path: Path) -> None:
    canary.mode("hang")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(10)
        channel.bind(str(tmp_path / "notify"))
        os.environ["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        try:
            canary.run()
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert channel.recv(4096).decode().startswith("STATUS=hung: no answer from ")


def test_a_run_costs_little(canary: Canary) -> None:
    """It runs each minute: little more than Python takes to start. As a ratio, for a busy machine counts more for the same work."""

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    def least(run: Callable[[], object]) -> float:
        """Return what the cheapest of five runs took: what disturbs a run only adds."""
        stops = [spent()]
        for _ in range(5):
            run()
            stops.append(spent())
        return min(after - before for before, after in itertools.pairwise(stops))

    def alive() -> None:
        assert canary.run()[0] == 0

    usual = "import argparse, dataclasses, http.client, json, logging, ssl, subprocess"
    python = least(lambda: subprocess.run([sys.executable, "-c", usual], check=True, timeout=60))
    assert least(alive) / python < 2.5
    code = f"import sys; from python_checks import cli; cli.main({canary.arguments()!r});"
    code += "print([name for name in ('requests', 'rich', 'jsonschema', 'python_checks.checks.doctor') if name in sys.modules])"
    environment = os.environ | {
        "PATH": f"{canary.directory}:{os.environ['PATH']}",
        "FAKE": str(canary.directory),
        "CHECKS_HOME": str(canary.directory),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_full_step_is_measured_once_a_process(canary: Canary, server: Server) -> None:
    """It has as many tokens as told, and others each time; what it took decides how long a hang is waited for."""
    chat = {"choices": [{"message": {"content": "hi"}}]}
    server.answers |= {
        "/v1/chat/completions": (200, chat),
        "/v1/completions": lambda _: (time.sleep(1), (200, {}))[1],
    }
    options = ("--url", server.url, "--step-tokens", "300", "--timeout", "60")
    found = [canary.run(*options) for _ in range(2)]
    [(_, body)] = [request for request in server.requests if request[0] == "/v1/completions"]
    assert len(body["prompt"]) == 300 >= len(set(body["prompt"])) > 200 and body["max_tokens"] == 1
    assert all(code == 0 and figures(result)["patience"] >= 18 for code, result in found)
    assert "a step may take" in found[1][1]["reason"]
    canary.end()
    canary.server = canary.serve()
    server.answers["/v1/completions"] = (404, {"error": {"message": "no completions here"}})
    assert figures(canary.run(*options)[1])["patience"] == 300
    second = [request[1]["prompt"] for request in server.requests if request[0] == "/v1/completions"]
    assert len(second) == 2 and second[0] != second[1]


def test_a_persons_look_keeps_and_restarts_nothing(canary: Canary, tmp_path: Path) -> None:
    """It goes on from what the timer's runs kept, and says what the next one would."""
    canary.quick()
    canary.mode("hang")
    canary.run(), canary.run()
    watch = tmp_path / "watch"
    watch.mkdir()
    kept = watch / "canary.json"
    kept.write_bytes(canary.state.read_bytes())
    before = kept.read_bytes()
    canary.register("vllm", watch=str(watch))
    typed = [word for word in canary.arguments() if word not in ("--state", str(canary.state))]
    canary.arguments = lambda *more: [*typed, *more]  # type: ignore[method-assign]  # as it is typed
    for _ in range(3):
        code, result = canary.run()
        assert code == 2 and "strike 3 of 3" in result["reason"] and "restarted" not in result["reason"]
    assert canary.restarts == [] and kept.read_bytes() == before
    assert [path.name for path in watch.iterdir()] == ["canary.json"]


def test_a_model_that_does_not_chat_is_asked_for_embeddings(canary: Canary, server: Server) -> None:
    vectors = [[1.0, 2.0], [2.0, 1.0]]
    server.answers["/v1/embeddings"] = lambda _: (200, {"data": [{"embedding": each} for each in vectors]})
    canary.register("vllm", kind="embed", options={"step-tokens": "5"})
    code, result = canary.run("--url", server.url)
    assert (code, result["evidence"]["condition"]) == (0, "alive"), result
    asked = [body for path, body in server.requests if path == "/v1/embeddings"]
    assert len(asked[0]["input"]) == 2 and len(asked[1]["input"]) == 5, "two texts, and one full step"
    assert not [path for path, _ in server.requests if path not in ("/v1/embeddings", "/metrics")]
    vectors[1] = vectors[0]
    code, result = canary.run("--url", server.url)
    assert (code, result["evidence"]["condition"]) == (2, "nonsense") and "same embedding" in result["reason"]


def test_the_gateway_is_in_the_metrics_and_not_in_the_verdict(canary: Canary, server: Server) -> None:
    told = {"gateway-status": server.url, "leads-to": "vllm"}
    canary.register("gateway", options=told, probes=[])
    file = canary.directory / "canary.prom"
    for alive, holds in (({"vllm": 1}, 0), ({"vllm": 0}, 1)):
        server.answers["/alive"] = 200, alive
        code, result = canary.run("--textfile", str(file))
        assert (code, result["evidence"]["condition"]) == (0, "alive")
        lines = file.read_text().splitlines()
        assert 'vllm_probe_gateway_answers{probe="canary",service="vllm"} 1.0' in lines
        assert f'vllm_probe_gateway_holds{{probe="canary",service="vllm"}} {holds}.0' in lines
    del server.answers["/alive"]
    assert canary.run("--textfile", str(file))[0] == 0
    text = file.read_text()
    assert 'vllm_probe_gateway_answers{probe="canary",service="vllm"} 0.0' in text
    assert "gateway_holds{" not in text
