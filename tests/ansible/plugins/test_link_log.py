"""A log where the inventory has it: a link, made with the rights of whose directory it is; what lay there is kept, and never opened."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loading import load

link_log = load("modules/link_log")
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root may give a file away")
USER = 65534  # nobody


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A directory that other users can reach, which pytest's cannot."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a user wants the log, in a directory of that user's."""
    (tmp_path / "work/logs").mkdir(parents=True)
    for path in (tmp_path / "work", tmp_path / "work/logs"):
        os.chown(path, USER, USER)
    return tmp_path / "work/logs/vllm.log"


def act(place: Path, log: Path, state: str = "present") -> dict[str, Any]:
    found: dict[str, Any] = link_log.act({"path": str(place), "log": str(log), "state": state}, False)
    return found


def test_a_link_is_made_once_and_removed_once(place: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("words")
    assert act(place, log) == {"changed": True, "kept": ""}
    assert place.read_text() == "words" and place.lstat().st_uid == USER
    assert not act(place, log)["changed"]
    assert act(place, log, "absent")["changed"] and not place.is_symlink() and log.exists()
    assert not act(place, log, "absent")["changed"]


@pytest.mark.parametrize("kind", ["file", "link", "dangling", "fifo", "directory"])
def test_what_lies_there_is_kept_and_not_opened(place: Path, tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    before = secret.stat()
    match kind:
        case "file":
            place.write_text("old words")
        case "link":
            place.symlink_to(secret)
        case "dangling":
            place.symlink_to(tmp_path / "made")
        case "fifo":
            os.mkfifo(place)
        case "directory":
            place.mkdir()
    old = place.lstat()
    kept = Path(act(place, tmp_path / "log")["kept"])
    assert kept.parent == place.parent and kept.lstat().st_ino == old.st_ino
    assert os.readlink(place) == str(tmp_path / "log")
    assert secret.read_text() == "secret" and not (tmp_path / "made").exists()
    assert (secret.stat().st_uid, secret.stat().st_mode) == (before.st_uid, before.st_mode)


def test_a_directory_that_leads_elsewhere_gives_its_owner_nothing(place: Path, tmp_path: Path) -> None:
    target = tmp_path / "cron.d"
    target.mkdir()
    place.parent.rmdir()
    place.parent.symlink_to(target)
    os.chown(place.parent, USER, USER, follow_symlinks=False)
    with pytest.raises(ValueError, match=r"no link can be made at .* with the rights of user 65534"):
        act(place, tmp_path / "log")
    assert not [*target.iterdir()]


@pytest.mark.usefixtures("at_once")
def test_a_users_process_that_stops_is_not_waited_for(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_log, "SECONDS", 1)
    monkeypatch.setattr(link_log, "link", lambda *_: os.kill(os.getpid(), signal.SIGSTOP))
    with pytest.raises(ValueError, match="no answer within 1 s"):
        act(place, tmp_path / "log")


def test_a_directory_that_several_may_write_is_refused(place: Path, tmp_path: Path) -> None:
    os.chown(place.parent, 0, 4711)
    os.chown(place.parent.parent, 0, 0)
    place.parent.chmod(0o2775)
    with pytest.raises(ValueError, match=f"{place.parent} may be written by group 4711; or: sudo chmod go-w"):
        act(place, tmp_path / "log")
    assert not place.is_symlink()


def test_a_new_directory_is_made(tmp_path: Path) -> None:
    act(tmp_path / "new/logs/x.log", tmp_path / "log")
    assert (tmp_path / "new/logs").stat().st_mode & 0o777 == 0o755
    assert os.readlink(tmp_path / "new/logs/x.log") == str(tmp_path / "log")
