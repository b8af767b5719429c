"""The permissions of another user, for a while."""

import os
from pathlib import Path

import pytest

from python_checks.core.result import CheckError
from python_checks.host.users import acting_as


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root can act as another user")
def test_permissions_are_those_of_the_user_and_come_back(tmp_path: Path) -> None:
    before = (os.geteuid(), os.getegid(), os.getgroups())
    (tmp_path / "file").write_text("")
    (tmp_path / "file").chmod(0o640)
    with acting_as("nobody"):
        assert (os.geteuid(), os.getegid(), os.getgroups()) == (65534, 65534, [65534])
        assert not os.access(tmp_path / "file", os.R_OK, effective_ids=True)
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before
    assert (tmp_path / "file").read_text() == ""


def test_nobody_else_is_asked_for() -> None:
    before = os.geteuid()
    with acting_as(None):
        assert os.geteuid() == before
    with pytest.raises(CheckError, match="there is no user mr-nobody"), acting_as("mr-nobody"):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_only_root_may() -> None:
    with pytest.raises(CheckError, match="only root can act as user root"), acting_as("root"):
        pass
