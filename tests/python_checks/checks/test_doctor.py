"""`doctor`: each thing that can be wrong, as symptom, cause and remedy; worst first; also when nothing runs."""

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from python_checks.api.http import Reply
from python_checks.checks import doctor, gpu, models
from python_checks.core.result import Fault, Line, Result, State, of
from python_checks.core.say import joined, say
from python_checks.doctor import diagnosis, look, of_service
from python_checks.host.disks import Disk
from python_checks.service import engine_facts, last_words
from python_checks.service.facts import Service
from python_checks.service.last_words import LastWords
from tests.python_checks.doctor_support import deployed, one, signs
from tests.python_checks.hosted import Hosted
from tests.python_checks.support import Recorded, Server
from tests.tls import certificate, shown


def test_nothing_is_wrong() -> None:
    result = doctor.judge(signs(), "demo")
    assert (result.state, result.reason, result.remedy) == (State.OK, "nothing is wrong", "")
    [well] = [line.words for line in result.evidence["screen"] if line.label == "well"]
    assert [each.split(" (")[0] for each in well.split(", ")] == [
        "vllm",
        "backend",
        "health",
        "disk",
        "compiler",
    ]


def test_a_crash_loop_ends_with_the_cause_from_the_log(recorded: Recorded) -> None:
    log = last_words.judge(recorded("trunc"), "the last line")
    finding = one(signs("systemd_failed", logs={"vllm": log, "backend": LastWords()}))
    assert (
        finding.symptom == "vllm failed 60 s ago (exit code 1), given up after 14 automatic restarts in 24 h"
    )
    assert "SafetensorError" in finding.cause
    assert "run the model-files check" in finding.remedy
    assert finding.remedy.endswith("; then: systemctl reset-failed vllm; systemctl start vllm")
    again = one(signs("systemd_restarting", logs={"vllm": log, "backend": LastWords()}))
    assert "will be started again" in again.symptom and "SafetensorError" in again.cause


def test_a_log_that_says_nothing_gives_the_manager_the_word() -> None:
    finding = one(signs("systemd_failed"))
    assert "Start request repeated too quickly" in finding.cause or "Failed" in finding.cause
    assert finding.remedy.startswith("journalctl -u vllm")


def test_stopped_on_purpose_or_while_it_failed() -> None:
    finding = one(signs("supervisor_stopped"))
    assert "it did not fail" in finding.cause and finding.remedy.endswith("start vllm")
    log = LastWords(cause="CUDA out of memory")
    late = one(signs("systemd_stopped", logs={"vllm": log, "backend": LastWords()}))
    assert "before that it had failed: CUDA out of memory" in late.cause


def test_nothing_is_deployed_or_the_manager_is_gone() -> None:
    assert [each.remedy for each in diagnosis.findings(signs("systemd_absent"))] == [of_service.DEPLOY] * 2
    down = diagnosis.findings(signs("supervisor_down"))
    assert len(down) == 2 and all("supervisord --configuration" in each.remedy for each in down)


def test_a_release_that_is_not_the_activated_one() -> None:
    stale = diagnosis.findings(signs("systemd_stale"))[-1]
    assert stale.symptom == "vllm runs 0.32.0-aaaaaaaaaaaa, and 0.32.0-cccccccccccc is activated"
    assert stale.remedy.startswith("systemctl restart vllm")


def test_a_hung_server_and_one_that_restarted() -> None:
    hung = one(
        signs(
            refused={
                "vllm": say("no answer from {url} within {timeout:g} s", url="http://x", timeout=5),
                "backend": "",
            },
            now=2e9,
        )
    )
    assert hung.state is State.CRITICAL and "hangs" in hung.cause and hung.remedy.endswith("restart vllm")
    log = LastWords(before="(x) died unexpectedly")
    restarted = diagnosis.findings(signs("systemd_running", logs={"vllm": log, "backend": LastWords()}))[0]
    assert restarted.state is State.WARNING and restarted.cause == "(x) died unexpectedly"
    assert "oom" in restarted.remedy


