"""The phase that a log line opens: lines recorded on a CPU, and CUDA's from vLLM's source."""

import pytest

from python_checks.log.phases import PATTERNS, phase
from tests.python_checks.support import RECORDED, Recorded

# phase TAB line; no CUDA host was at hand: the lines are put together from vLLM 0.32's format strings.
CUDA = [line.split("\t") for line in (RECORDED.parent / "cuda_lines.tsv").read_text("utf-8").splitlines()]


@pytest.mark.parametrize(("wanted", "line"), CUDA)
def test_phase_names_the_cuda_lines(wanted: str, line: str) -> None:
    assert phase(line) == wanted


def test_phases_of_a_recorded_start_come_in_order(recorded: Recorded) -> None:
    seen: list[str] = []
    for line in recorded("start"):
        name = phase(line)
        if name and name not in seen:
            seen.append(name)
    assert seen == [
        "reading the model's configuration",
        "starting the engine",
        "loading weights",
        "loading weights 0/2",
        "loading weights 2/2",
        "weights loaded",
        "compiling",
        "compiled, profiling",
        "profiling memory",
        "making the KV cache",
        "engine is ready, starting the API",
        "starting the API",
        "API is up",
    ]


def test_every_pattern_is_met_by_a_line(recorded: Recorded) -> None:
    lines = [*recorded("start"), *(line for _, line in CUDA)]
    assert [pattern.pattern for pattern, _ in PATTERNS if not any(map(pattern.search, lines))] == []


def test_other_lines_open_no_phase() -> None:
    assert phase('INFO:     127.0.0.1:58132 - "GET /v1/models HTTP/1.1" 200 OK') == ""
