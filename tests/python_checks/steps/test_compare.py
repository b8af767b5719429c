"""The table of two documents, in 80 columns and both languages, and what is no document."""

import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.python_checks.support import Probe


def document(path: Path, version: str, rate: float, call: str = "ok") -> Path:
    """Write what `checks measure` prints, as a deploy keeps it."""

    def result(check: str, state: str, reason: str, **more: object) -> dict[str, object]:
        return {
            "check": check,
            "service": "vllm",
            "state": state,
            "reason": reason,
            "remedy": "",
            "seconds": 1.0,
            **more,
        }

    figure = {"name": "tokens_per_second", "value": rate, "unit": "", "warning": None, "critical": None}
    results = [
        result("server", "ok", f"vLLM {version}"),
        result(
            "chat-auto", call, "finish_reason is stop, wanted tool_calls: " + "this is a long reason " * 4
        ),
        result("token-limit-auto", "warning", "", evidence={"limits": ["a-cut-call-looks-whole"]}),
        result("speed", "ok", "", figures=[figure]),
        result("release", "ok", f"{version}-0123456789ab"),
    ]
    path.write_text(json.dumps({"state": "ok", "results": results}))
    return path


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    return (
        str(document(tmp_path / "old.json", "0.32.0", 100)),
        str(document(tmp_path / "new.json", "0.33.0", 50, "critical")),
    )


def test_the_table(probe: Probe, pair: tuple[str, str]) -> None:
    run = probe("compare", *pair, "--title", "gpu1", "--language", "en")
    assert run.returncode == 2
    assert run.stdout.splitlines()[0] == "!! gpu1             worse: chat-auto, tokens a second"
    assert "   release          0.32.0-0123456789ab -> 0.33.0-0123456789ab\n" in run.stdout
    assert "   cases that pass  2/2 -> 1/2\n" in run.stdout
    assert "!! tokens a second  100 -> 50 (-50 %): worse than the limit of 25 %\n" in run.stdout
    assert max(map(len, run.stdout.splitlines())) <= 80
    same = probe("compare", pair[0], pair[0])
    assert same.returncode == 0 and "nothing is worse than a limit" in same.stdout


def test_it_speaks_korean(probe: Probe, pair: tuple[str, str]) -> None:
    run = probe("compare", *pair, "--title", "gpu1", "--language", "ko")
    assert "초당 토큰" in run.stdout and "나빠" in run.stdout, run.stdout
    assert max(map(cell_len, run.stdout.splitlines())) <= 80


def test_machines_get_the_rows(probe: Probe, pair: tuple[str, str]) -> None:
    run = probe("compare", *pair, "--format", "json", "--slower", "150")
    (result,) = json.loads(run.stdout)["results"]
    rows = {row["what"]: row["state"] for row in result["evidence"]["differences"]}
    assert rows["chat-auto"] == "critical" and rows["tokens a second"] == "ok"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"results": [{"check": "x"}]}', '{"results": [{"state": "odd"}]}', "[" * 100000]
)
def test_what_is_no_document(probe: Probe, pair: tuple[str, str], tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.json").write_text(text)
    run = probe("compare", pair[0], str(tmp_path / "odd.json"))
    assert run.returncode == 3 and "odd.json is no document of results" in run.stdout
    gone = probe("compare", str(tmp_path / "gone.json"), pair[1])
    assert gone.returncode == 3 and "gone.json cannot be read: No such file" in gone.stdout


@pytest.mark.parametrize("limit", ["-1", "x", "nan", "inf"])
def test_a_limit_is_a_number_of_percent(probe: Probe, pair: tuple[str, str], limit: str) -> None:
    run = probe("compare", *pair, f"--memory={limit}")
    assert run.returncode == 3 and "not a number of percent" in run.stderr
