"""`status`: facts recorded on real hosts, a queue, a verdict, GPUs and disks become one screen."""

import json
import platform
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from python_checks import __version__
from python_checks.api.metrics import Queue
from python_checks.checks import status
from python_checks.core.result import Line, Result, State
from python_checks.core.say import count
from python_checks.core.words import ago, span
from python_checks.host.disks import Disk
from python_checks.report.verdict import Verdict
from python_checks.service import marks
from python_checks.service.last_words import LastWords
from tests.python_checks.doctor_support import deployed, known
from tests.python_checks.hosted import Hosted
from tests.python_checks.support import Healthy, Probe, Server
from tests.tls import certificate, shown

GIB = 2**30


def seen(name: str, *, answers: bool = True, age: float = 60.0, **changes: Any) -> status.Seen:
    """Return what there is to see on a recorded host, some seconds after its vLLM changed its state."""
    found = known(name)
    found = {each: replace(service, since=found["vllm"].since) for each, service in found.items()}
    now = found["vllm"].since + age
    given = {
        "services": found,
        "refused": {each: "" if service.pid and answers else "no answer" for each, service in found.items()},
        "logs": {each: LastWords(last="the last line") for each in found},
        "queues": {"vllm": Queue(2, 1)} if answers else {},
        "gpus": [Line("GPUs", "no GPU")],
        "verdict": Verdict(now - 30, State.OK, {}, [Result("health", State.OK, "/health says 200")]),
        "watch": [],
        "disks": [Disk(("/opt/vllm",), 50 * GIB, 100 * GIB)],
        "now": now,
    }
    return status.Seen(**(given | changes))


def screen(result: Result) -> dict[str, Line]:
    """Return label -> line; of the services' own lines those of vLLM, which come first."""
    lines = [Line(*line) for line in result.evidence["screen"]]
    return {line.label.strip(): line for line in reversed(lines)}


def test_a_host_that_is_well() -> None:
    found = seen("supervisor_running")
    result = status.judge(found, "ml35")
    lines = screen(result)
    assert result.state is State.OK and lines["ml35"].words == f"all is well (vllm-deploy {__version__})"
    assert re.fullmatch(
        r"running for 60 s \(since .*\), pid \d+, no automatic restart in 24 h", lines["vllm"].words
    )
    assert lines["queue"].words == "2 requests running, 1 waiting"
    assert lines["probes"].words == "ok 30 s ago, 1 check"
    assert lines["disk"].words == "50.0 of 100.0 GiB free (/opt/vllm)"
    assert "log" not in lines


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("systemd_failed", "failed 60 s ago (exit code 1), given up after 14 automatic restarts in 24 h"),
        (
            "systemd_restarting",
            "ended 60 s ago (killed by SIGKILL) and will be started again; 14 automatic restarts in 24 h",
        ),
        ("systemd_stopped", "stopped 60 s ago (killed by SIGKILL): it stays so until it is started"),
        ("systemd_absent", "not deployed on this host"),
        (
            "supervisor_stopped",
            "stopped 60 s ago (exit status 0): it stays so until it is started; not started with the host either",
        ),
        ("supervisor_down", "does not run: supervisord does not run"),
    ],
)
def test_a_vllm_that_does_not_run(name: str, words: str) -> None:
    result = status.judge(seen(name, answers=False), "ml35")
    line = screen(result)["vllm"]
    assert (line.words, line.state, result.state) == (words, State.CRITICAL, State.CRITICAL)
    labels = [label.strip() for label, *_ in result.evidence["screen"]]
    own = labels[labels.index("vllm") : labels.index("backend")]
    assert ("log" in own) is (name != "supervisor_stopped")  # what was stopped has nothing to explain
    assert "doctor" in result.remedy


def test_restarts_and_another_release_are_warnings() -> None:
    lines = screen(status.judge(seen("systemd_stale"), "ml35"))
    assert lines["vllm"].state is lines["release"].state is State.WARNING
    assert "14 automatic restarts in 24 h" in lines["vllm"].words
    assert (
        lines["release"].words
        == "0.32.0-aaaaaaaaaaaa runs, 0.32.0-cccccccccccc is the activated one: deploy again"
    )


