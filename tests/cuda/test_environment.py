"""The environment that these tests keep: whole or not there, and the one of an older lock goes when nobody uses it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cuda import environment

GONE = f"iniconfig==2.1.0 --hash=sha256:{'0' * 64}\n"


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock that installs nothing, and a cache of its own."""
    path = tmp_path / "lock.txt"
    path.write_text("# one\n")
    monkeypatch.setattr(environment, "LOCKS", [path])
    monkeypatch.setattr(environment, "CACHE", tmp_path / "cache/cuda")
    return path


def kept() -> list[str]:
    return [path.name for path in environment.CACHE.iterdir()]


def test_it_is_made_once_and_an_older_one_goes_when_nobody_uses_it(lock: Path) -> None:
    with environment.installed(lock) as first:
        assert first.exists()
        made = first.parent.stat().st_mtime_ns
        with environment.installed(lock) as again:
            assert again == first and again.parent.stat().st_mtime_ns == made
        lock.write_text("# two\n")
        with environment.installed(lock) as second:
            assert second != first
            assert first.exists()  # it is in use
            assert len(kept()) == 2
    (environment.CACHE / "0123456789ab.partial").mkdir()  # of a run that was killed
    with environment.installed(lock) as third:
        assert third == second
        assert kept() == [second.parents[1].name]


def test_what_fails_leaves_nothing(lock: Path) -> None:
    lock.write_text(GONE)
    with pytest.raises(subprocess.CalledProcessError), environment.installed(lock):
        pass
    assert kept() == []
