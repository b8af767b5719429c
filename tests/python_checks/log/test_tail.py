"""Which lines of a growing log belong to one process."""

import os
import time
from pathlib import Path

import pytest

from python_checks.log.tail import LogTail

OWN = "(APIServer pid=77) INFO {} [api_utils.py:286] non-default args: {{}}\n"


def stamp(seconds: float) -> str:
    """Write a time as vLLM's log does."""
    return time.strftime("%m-%d %H:%M:%S", time.localtime(seconds))


def test_lines_begin_with_the_first_that_names_the_pid(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.write_text("(APIServer pid=5) INFO 11-23 09:00:00 [x.py:1] old\n")
    tail = LogTail(log, 77, time.time())
    with log.open("a") as file:
        file.write(
            "usage: api_server.py\n(APIServer pid=776) other\n" + OWN.format(stamp(time.time())) + "child\n"
        )
    assert [line.split(" ")[0] for line in tail.poll()] == ["(APIServer", "child"]
    assert tail.found
    assert not any("776" in line for line in tail.lines)


def test_lines_written_before_the_watch_are_taken_when_they_are_the_processs(tmp_path: Path) -> None:
    log, now = tmp_path / "vllm.log", time.time()
    log.write_text(OWN.format(stamp(now)) + "Application startup complete.\n")
    tail = LogTail(log, 77, now - 5)
    assert list(tail.lines)[-1] == "Application startup complete."


def test_an_older_process_with_the_same_pid_is_another_one(tmp_path: Path) -> None:
    log, now = tmp_path / "vllm.log", time.time()
    log.write_text(OWN.format(stamp(now - 3600)) + "ValueError: old\n")
    tail = LogTail(log, 77, now)
    assert not tail.found
    assert list(tail.lines) == []


def test_all_of_a_process_that_ended_before_is_looked_through(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.write_text("old\n" + OWN.format("11-23 09:00:00") + "ValueError: why\n" + "echo\n" * 100)
    tail = LogTail(log, 77, None)
    assert tail.last_words()[1] == "ValueError: why"


def test_a_start_over_new_year_is_no_old_one(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    started = time.mktime((2026, 12, 31, 23, 59, 50, 0, 0, -1))
    log.write_text(OWN.format(stamp(started + 20)))
    assert LogTail(log, 77, started).found


def test_a_truncated_log_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.write_text("long line of an earlier time\n" * 100)
    tail = LogTail(log, None, None)
    log.write_text("new\n")
    assert tail.poll() == ["new"]


def test_a_rotated_log_is_followed(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.write_text("a\n")
    tail = LogTail(log, None, None)
    os.rename(log, tmp_path / "vllm.log.1")
    assert tail.poll() == []
    log.write_text("a longer first line\n")  # longer than what was read of the old file
    assert tail.poll() == ["a longer first line"]


def test_without_a_pid_only_what_is_new_counts(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.write_text("ValueError: old\n")
    tail = LogTail(log, None, None)
    with log.open("a") as file:
        file.write("new\n")
    assert tail.poll() == ["new"]
    assert tail.last_words() == ["new"]


def test_half_a_line_waits_for_its_end_and_carriage_returns_end_lines(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    tail = LogTail(log, None, None)  # the log appears later
    log.write_bytes("\rshards: 1/2\r맑".encode()[:-1])
    assert tail.poll() == ["shards: 1/2"]
    with log.open("ab") as file:
        file.write("맑".encode()[-1:] + b"\n")
    assert tail.poll() == ["맑"]


def test_last_words_fall_back_to_the_old_end(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.write_text("api_server.py: error: unrecognized arguments: --x\n")
    tail = LogTail(log, 77, time.time())
    assert tail.poll() == []
    assert tail.last_words() == ["api_server.py: error: unrecognized arguments: --x"]


def test_only_the_end_of_a_large_old_log_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("python_checks.log.tail.BACKLOG", 1000)
    log, now = tmp_path / "vllm.log", time.time()
    log.write_text(OWN.format(stamp(now)) + "x\n" * 1000)
    assert not LogTail(log, 77, now - 5).found


def test_the_guard_of_the_next_start_ends_a_processs_part(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    log.write_text(OWN.format(stamp(time.time())) + "ValueError: why\n")
    tail = LogTail(log, 77, time.time())
    with log.open("a") as file:
        file.write("guard CRITICAL: the port is held\nValueError: another\n(APIServer pid=78) INFO next\n")
    assert tail.poll() == []
    assert tail.last_words()[1:] == ["ValueError: why"]


def test_the_last_process_with_an_id_counts(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    runs = [f"guard OK: x\n{OWN.format('11-23 09:00:00')}ValueError: {name}\n" for name in ("old", "new")]
    log.write_text("".join(runs))
    assert LogTail(log, 77, None).last_words()[1:] == ["ValueError: new"]