@pytest.mark.parametrize(
    ("bound", "wrong"), [(["127.0.0.1"], False), (["0.0.0.0"], True), ([], False), (["10.0.0.1"], True)]
)
def test_the_address_that_it_has_and_the_one_that_it_asks_for(bound: list[str], wrong: bool) -> None:
    found = diagnosis.findings(signs(bound={"vllm": bound}))
    assert [f"listens on {bound[0]}:" in each.symptom for each in found] == [True] * wrong


def test_the_host() -> None:
    full = Disk(("/opt/vllm",), 2**29, 2**37)
    assert one(signs(disks=[full])).symptom == "disk nearly full: 0.5 of 128.0 GiB free (/opt/vllm)"
    assert one(signs(lacks=["g++"])).state is State.CRITICAL
    stranger = Fault(joined(": ", [say("another vLLM runs on this host"), "pid 1"]), "end it (kill 1)")
    assert one(signs(strangers=[stranger])).state is State.WARNING
    kept_away = [
        each.symptom for each in diagnosis.findings(signs("supervisor_stopped", strangers=[stranger]))
    ]
    assert kept_away[1] == stranger.reason and len(kept_away) == 2


def test_checks_that_say_the_same_are_one_finding_and_the_worst_comes_first() -> None:
    results = [
        Result("gpu", State.WARNING, "persistence mode is off", "nvidia-smi -pm 1"),
        Result("completion", State.CRITICAL, "HTTP 500", "see the log"),
        Result("tool-call", State.CRITICAL, "HTTP 500", "see the log"),
        Result("chat", State.UNKNOWN, say("not run, health failed")),
    ]
    result = doctor.judge(signs(results=results), "demo")
    symptoms = [line.words for line in result.evidence["screen"] if line.label == "symptom"]
    assert symptoms == ["completion, tool-call: HTTP 500", "gpu: persistence mode is off"]
    assert result.reason == "1 critical, 1 warning: completion, tool-call: HTTP 500"


def test_the_verdict_of_a_guard_in_the_log_is_the_cause() -> None:
    lines = ["(APIServer pid=1) ERROR 11-24 12:00:00 [x.py:1] ValueError: old"]
    lines += ["guard CRITICAL: 127.0.0.1:8000 is held by pid 9 | time=0.10s", "remedy: stop it", "end"]
    log = last_words.judge(lines, "end")
    assert (log.cause, log.remedy) == ("127.0.0.1:8000 is held by pid 9", "stop it")


def test_the_log_of_a_dead_vllm_is_that_of_its_last_process(recorded: Recorded, tmp_path: Path) -> None:
    path = tmp_path / "vllm.log"
    noise = ["last", "nanobind: leaked 4 instances!", ' - leaked function "x"', " - ... skipped remainder"]
    path.write_text("\n".join([*recorded("badparser"), *recorded("trunc"), *noise]) + "\n")
    log = last_words.read(Service("vllm", log=str(path)))
    assert "SafetensorError" in log.cause and "parser" in log.before and log.last == "last"
    with path.open("a") as file:
        file.write(
            "guard CRITICAL: another vLLM runs on this host: pid 9 | time=1.00s\nremedy: end it (kill 9)\n"
        )
    log = last_words.read(Service("vllm", log=str(path)))
    assert (log.cause, log.remedy) == ("another vLLM runs on this host: pid 9", "end it (kill 9)")
    assert last_words.read(Service("vllm", log=f"{tmp_path}/none")) == LastWords()


def test_a_model_that_is_served_under_another_name() -> None:
    """What asks for that name gets 404 for the same reason."""
    results = [
        of(models.judge(Reply(200, {"data": [{"id": "gpt-oss-20b"}]}, ""), "gpt-oss-120b"), "vllm", False),
        Result("completion", State.CRITICAL, "HTTP 404: The model `gpt-oss-120b` does not exist.", "see"),
        Result("chat", State.CRITICAL, "HTTP 500: x", "see the backend's log"),
    ]
    found = diagnosis.findings(signs(results=results))
    assert [each.symptom for each in found] == [
        "models: gpt-oss-120b is not served; served: gpt-oss-20b",
        "chat: HTTP 500: x",
    ]
    assert (
        found[0].evidence == "/v1/models names gpt-oss-20b; vLLM's command: --served-model-name gpt-oss-120b"
    )
    assert "404" in found[0].cause and "--served-model-name gpt-oss-120b" in found[0].remedy


