"""When a unit reloads instead of a restart: only while its process has the secrets that are wanted."""

import os
from pathlib import Path

import pytest

from python_checks.service.reloading import judge

BOOTED = 1_000_000.0
STARTED = "ExecMainStartTimestampMonotonic=500000000"  # 500 s after the boot


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Return the link to a set of secrets, as keep_secrets leaves it."""
    (tmp_path / "0123456789ab").mkdir()
    link = tmp_path / "current"
    link.symlink_to("0123456789ab")
    return link


def shown(link: Path, reload: str = "yes") -> str:
    return f"CanReload={reload}\n{STARTED}\nEnvironmentFiles={link}/own.env (ignore_errors=no)\n"


@pytest.mark.parametrize(("age", "reloads"), [(-1, True), (1, False)])
def test_secrets_that_changed_after_its_start_need_a_restart(secrets: Path, age: int, reloads: bool) -> None:
    when = BOOTED + 500 + age
    os.utime(secrets, (when, when), follow_symlinks=False)
    assert judge(shown(secrets), BOOTED) is reloads


def test_one_of_several_sets_is_enough(secrets: Path, tmp_path: Path) -> None:
    os.utime(secrets, (BOOTED, BOOTED), follow_symlinks=False)
    assert judge(shown(secrets), BOOTED)
    other = tmp_path / "other/current"
    other.parent.mkdir()
    other.symlink_to(secrets.parent / "0123456789ab")  # made now
    more = f"EnvironmentFiles={other}/offered.env (ignore_errors=yes)\n"
    assert not judge(more + shown(secrets), BOOTED)


def test_a_unit_without_secrets_reloads_if_it_can() -> None:
    assert judge(f"CanReload=yes\n{STARTED}\n", BOOTED)
    assert not judge(f"CanReload=no\n{STARTED}\n", BOOTED)
    assert not judge("", BOOTED)
