"""A start under way: phase, how far, since when, and whether that is normal."""

from dataclasses import replace
from pathlib import Path

from python_checks.core.finding import Finding
from python_checks.service import last_words
from python_checks.service.facts import Service
from python_checks.service.last_words import Bar, LastWords
from tests.python_checks.doctor_support import one, signs
from tests.python_checks.support import Recorded

LOADING = [
    "(Worker_TP0 pid=7) INFO 11-23 09:00:01 [gpu_model_runner.py:5040] Starting to load model /srv/model...",
    "Loading safetensors checkpoint shards:   0% Completed | 0/15 [00:00<?, ?it/s]",
    "Loading safetensors checkpoint shards:  53% Completed | 8/15 [02:40<02:20, 20.01s/it]",
]


def start(age: float, log: LastWords, quiet: float = 1.0, *options: str, restarts: int = 0) -> Finding:
    """Return the finding of a vLLM that is starting for `age` seconds; its log is silent for `quiet` of them."""
    found = signs()
    vllm = replace(found.services["vllm"], state="starting", restarts=restarts)
    vllm = replace(vllm, command=[*vllm.command, *options])
    now = vllm.since + age
    logs = {"vllm": replace(log, written=now - quiet), "backend": LastWords()}
    return one(replace(found, services={**found.services, "vllm": vllm}, logs=logs, now=now))


def test_how_far_it_is() -> None:
    log = last_words.judge(LOADING, LOADING[-1])
    assert (log.phase, log.bar) == ("loading weights 8/15", Bar(8, 15, "02:40", "02:20"))
    finding = start(360, log)
    assert finding.symptom == "vllm is starting for 6 min: loading weights 8/15"
    assert finding.evidence.startswith("the log: 53 % of the weights (8 of 15 shards) in 02:40, 02:20 left; ")
    assert "last written 1 s ago" in finding.evidence
    assert finding.cause.startswith("normal for 120B") and "tail -f " in finding.remedy


def test_a_start_of_the_usual_length() -> None:
    assert start(60, last_words.judge(LOADING, "")).cause == "normal: a start takes 1 to 2 minutes"
    first = last_words.judge(LOADING[:2], "")
    assert "0 % of the weights (0 of 15 shards) in 00:00;" in start(60, first).evidence


def test_the_bar_of_a_phase_that_is_over_says_nothing(recorded: Recorded) -> None:
    lines = recorded("start")
    assert any("checkpoint shards: 100%" in line for line in lines)
    assert last_words.judge(lines, "").bar is None


def test_a_log_that_stands_still_is_not_normal() -> None:
    finding = start(600, last_words.judge(LOADING, ""), 400)
    assert (
        finding.cause.startswith("not normal: it has written nothing for 5 min") and "dmesg" in finding.remedy
    )


def test_one_that_waits_for_other_nodes() -> None:
    finding = start(600, last_words.judge(LOADING[:1], ""), 400, "--nnodes", "2")
    assert finding.cause.startswith("it waits for its other nodes: its command has --nnodes 2")


def test_one_that_was_started_again() -> None:
    finding = start(30, LastWords(before="ValueError: why"), restarts=3)
    assert finding.cause == "it was started again, since the process before ended: ValueError: why"


def test_the_same_cause_at_each_start_is_counted(recorded: Recorded, tmp_path: Path) -> None:
    path = tmp_path / "vllm.log"
    guard = "guard OK: nothing is in the way of a start; 2 weight files | time=0.03s"
    full = "(APIServer pid={}) ERROR 11-23 09:00:00 [x.py:1] OSError: [Errno 28] No space left on device: '/tmp/{}'"
    other = ["(APIServer pid=1) ERROR 11-23 09:00:00 [x.py:1] ValueError: other"]
    starts = [[guard, full.format(pid, pid * 7)] for pid in (100, 200, 300)]
    path.write_text("\n".join([*other, *(line for each in starts for line in each)]) + "\n")
    log = last_words.read(Service("vllm", log=str(path)))
    assert log.alike == 3 and "No space left on device" in log.cause
    finding = one(signs("systemd_failed", logs={"vllm": log, "backend": LastWords()}))
    assert "the last 3 starts ended with the same cause" in finding.evidence
    assert finding.remedy.startswith("free some disk space: see df -h")
    with path.open("a") as file:  # a start that is under way ended with nothing yet
        file.write(f"{guard}\n(APIServer pid=400) INFO 11-23 09:00:00 [x.py:1] non-default args: \n")
    assert last_words.read(Service("vllm", log=str(path))).alike == 3


def test_where_there_is_no_guard_the_server_tells_the_starts_apart(recorded: Recorded) -> None:
    lines = [line.replace("pid=", f"pid={number}") for number in (1, 2) for line in recorded("trunc")]
    assert last_words.alike([*recorded("badparser"), *lines]) == 2
    assert last_words.alike(recorded("start")) == 0
    assert last_words.alike([]) == 0
