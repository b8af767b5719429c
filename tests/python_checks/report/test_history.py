"""Past runs of the deep probe: kept, bounded, and never lost to one that could not be written."""

import json
from pathlib import Path

import pytest

from python_checks.core.result import Result, State
from python_checks.report import history

GOOD = Result("chat-auto", State.OK, "get_weather")
BAD = Result("chat-none", State.WARNING, "답이 없음")


def test_runs_come_back_newest_first(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    assert history.recent(path) == [] and not path.exists()
    history.record(path, [GOOD], {"vllm": "1-a"}, 1000.0)
    history.record(path, [GOOD, BAD], {"vllm": "1-b"}, 2000.0)
    newest, oldest = history.recent(path)
    assert newest == (2000.0, State.WARNING, {"vllm": "1-b"}, {"chat-none": "답이 없음"})
    assert oldest == (1000.0, State.OK, {"vllm": "1-a"}, {})


def test_it_is_bounded(tmp_path: Path) -> None:
    for second in range(10):
        history.record(tmp_path / "h", [GOOD], {}, float(second))
    assert [run["time"] for run in json.loads((tmp_path / "h").read_text())] == [9, 8, 7, 6, 5, 4, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["h"]


@pytest.mark.parametrize(
    "text", ["no history", "3", '{"time": 1}', '[{"time": 1, "state": "fine"}]', "[" * 10**5]
)
def test_a_broken_file_is_an_error_and_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "h"
    path.write_text(text)
    for action in (lambda: history.recent(path), lambda: history.record(path, [GOOD], {}, 1.0)):
        with pytest.raises(ValueError, match="is no history of runs"):
            action()
    assert path.read_text() == text


def test_the_database_of_earlier_deploys_goes(tmp_path: Path) -> None:
    (tmp_path / "history.sqlite").write_bytes(b"SQLite format 3\0")
    history.record(tmp_path / "history.json", [GOOD], {}, 1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["history.json"]