def test_a_start_shows_its_phase_until_it_took_too_long() -> None:
    logs = {"vllm": LastWords(phase="loading weights 8/15"), "backend": LastWords()}
    refused = {"vllm": "connection refused", "backend": ""}
    young = screen(status.judge(seen("supervisor_running", logs=logs, refused=refused), "x"))["vllm"]
    assert young == Line("vllm", "starting for 60 s: loading weights 8/15", State.WARNING)
    old = screen(status.judge(seen("supervisor_running", logs=logs, refused=refused, age=1000), "x"))["vllm"]
    assert old.state is State.CRITICAL and "does not answer: connection refused" in old.words


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (None, "no verdict: they never ran, or were cut off; run ansible/probe.yml"),
        ((-30, {"vllm": "other"}), "ok 30 s ago, 1 check; of another release of vllm"),
        ((-3000, {}), "ok 50 min ago, 1 check; vllm was started since then"),
    ],
)
def test_a_verdict_that_is_not_of_what_runs(verdict: tuple[float, dict[str, str]] | None, words: str) -> None:
    found = seen("supervisor_running")
    results = [Result("health", State.OK, "")]
    last = Verdict(found.now + verdict[0], State.OK, verdict[1], results) if verdict else None
    line = screen(status.judge(seen("supervisor_running", verdict=last), "x"))["probes"]
    assert (line.words, line.state) == (words, State.WARNING)


def test_the_screen_on_a_host(hosted: Hosted, server: Server, tmp_path: Path) -> None:
    """The whole of it as it is typed there: a registry, a systemctl, a real server, aligned lines of 80 columns."""
    host, port = server.url.removeprefix("http://").split(":")
    server.answers["/metrics"] = (
        200,
        'vllm:num_requests_running{engine="0"} 3.0\nvllm:num_requests_waiting{engine="0"} 0.0\n',
    )
    command = ("vllm", "serve", str(tmp_path), f"--host={host}", "--port", port)
    hosted.add("vllm", url=server.url, log=f"{tmp_path}/none", command=command, unheard_of=1)
    hosted.shown("vllm", MainPID="1", StateChangeTimestamp=f"@{time.time() - 60:.0f}")
    done = hosted.checks("status")
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and lines[0].startswith(f"!  {platform.node()}  "), (
        done.stdout
    )  # no verdict yet
    assert f"vllm-deploy {__version__}" in lines[0]
    assert [line.split() for line in lines if "queue" in line] == [
        ["queue", *["3", "requests", "running,", "none", "waiting"]]
    ]
    assert max(len(line) for line in lines if "/" not in line) <= 80
    starts = [line.index(words) for words in ("running for", "another") for line in lines if words in line]
    assert len(starts) == 2 and len(set(starts)) == 1


def test_a_third_service_is_in_the_same_screen(hosted: Hosted, server: Server) -> None:
    """Neither its name nor its kind is known to any program: its row says where it is asked."""
    server.answers["/up"] = (200, "")
    hosted.add("ranker", "reranker", url=server.url, health_path="/up", command=("/bin/ranker", "--quick"))
    hosted.shown("ranker", MainPID="1", StateChangeTimestamp=f"@{time.time() - 3600:.0f}")
    done = hosted.checks("status", "--format", "json")
    result = json.loads(done.stdout)["results"][0]
    [line] = [Line(*each) for each in result["evidence"]["screen"] if each[0] == "ranker"]
    assert line.state == State.OK
    assert [path for path, _ in server.requests] == ["/up"]
    facts = result["evidence"]["services"]["ranker"]
    assert (facts["state"], facts["kind"], facts["command"]) == (
        "running",
        "reranker",
        ["/bin/ranker", "--quick"],
    )
    server.answers["/up"] = "drip", ""
    assert "!! ranker" in hosted.checks("status").stdout


def test_a_gateway_tells_who_waits_and_how_long_its_certificate_holds(
    hosted: Hosted, server: Server, tmp_path: Path
) -> None:
    def told(alive: object, tls: str) -> dict[str, tuple[str, int]]:
        server.answers["/alive"] = 200, alive
        shutil.rmtree(hosted.home / "releases/gateway", ignore_errors=True)
        (hosted.home / "services/gateway.json").unlink(missing_ok=True)
        options = {"gateway-status": server.url, "gateway-tls": tls}
        hosted.add("gateway", "gateway", url=server.url, health_path="/alive", options=options)
        hosted.shown("gateway", MainPID="1", StateChangeTimestamp=f"@{time.time() - 3600:.0f}")
        [result] = json.loads(hosted.checks("status", "--format", "json").stdout)["results"]
        return {label.strip(): (words, state) for label, words, state in result["evidence"]["screen"]}

    for days, words, state in ((90, "valid for 90 days", 0), (10, "the certificate ends in 10 days", 1)):
        with shown(*certificate(tmp_path, "own", days)) as place:
            lines = told({"vllm": 1, "backend": 1}, place)
        assert lines["leads to"] == ("vllm, backend", 0) and lines["certificate"] == (words, state)
    lines = told({"vllm": 0, "backend": 1}, place)
    assert lines["leads to"] == ("requests for vllm wait: it is drained or down", 1)
    assert lines["certificate"][0].startswith("no TLS at ") and lines["certificate"][1] == 2
    assert lines["gateway"][1] == 0
    assert told([], place)["leads to"] == ("the gateway's status page says 200", 2)  # another server there


