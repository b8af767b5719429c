"""`all`: every check at once, against a server that answers each of them."""

import json
from pathlib import Path

import pytest

from python_checks.report import history, verdict
from tests.python_checks.support import Healthy, Probe

ROWS = ["model-files", "health", "models", "completion", "tool-call", "chat"]


def test_all_is_well(probe: Probe, healthy: Healthy) -> None:
    server, options = healthy
    done = probe(*options, "--format", "json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["state"]) == (0, "ok"), document
    assert [result["check"] for result in document["results"]] == ROWS
    sessions = [body["session_id"] for path, body in server.requests if path == "/v1/chat"]
    probe(*options)
    again = [body["session_id"] for path, body in server.requests if path == "/v1/chat"]
    assert len(set(again)) == 2 and again[:1] == sessions and again[0].startswith("probe-")


def test_all_runs_only_what_it_was_given(probe: Probe, healthy: Healthy) -> None:
    server, _ = healthy
    document = json.loads(probe("all", "--backend-url", server.url, "--format", "json").stdout)
    assert [result["check"] for result in document["results"]] == ["chat"]
    assert probe("all").returncode == 3


def test_the_worst_state_is_the_exit_code(probe: Probe, healthy: Healthy) -> None:
    server, options = healthy
    server.answers["/v1/chat"] = (200, {"answer": "15일", "tools_called": []})
    done = probe(*options)
    assert done.returncode == 2 and done.stdout.count(" OK: ") == 5
    assert probe(*options, "--expect-tool", "").returncode == 0


def test_what_needs_a_dead_server_is_not_run(probe: Probe, healthy: Healthy) -> None:
    server, options = healthy
    server.answers["/health"] = (503, "")
    done = probe(*options, "--format", "table")
    assert done.returncode == 2
    assert done.stdout.count("not run, health failed") == 4 and done.stdout.count("unknown") == 4
    assert [path for path, _ in server.requests] == ["/health"]


def test_a_verdict_that_cannot_be_kept_is_shown_and_is_not_ok(
    probe: Probe, healthy: Healthy, tmp_path: Path
) -> None:
    _, options = healthy
    (tmp_path / "history").write_text("no history " * 100)
    for option in (
        ["--remember", str(tmp_path / "missing/verdict.json")],
        ["--remember", str(tmp_path / "verdict.json"), "--history", str(tmp_path / "history")],
    ):
        done = probe(*options, *option)
        assert done.returncode == 3 and done.stdout.count(" OK: ") == 6
        assert "keep UNKNOWN: the verdict is not kept: " in done.stdout and "remedy: make room" in done.stdout
    assert not (tmp_path / "verdict.json").exists()


def test_a_history_alone_is_kept(probe: Probe, healthy: Healthy, tmp_path: Path) -> None:
    _, options = healthy
    assert probe(*options, "--history", str(tmp_path / "history")).returncode == 0
    assert [run.faults for run in history.recent(tmp_path / "history")] == [{}]


def test_a_verdict_that_was_not_finished_does_not_stay(tmp_path: Path) -> None:
    (tmp_path / "verdict.json").mkdir()  # cannot be replaced by a file
    with pytest.raises(OSError, match="directory"):
        verdict.remember(tmp_path / "verdict.json", [], {})
    assert [path.name for path in tmp_path.iterdir()] == ["verdict.json"]
