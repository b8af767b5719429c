"""Directories that a service writes to: real mounts, owners and processes."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from python_checks.core.result import State
from python_checks.doctor import diagnosis, places
from python_checks.doctor.places import Place
from python_checks.service.facts import Service
from tests.python_checks.doctor_support import one, signs

Mount = Callable[[str], Path]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: root is needed")
NOBODY = 65534


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a tmpfs with options; it is gone after the test."""
    path = tmp_path / "mounted"
    path.mkdir()

    def mount_it(options: str) -> Path:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"NOT TESTED: a mount is needed: {done.stderr}")
        return path

    yield mount_it
    subprocess.run(["umount", str(path)], capture_output=True, check=False)


def finding(place: Place, name: str = "vllm") -> tuple[State, str, str]:
    found = one(signs(places={name: [place]}))
    return found.state, found.symptom, found.remedy


@as_root
def test_a_cache_that_is_mounted_noexec(mount: Mount) -> None:
    path = mount("noexec")
    state, symptom, remedy = finding(places.look(path, compiled=True))
    assert state is State.CRITICAL and symptom == f"vllm cannot run what it compiles into {path}"
    assert "remount,exec" in remedy
    assert diagnosis.findings(signs(places={"vllm": [places.look(path, compiled=False)]})) == []


@as_root
def test_a_directory_that_is_mounted_read_only(mount: Mount) -> None:
    path = mount("ro")
    state, symptom, remedy = finding(places.look(path, compiled=False))
    assert (state, symptom) == (State.CRITICAL, f"vllm cannot write to {path}") and "remount,rw" in remedy


@as_root
def test_a_file_system_without_inodes(mount: Mount) -> None:
    path = mount("nr_inodes=3")
    for name in "abcdef":
        try:
            (path / name).touch()
        except OSError:
            break
    place = places.look(path, compiled=False)
    assert place.full and "inode" in one(signs(places={"vllm": [place]})).cause


@as_root
def test_a_directory_of_root_which_the_service_may_not_write(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    path.mkdir(mode=0o755)
    tmp_path.chmod(0o700)  # what lies above is another matter, as below /proc/PID/root
    place = places.look(path, True, "nobody")
    assert (place.writable, place.owner, place.mode) == (False, "root", "drwxr-xr-x")
    state, symptom, remedy = finding(place)
    assert (state, symptom) == (State.CRITICAL, f"vllm cannot write to {path}")
    assert remedy == f"sudo chown -R nobody: {path}"
    os.chown(path, NOBODY, -1)
    assert places.look(path, True, "nobody").writable


@as_root
def test_what_a_start_by_hand_left(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, -1)
    (tmp_path / "torch_compile_cache").mkdir()
    found = one(signs(places={"vllm": [places.look(tmp_path, True)]}))
    assert found.state is State.WARNING and "torch_compile_cache (root)" in found.evidence
    assert found.remedy == f"sudo chown -R nobody: {tmp_path}"
    tmp_path.chmod(0o1777)  # as /tmp: there it is nothing special
    assert not places.look(tmp_path, True).foreign


@as_root
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_the_doctor_tells_no_names_that_the_services_user_cannot_see(mode: int) -> None:
    """A process may name any directory as its HOME, also after its start, or make its own one a link."""
    with tempfile.TemporaryDirectory() as folder:
        above, secret, own = Path(folder), Path(folder, "root"), Path(folder, "own")
        above.chmod(0o755)
        (secret / "home").mkdir(parents=True)
        (secret / "home/key-of-nobody").touch()
        os.chown(secret / "home/key-of-nobody", NOBODY, -1)
        (secret if mode == 0o755 else secret / "home").chmod(0o700)
        (secret / "home" if mode == 0o755 else secret).chmod(mode if mode == 0o755 else 0o755)
        own.symlink_to(secret / "home")
        for path in (secret / "home", own):
            assert places.look(path, True, "nobody").foreign == ()
        (secret / "home").chmod(0o755)
        secret.chmod(0o755)
        assert places.look(own, True, "nobody").foreign == ("key-of-nobody (nobody)",)


def test_the_directories_are_those_of_the_process(tmp_path: Path) -> None:
    for name in ("home", "cache"):
        (tmp_path / name).mkdir()
    environment = {
        "HOME": f"{tmp_path}/home",
        "XDG_CACHE_HOME": f"{tmp_path}/cache",
        "TMPDIR": f"{tmp_path}/none",
    }
    code = "print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout and child.stdin
        child.stdout.readline()
        found = places.places(Service("vllm", pid=child.pid), Path("/nowhere"))
        others = places.places(Service("backend", "backend", pid=child.pid), None)
        child.stdin.close()
    assert [(place.path, place.compiled) for place in found] == [
        (f"{tmp_path}/cache", True),
        (f"{tmp_path}/home", False),
    ]
    assert [place.compiled for place in others] == [False, False]
    assert all(place.writable and not place.foreign for place in found)


@as_root
def test_what_only_the_sandbox_of_the_unit_forbids_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    """As ProtectHome=read-only beside HOME=/home/vrsoft: the disk is well, and the backend is not meant to write there."""
    home, cache = tmp_path / "home", tmp_path / "home/.cache"
    cache.mkdir(parents=True)
    (home / "of-nobody").touch()
    os.chown(home / "of-nobody", NOBODY, -1)
    sandbox = 'mount --bind "$HOME" "$HOME" && mount -o remount,bind,ro "$HOME" && echo && read -r end'
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_CACHE_HOME": str(cache)}
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", sandbox],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        try:
            assert child.stdout and child.stdout.readline()
            of_backend = places.places(Service("backend", "backend", pid=child.pid), None)
            of_vllm = places.places(Service("vllm", pid=child.pid), None)
        finally:
            child.kill()
    assert [place.path for place in of_backend] == [str(cache), str(home)]
    assert all(place.read_only and place.forbidden and not place.foreign for place in of_backend)
    assert diagnosis.findings(signs(places={"backend": of_backend})) == []
    # What vLLM compiles it must be able to write: there the sandbox is at fault, and no remount is a remedy.
    found = one(signs(places={"vllm": of_vllm}))
    assert found.state is State.CRITICAL and found.cause == "the sandbox of its unit lets it only read there"
    assert found.remedy == f"systemctl edit vllm: ReadWritePaths={cache} below [Service]; then restart it"


def test_of_one_that_is_down_where_its_manager_has_them(tmp_path: Path) -> None:
    for name in ("vllm", "cache"):
        (tmp_path / name).mkdir()
    found = places.places(Service("vllm"), tmp_path)
    assert {(place.path, place.compiled) for place in found} >= {
        (f"{tmp_path}/cache", True),
        (f"{tmp_path}/vllm", False),
    }


def test_one_directory_of_two_services_is_one_finding() -> None:
    shared = Place("/c", True, "vllm", "drwx------", read_only=True)
    assert finding(shared)[1] == one(signs(places={"vllm": [shared], "backend": [shared]})).symptom