def test_a_server_that_is_being_stopped() -> None:
    found = signs()
    vllm = replace(found.services["vllm"], state="stopping")
    finding = one(replace(found, services={**found.services, "vllm": vllm}))
    assert finding.symptom.startswith("vllm is stopping for 60 s") and "its manager kills" in finding.remedy


def test_a_server_that_runs_and_does_not_listen() -> None:
    refused = {
        "vllm": say("connection refused by {hostname}:{port}", hostname="127.0.0.1", port=18741),
        "backend": "",
    }
    deaf = one(signs(refused=refused, now=2e9, bound={}))
    assert deaf.cause == "none of its processes listens at port 18741"


def test_a_host_on_which_a_start_failed_over_memory_and_could_not_call_tools(
    hosted: Hosted, model: Path, free_port: int, tmp_path: Path
) -> None:
    """As a process: several causes at once, each with its remedy, in lines that fit a terminal."""
    log = tmp_path / "vllm.log"
    log.write_text(
        "(EngineCore pid=6) ERROR 11-23 09:00:00 [core.py:1] torch.OutOfMemoryError: CUDA out of memory.\n"
    )
    command = [
        "/opt/vllm/bin/vllm",
        "serve",
        str(model),
        "--port",
        str(free_port),
        "--tool-call-parser",
        "hermes",
    ]
    vllm = {
        "state": "failed",
        "start": "START",
        "log": str(log),
        "command": command,
        "current": "0.24.0-0123456789ab",
    }
    done = hosted.recorded({"vllm": vllm}, "doctor")
    assert done.returncode == 2, done.stdout
    shown = " ".join(done.stdout.split())
    for words in (
        "cause torch.OutOfMemoryError: CUDA out of memory.",
        "remedy --gpu-memory-utilization 0.80, or --max-model-len 65536; then: START",
        "cause its command lacks --enable-auto-tool-choice",
        "symptom arguments of tool calls may break the tool's schema",
        "cause before 0.31 it downloads the vocabulary",
    ):
        assert words in shown
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_options_that_a_check_refuses_are_a_fault_of_the_service() -> None:
    vllm = Service("vllm", command=["python", "-m", "x", "--model", "/m", "--gpu-memory-utilization", "1.5"])
    result = doctor.ask("gpu", gpu, *engine_facts.gpu_arguments(vllm))
    assert result.state is State.CRITICAL and "not above 0 and up to 1: '1.5'" in result.reason


