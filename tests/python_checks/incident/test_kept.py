"""The directories of incidents: ten are kept, each is bounded, and only the latest day's is told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from python_checks.core.result import CheckError
from python_checks.incident import kept
from python_checks.incident.kept import Incident
from python_checks.incident.stands import Standing

NOW = 1_800_000_000.0


def test_ten_are_kept_and_the_oldest_go(tmp_path: Path) -> None:
    home = tmp_path / "incidents"
    home.mkdir()
    (home / "notes").write_text("a person's")
    for number in range(14):
        path = kept.begin(home, 7, NOW + number)
        kept.write(path, "stacks.txt", str(number))
    found = kept.names(home)
    assert len(found) == 10 and found[-1] == path.name
    assert [(home / name / "stacks.txt").read_text() for name in found] == [str(n) for n in range(4, 14)]
    assert (home / "notes").read_text() == "a person's"
    assert path.stat().st_mode & 0o777 == 0o700 and home.stat().st_uid == os.geteuid()


@pytest.mark.parametrize(("end", "stays"), [(False, "first"), (True, "last")])
def test_a_file_is_bounded(tmp_path: Path, end: bool, stays: str) -> None:
    kept.write(tmp_path, "log.txt", "first\n" + "x" * 10**7 + "\nlast", end)
    text = (tmp_path / "log.txt").read_text()
    assert len(text) == 256 * 1024 and stays in text and "[cut]" in text
    assert (tmp_path / "log.txt").stat().st_mode & 0o777 == 0o600


def test_no_link_is_followed(tmp_path: Path) -> None:
    elsewhere, home = tmp_path / "elsewhere", tmp_path / "incidents"
    elsewhere.mkdir()
    home.symlink_to(elsewhere)
    with pytest.raises(CheckError, match="another user's"):
        kept.begin(home, 7, NOW)
    (elsewhere / "log.txt").symlink_to(tmp_path / "target")
    with pytest.raises(FileExistsError):
        kept.write(elsewhere, "log.txt", "x")
    path = elsewhere / "20270115T080000Z-7"
    path.mkdir()
    kept.close(Incident(path, NOW))
    assert kept.latest(tmp_path, NOW) is None and list(elsewhere.iterdir())


def test_the_latest_of_the_last_day(tmp_path: Path) -> None:
    assert kept.latest(tmp_path, NOW) is None
    standing = Standing("EngineCore", 9, "S", "shm_broadcast.dequeue")
    for age, name in ((90000.0, "a"), (3600.0, "b")):
        path = kept.begin(tmp_path / "incidents", 7, NOW - age)
        kept.close(Incident(path, NOW - age, [standing], {"running": 2, "waiting": 0, "ids": [name]}))
    found = kept.latest(tmp_path, NOW)
    assert found and found.requests["ids"] == ["b"] and found.standings == [standing] and found.path == path
    assert kept.latest(tmp_path, NOW + 86400) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"time": "x"}), "null", "\x00" * 300_000])
def test_what_is_no_summary_tells_nothing(tmp_path: Path, text: str) -> None:
    path = kept.begin(tmp_path / "incidents", 7, NOW)
    (path / "summary.json").write_text(text)
    assert kept.latest(tmp_path, NOW) is None
