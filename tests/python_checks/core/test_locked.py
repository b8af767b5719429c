"""One holder of a lock at a time; another one waits, but not for ever."""

import threading
import time
from pathlib import Path

import pytest

from python_checks.core.locked import locked
from python_checks.core.result import CheckError


def test_a_second_holder_is_refused_until_the_first_one_ends(tmp_path: Path) -> None:
    with locked(tmp_path / "file"):
        for seconds in (0.0, 0.3):
            began = time.monotonic()
            with (
                pytest.raises(CheckError, match="another run is at work"),
                locked(tmp_path / "file", seconds),
            ):
                pass
            assert seconds <= time.monotonic() - began < seconds + 1
        with locked(tmp_path / "other"):
            pass
    with locked(tmp_path / "file"):
        pass


def test_a_second_holder_comes_next(tmp_path: Path) -> None:
    held, order = threading.Event(), list[str]()

    def first() -> None:
        with locked(tmp_path / "file"):
            held.set()
            time.sleep(0.3)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert held.wait(5)
    with locked(tmp_path / "file", 5):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_nobody_else_may_hold_it_and_no_link_is_followed(tmp_path: Path) -> None:
    with locked(tmp_path / "file"):
        assert (tmp_path / ".file.lock").stat().st_mode & 0o777 == 0o600
    (tmp_path / ".linked.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError), locked(tmp_path / "linked"):
        pass
    assert not (tmp_path / "elsewhere").exists()