def test_where_nothing_is_deployed(hosted: Hosted, probe: Probe) -> None:
    for done in (hosted.checks("status"), hosted.checks("doctor"), hosted.checks("health"), probe("status")):
        assert done.returncode == 3 and "UNKNOWN: no service is deployed on this host: " in done.stdout
        assert "\nremedy: deploy: ansible-playbook deploy.yml" in done.stdout


def test_a_release_that_is_not_activated_yet(hosted: Hosted) -> None:
    hosted.add("vllm")
    (hosted.home / "releases/vllm/current").unlink()
    done = hosted.checks("status")
    assert done.returncode == 2 and "!! vllm       not deployed on this host\n" in done.stdout, done.stdout
    done = hosted.checks("tool-call")
    assert done.returncode == 3 and "no release is activated" in done.stdout


def test_a_verdict_is_remembered_in_one_step(probe: Probe, healthy: Healthy, tmp_path: Path) -> None:
    server, options = healthy
    file, releases = tmp_path / "verdict.json", tmp_path / "releases"
    (releases / "vllm").mkdir(parents=True)
    (releases / "vllm/current").symlink_to("0.32.0-abc")
    remember = ("--remember", str(file), "--releases", str(releases))
    assert probe(*options, *remember).returncode == 0
    document = json.loads(file.read_text())
    assert (document["state"], document["releases"]) == ("ok", {"vllm": "0.32.0-abc"})
    assert document["results"][0]["check"] == "model-files"
    there = []
    server.answers["/health"] = lambda _: (there.append(file.exists()), (503, ""))[1]
    assert probe(*options, *remember).returncode == 2
    assert there == [False]  # while they run there is none
    assert json.loads(file.read_text())["state"] == "critical"
    assert not list(tmp_path.glob(".verdict*"))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (99, "99 s"),
        (180, "3 min"),
        (3600, "60 min"),
        (7200, "2 h"),
        (9000, "2 h 30 min"),
        (86400, "24 h"),
        (260000, "3 days"),
    ],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert span(seconds) == words
    assert ago(1000.0, 1000.0 + seconds) == (f"{words} ago" if seconds else "just now")
    forms = ("{number} process", "{number} processes")
    assert [count(number, *forms, none="no process") for number in range(3)] == [
        "no process",
        "1 process",
        "2 processes",
    ]


def test_an_unproven_release_is_a_warning_but_not_while_it_is_deployed(tmp_path: Path) -> None:
    result = status.judge(seen("supervisor_running", traces=deployed(tmp_path, tried=300)), "ml35")
    line = screen(result)["proof"]
    assert result.state is line.state is State.WARNING
    assert line.words.startswith("1-b, activated 5 min ago, was not proven by any probe since: deploy again")


def test_a_deploy_that_works_is_shown_and_one_that_was_cut_off_is_a_warning(tmp_path: Path) -> None:
    works = status.judge(seen("supervisor_running", traces=deployed(tmp_path / "a", 5, 300)), "ml35")
    assert works.state is State.OK and "kim@desk deploys, for 10 min" in screen(works)["deploy"].words
    gone = status.judge(seen("supervisor_running", traces=deployed(tmp_path / "b", 400)), "ml35")
    line = screen(gone)["deploy"]
    assert gone.state is line.state is State.WARNING
    assert "cut off: kim@desk began it 10 min ago" in line.words and "deploy again" in line.words


def test_what_a_rollback_left_is_shown(tmp_path: Path) -> None:
    deployed(tmp_path)
    (tmp_path / "releases/vllm/1-b/.good").touch()
    (tmp_path / "releases/vllm/1-a/.left").touch()
    result = status.judge(seen("supervisor_running", traces=marks.traces(tmp_path)), "ml35")
    assert result.state is State.OK
    assert screen(result)["left"].words == "1-a: only -e release=ID goes back there"
