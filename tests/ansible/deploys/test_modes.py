"""What a deploy makes is open to the users of the services and the probes, whatever the umask of the session that makes it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from playbooks import REPOSITORY, Playbook

# What only its owner is to read is elsewhere: state, logs, supervisord's own directory.
READ_BY_OTHERS = ("bin", "venvs", "checks")
OWNERS = "bin/outbound"  # may hold a proxy's password


def closed(directory: Path) -> list[str]:
    """Return what lies there and is not open to every user of the host."""
    paths = [directory, *(path for name in READ_BY_OTHERS for path in (directory / name).rglob("*"))]
    modes = [
        (path, path.lstat().st_mode) for path in paths if not path.is_symlink() and path != directory / OWNERS
    ]
    assert len(modes) > 1000  # it did make something
    return [
        f"{path} {stat.filemode(mode)}"
        for path, mode in modes
        if mode & 0o005 != (0o005 if stat.S_ISDIR(mode) or mode & 0o100 else 0o004)
    ]


@pytest.mark.slow
def test_a_session_with_umask_077_closes_nothing(prepared_directory: Path) -> None:
    assert closed(prepared_directory) == []


@pytest.mark.slow
def test_what_an_earlier_run_closed_is_opened(prepared: Playbook, prepared_directory: Path) -> None:
    environment = next((prepared_directory / "venvs").glob("checks-*/"))
    release = prepared_directory / "releases/vllm/1-0123456789ab"
    release.mkdir(parents=True)
    (release / "vllm.ini").touch(0o600)  # supervisord's files are closed on purpose
    built = (environment / "pyvenv.cfg").stat().st_mtime_ns
    for path in (environment, *environment.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)
    for path in (prepared_directory, *release.parents[:3], release):
        path.chmod(0o700)
    run = prepared("ansible/check.yml")
    assert run.returncode == 0, run.stdout
    assert closed(prepared_directory) == []
    assert (environment / "pyvenv.cfg").stat().st_mtime_ns == built
    modes = {path.stat().st_mode & 0o777 for path in (release, release.parent, release.parents[1])}
    assert modes == {0o755}
    assert (release / "vllm.ini").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_an_environment_linked_from_a_closed_cache_is_opened(prepared: Playbook, tmp_path: Path) -> None:
    lock, cache = REPOSITORY / "locks/supervisor.txt", tmp_path / "cache"
    for name in "first", "second":
        for path in cache.rglob("*.py"):
            path.chmod(0o600)
        arguments = ("-e", f"test_lock={lock}", "-e", f"test_venv={tmp_path}/{name}")
        run = prepared("tests/ansible/venv.yml", *arguments, UV_CACHE_DIR=str(cache))
        assert run.returncode == 0, run.stdout
    files = list((tmp_path / "second").glob("lib/*/site-packages/supervisor/*.py"))
    assert files[0].stat().st_nlink > 1
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in files)
