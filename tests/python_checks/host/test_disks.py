"""File systems: one each, and what is left on it judged."""

import shutil
from pathlib import Path

from python_checks.core.result import State
from python_checks.host.disks import Disk, disks


def test_one_line_a_file_system(tmp_path: Path) -> None:
    """A log below the directory of all is not named, another file system is, a path that is not there is none."""
    (tmp_path / "logs").mkdir()
    found = disks([tmp_path, tmp_path / "logs", tmp_path / "none", Path("/proc"), Path("relative")])
    assert [disk.paths for disk in found] == [(str(tmp_path),), ("/proc",)]
    assert found[0].total == shutil.disk_usage(tmp_path).total
    assert [Disk((), size, 2**40).state for size in (2**33, 2**31, 2**29)] == [
        State.OK,
        State.WARNING,
        State.CRITICAL,
    ]
