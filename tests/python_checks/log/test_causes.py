"""The one useful line of a real vLLM log that ended in failure."""

import pytest

from python_checks.log import known
from python_checks.log.causes import cause, find
from python_checks.service.remedies import OTHER, remedy
from tests.python_checks.support import Recorded

RECORDED = {
    "badflag": ("error: unrecognized arguments: --enable-auto-tool-choise", "vllm serve --help"),
    "nodir": ("HFValidationError: Repo id must be in the form", "model-files"),
    "emptydir": ("Invalid repository ID or local directory specified", "model-files"),
    "badparser": ("invalid tool call parser: nope", "vllm_tool_call_parser"),
    "noparser": ("--enable-auto-tool-choice requires --tool-call-parser", "vllm_tool_call_parser"),
    "portused": ("OSError: [Errno 98] Address already in use", "port check"),
    "toolong": ("User-specified max_model_len (999999999) is greater", "--max-model-len"),
    "trunc": ("SafetensorError: Error while deserializing header: incomplete metadata", "model-files"),
    "worker_killed": ("Worker proc VllmWorker-1 died unexpectedly (exit code: -9)", "journalctl -k"),
    "missing": (
        "Weight files referenced in index but missing: {'missing/model-00001-of-00002",
        "model-files",
    ),
}


@pytest.mark.parametrize("name", RECORDED)
def test_cause_of_a_recorded_failure(recorded: Recorded, name: str) -> None:
    words, advice = RECORDED[name]
    found = find(recorded(name))
    assert words in found.words
    assert len(found.words) <= 300
    assert advice in remedy(found.text)


def test_cause_is_not_the_echo_of_the_parent() -> None:
    lines = [
        "(EngineCore pid=6) ERROR 11-23 09:00:00 [core.py:1510] EngineCore failed to start.",
        "(EngineCore pid=6) ERROR 11-23 09:00:00 [core.py:1510] Traceback (most recent call last):",
        "(EngineCore pid=6) ERROR 11-23 09:00:00 [core.py:1510] torch.OutOfMemoryError: CUDA out of memory",
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
    ]
    assert cause(lines) == "torch.OutOfMemoryError: CUDA out of memory"
    assert "--gpu-memory-utilization" in remedy(cause(lines))
    assert cause(lines[3:]).startswith("RuntimeError: Engine core")  # better than nothing


def test_warnings_are_no_cause(recorded: Recorded) -> None:
    assert cause(recorded("start")) == ""


def test_an_error_line_without_exception_counts() -> None:
    line = "(APIServer pid=6) ERROR 11-23 09:00:00 [launcher.py:312] The disk is full"
    assert cause([line, "INFO:     Shutting down"]) == "The disk is full"


@pytest.mark.parametrize(
    "line", ["Killed", "sh: 1: exec: vllm: not found", "Segmentation fault (core dumped)"]
)
def test_words_of_the_shell_count(line: str) -> None:
    assert cause([line]) == line


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("openai_harmony.HarmonyError: error downloading or loading vocab file", "o200k_base.tiktoken"),
        ("OSError: [Errno 28] No space left on device: '/var/cache/vllm/x'", "df -h"),
        ("OSError: [Errno 30] Read-only file system: '/var/cache/vllm/x'", "read-only"),
        ("ImportError: /c/k.so: failed to map segment from shared object", "noexec"),
        ("PermissionError: [Errno 13] Permission denied: '/var/cache/vllm'", "ls -ld"),
        (
            "ValueError: World size (4) is larger than the number of available GPUs (2)",
            "--tensor-parallel-size",
        ),
        ("RuntimeError: Failed to infer device type", "gpu check"),
        (
            "pydantic_core.ValidationError: 1 validation error for CacheConfig\ngpu_memory_utilization",
            "correct the argument",
        ),
    ],
)
def test_a_remedy_for_each_cause_of_a_host(words: str, advice: str) -> None:
    assert cause(words.splitlines()) == words.replace("\n", " ")
    assert advice in remedy(cause(words.splitlines()))


def test_unknown_cause_sends_to_the_log() -> None:
    assert remedy("something new") == OTHER
    tables = known.tables()
    assert all(
        row.remedy for row in [*tables.clear, *tables.libraries, *tables.cuda, *tables.rows, *tables.weak]
    )


def test_a_start_that_the_guard_refused_has_that_as_its_cause() -> None:
    refusal = "guard CRITICAL: 127.0.0.1:8000 is held by pid 7 (user x): nc"
    lines = ["ValueError: of the run before", f"{refusal} | time=3.07s", "remedy: stop it: not found"]
    assert cause(lines) == refusal
    assert "do what the guard's remedy says" in remedy(cause(lines))


def test_what_stands_before_the_guard_is_another_runs() -> None:
    lines = ["ValueError: old", "guard OK: nothing is in the way of a start; 2 weight files | time=0.03s"]
    assert cause(lines) == ""
    assert cause([*lines, "ValueError: new"]) == "ValueError: new"
    refused = ["guard CRITICAL: the port is held | time=3.07s", *lines]
    assert cause(refused) == ""


def test_lines_of_other_checks_are_no_cause() -> None:
    own = ["wait CRITICAL: process 5 ended after 3 s; sh: no: not found | time=3.00s", "remedy: x: not found"]
    assert cause(["ValueError: why", *own]) == "ValueError: why"
    assert cause(own) == ""
