"""What is measured of a release: the matrix and the medians of a server that answers as a real one did, memory, and the time of a start."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from python_checks.checks import measure
from python_checks.core.result import Figure, Result, State
from python_checks.host import processes
from python_checks.service.facts import Service
from tests.python_checks.hosted import Hosted
from tests.python_checks.replaying import recorded, replay

MIB = 2**20
METRICS = """# HELP vllm:cache_config_info Information of the LLMEngine CacheConfig
vllm:cache_config_info{block_size="16",cache_dtype="auto",engine="0",num_gpu_blocks="100",num_gpu_blocks_override="None"} 1.0
vllm:cache_config_info{block_size="16",cache_dtype="auto",engine="1",num_gpu_blocks="50",num_gpu_blocks_override="None"} 1.0
"""
HELD = "import time; held = b'1' * ({mib} << 20); print(flush=True); time.sleep(60)"


@pytest.fixture
def url() -> Iterator[str]:
    told = {
        "case": "metrics",
        "path": "/metrics",
        "body": None,
        "status": 200,
        "kind": "text/plain",
        "text": METRICS,
    }
    with replay([*recorded("conformance"), told]) as address:
        yield address


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    """A process with 64 MiB and a child with 32."""
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {HELD.format(mib=32)!r}]).stdout; {HELD.format(mib=64)}"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout
        for _ in range(2):
            process.stdout.readline()
        yield process
        os.killpg(process.pid, 9)


def test_a_document_of_the_release_that_runs(tmp_path: Path, url: str, holder: subprocess.Popen[str]) -> None:
    hosted = Hosted(tmp_path)
    hosted.add("vllm", url=url, probes=["conformance", "latency"], options={"model": "gpt-oss-120b"})
    ready = int(time.time()) + 40
    hosted.shown("vllm", MainPID=str(holder.pid), StateChangeTimestamp=f"@{ready}")
    run = hosted.checks("measure")
    found = {each["check"]: each for each in json.loads(run.stdout)["results"]}
    assert found["server"]["reason"] == "vLLM 0.32.0" and found["release"]["reason"] == "1-abc"
    assert found["chat-auto-stream"]["state"] == "ok"
    assert found["token-limit-auto"]["evidence"]["limits"] == ["a-cut-call-looks-whole"]
    figures = {
        each["name"]: each["value"]
        for name in ("memory", "start", "speed")
        for each in found[name]["figures"]
    }
    assert 96 * MIB <= figures["memory"] * 2**30 < 200 * MIB
    assert figures["cache"] == 16 * 150
    assert abs(figures["start"] - (ready - (processes.started_at(holder.pid) or 0))) < 2
    assert figures["ttft"] > 0


def test_of_several_services_one_is_to_be_named(tmp_path: Path, url: str) -> None:
    hosted = Hosted(tmp_path)
    for name in ("vllm", "second"):
        hosted.add(name, url=url, probes=["conformance"])
    run = hosted.checks("measure")
    assert run.returncode == 3 and "several services fit: " in run.stdout and "--service NAME" in run.stdout


def of(*values: float) -> list[Result]:
    return [Result("latency", State.OK, "", figures=(Figure("ttft", value, "s"),)) for value in values]


def test_speed_is_the_median_of_those_that_answered() -> None:
    failed = Result("latency", State.UNKNOWN, "no answer")
    found = measure.speed([*of(9, 1, 2), failed])
    assert found.state is State.OK and found.figures == (Figure("ttft", 2, "s"),)
    none = measure.speed([failed, failed])
    assert none.check == "speed" and none.reason == "no answer" and none.state is State.UNKNOWN


def test_a_start_that_its_manager_does_not_tell() -> None:
    assert measure.start(Service(pid=os.getpid())).figures == ()
    assert measure.start(Service(ready=5.0)).figures == ()