def test_an_engine_without_a_server_is_seen() -> None:
    code = "import sys, time; print(flush=True); time.sleep(60)"
    with subprocess.Popen(
        ["VLLM::Worker_TP0", "-c", code],
        executable=sys.executable,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as child:
        assert child.stdout
        child.stdout.readline()
        try:
            assert any(f"pid {child.pid} " in each.reason for each in look.strangers({}))
            own = Service("vllm", pid=os.getpid())
            assert not any(f"pid {child.pid} " in each.reason for each in look.strangers({"vllm": own}))
        finally:
            child.kill()


def test_the_doctor_on_a_host_where_nothing_runs(hosted: Hosted, model: Path, free_port: int) -> None:
    """As a process: what needs a server is left out, the rest is run; the model lacks a shard."""
    (model / "model-00002-of-00002.safetensors").unlink()
    vllm = {"state": "stopped", "ended": "exit status 0", "start": "START"}
    command = [sys.executable, "-m", "x", "--model", str(model), "--port", str(free_port)]
    vllm["command"] = command  # type: ignore[assignment]  # JSON
    probes = ["model-files", "health", "models", "completion"]
    hosted.add(
        "vllm", url=f"http://127.0.0.1:{free_port}", model=str(model), probes=probes, options={"model": "m"}
    )
    done = hosted.recorded({"vllm": vllm}, "doctor")
    assert done.returncode == 2
    shown = done.stdout
    assert shown.index("vllm stopped") < shown.index("model-00002-of-00002.safetensors is missing")
    assert "START" in shown and "port of vllm" in shown.splitlines()[-1]
    assert "connection refused" not in shown  # what follows from the first finding is none of its own
    assert max(map(len, shown.splitlines())) <= 100


def test_what_watches_is_heard() -> None:
    lines = [
        Line("canary", "gave up, 3 restarts did not help", State.CRITICAL),
        Line("nightly", "ok just now"),
    ]
    found = one(signs(watch=lines))
    assert (found.state, found.symptom) == (
        State.CRITICAL,
        "the canary says 'gave up, 3 restarts did not help'",
    )
    assert "journalctl -u canary" in found.remedy
    cut = Line("nightly", "no verdict: the last run was cut off", State.WARNING)
    assert "checks conformance" in one(signs(watch=[cut])).remedy


@pytest.mark.parametrize(
    ("age", "tried", "lock", "symptoms"),
    [
        (None, None, {}, ["release of vllm 1-b was not proven by any probe since"]),
        (None, 300.0, {}, ["release of vllm 1-b, activated 5 min ago, was not proven by any probe since"]),
        (
            400.0,
            300.0,
            {},
            ["left over from a deploy: kim@desk began it 10 min ago, no sign of life for 7 min", "1-b"],
        ),
        (5.0, 300.0, {"here": "x"}, ["began it 10 min ago, this host was booted since", "1-b"]),
        (5.0, 300.0, {}, []),
    ],
)
def test_what_a_deploy_left_that_was_cut_off(
    tmp_path: Path, age: float | None, tried: float | None, lock: dict[str, str], symptoms: list[str]
) -> None:
    """While one works there is nothing to say, and what the canary says of it is not said twice."""
    traces = deployed(tmp_path, age, tried, **lock)
    words = "; ".join(["alive: answered in 0.2 s", *(symptom for symptom, _ in traces.loose_ends)])
    watch = [Line("canary", f"{words}, just now", State.WARNING)] if symptoms else []
    found = list(diagnosis.findings(signs(traces=traces, watch=watch)))
    assert len(found) == len(symptoms)
    for finding, symptom in zip(found, symptoms, strict=True):
        assert symptom in finding.symptom and finding.state is State.WARNING
        assert "was cut off before its probes" in finding.cause and "deploy again" in finding.remedy


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ([], "nothing is wrong"),
        ([State.WARNING], "1 warning"),
        ([State.WARNING, State.CRITICAL, State.WARNING], "1 critical, 2 warnings"),
        ([State.UNKNOWN, State.UNKNOWN], "2 unknown"),
    ],
)
def test_the_head_counts_findings(states: list[State], words: str) -> None:
    assert doctor.counted(Counter(states)) == words


def test_a_gateway_is_judged_by_its_own_check(hosted: Hosted, server: Server, tmp_path: Path) -> None:
    """Who waits, and a certificate near its end; while it does not run that is all there is to say of it."""
    server.answers |= {
        "/alive": (200, {"vllm": 0}),
        "/metrics": (404, {"error": dict.fromkeys(("message", "type", "code"), "x")}),
    }
    with shown(*certificate(tmp_path, "own", days=10)) as place:
        options = {"gateway-url": server.url, "gateway-status": server.url, "gateway-tls": place}
        hosted.add(
            "gateway",
            "gateway",
            url=server.url,
            health_path="/alive",
            probes=["gateway"],
            options=options | {"model": "m"},
        )
        hosted.shown("gateway", MainPID="1")
        said = " ".join(hosted.checks("doctor").stdout.split())
        assert "requests for vllm wait: it is drained or down" in said, said
        assert "the certificate ends in 10 days" in said and "gateway_certificate_renew" in said
        hosted.shown("gateway", ActiveState="failed", SubState="failed", Result="exit-code")
        said = hosted.checks("doctor").stdout
        assert "gateway failed" in said and "wait" not in said and "certificate" not in said, said
