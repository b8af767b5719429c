"""The program template and the reaper, under a real supervisord."""

from __future__ import annotations

import json
import mmap
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from playbooks import REPOSITORY

SERVICE = """
import glob, json, mmap, multiprocessing, os, signal, subprocess, sys
def map_others(number, frame):
    kept.extend(mmap.mmap(os.open(path, os.O_RDWR), 4096) for path in glob.glob(f"/dev/shm/other-{sys.argv[1]}-*"))
kept = []
signal.signal(signal.SIGUSR1, map_others)
lock = multiprocessing.get_context("spawn").Lock()  # a semaphore in /dev/shm, as vLLM has them
path = f"/dev/shm/{sys.argv[1]}-{os.getpid()}"  # a name of its own at each start, as vLLM's
file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
os.ftruncate(file, 4096)
memory = mmap.mmap(file, 4096)
code = "import mmap, os, sys, time; m = mmap.mmap(os.open(sys.argv[1], os.O_RDWR), 4096); print(flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE)
child.stdout.readline()
semaphore = "/dev/shm/sem." + lock._semlock.name.strip("/")
state = {"pid": os.getpid(), "child": child.pid, "semaphore": semaphore, "argv": sys.argv[1:], "value": os.environ["VALUE"]}
open(sys.argv[2] + ".new", "w").write(json.dumps(state))
os.rename(sys.argv[2] + ".new", sys.argv[2])
child.wait()
"""
HOSTILE = [
    "two words",
    "50%",
    "%(x)s",
    '{"json": "x y"}',
    "$HOME",
    "it's",
    "한국어",
    "back\\slash",
    "semi;colon",
    "#",
]


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the deadline passed"
        time.sleep(0.1)


def alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Supervised:
    """A supervisord of its own, with one service that has a child and shared memory."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.shared = directory, f"test-reaper-{os.getpid()}-{time.monotonic_ns()}"
        self.state_file, self.children = directory / "state.json", list[int]()
        (directory / "conf.d").mkdir()
        (directory / "service.py").write_text(SERVICE)
        (directory / "reap.py").write_bytes((REPOSITORY / "roles/service/files/reap.py").read_bytes())
        self.render("supervisord.conf.j2", directory / "supervisord.conf")
        self.render("program.ini.j2", directory / "conf.d/service.ini")
        self.process = subprocess.Popen(
            [self.program("supervisord"), "-n", "-c", directory / "supervisord.conf"],
            stdout=subprocess.DEVNULL,
        )

    @staticmethod
    def program(name: str) -> str:
        """Return a program of this environment."""
        return str(Path(sys.executable).with_name(name))

    def render(self, template: str, target: Path) -> None:
        """Render one of our templates as Ansible would."""
        variables = {
            "ansible_managed": "test",
            "__service_venv": sys.prefix,
            "__service_log_megabytes": 1,
            "__service_log_files": 1,
            "service_name": "service",
            "service_directory": str(self.directory),
            "service_command": [
                sys.executable,
                str(self.directory / "service.py"),
                self.shared,
                str(self.state_file),
                *HOSTILE,
            ],
            "service_environment": {"VALUE": 'a "quoted", 100% %(x)s it 값', "OTHER": "1"},
            "__service_base_environment": {"HOME": str(self.directory)},
            "__service_mark": "",
            "service_tree": "",
            "__service_launcher": [],
            "service_log_file": str(self.directory / "service.log"),
            "service_stop_seconds": 5,
        }
        text = (REPOSITORY / "templates/supervisor" / template).read_text()
        target.write_text(Templar(DataLoader(), variables=variables).template(trust_as_template(text)))

    def state(self) -> dict[str, object]:
        """Return what the service wrote once it was up, and forget it."""
        until(lambda: self.state_file.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, "supervisord ended"
        state: dict[str, object] = json.loads(self.state_file.read_text())
        self.state_file.unlink()
        self.children.append(int(str(state["child"])))
        return state

    def wait_for_reaper(self) -> None:
        """Wait until the reaper has looked at all that is there now: it wakes, looks, and sleeps again."""
        first = self.sleep_of_reaper()
        until(lambda: self.sleep_of_reaper() != first, 120)

    def sleep_of_reaper(self) -> str:
        """Wait until it has slept for a second, of the two between its looks; return the number of the sleep."""
        seen = [""] * 11  # a tenth of a second apart

        def asleep() -> bool:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            reaper = [pid for pid in children if b"reap.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
            status = Path(f"/proc/{reaper[0]}/status").read_text() if reaper else ""
            sleep = re.search(r"State:\tS(?s:.*)\nvoluntary_ctxt_switches:\t(\d+)", status)
            seen.append(sleep[1] if sleep else "")
            return seen[-1] != "" and len(set(seen[-11:])) == 1

        until(asleep, 120)
        return seen[-1]

    def shared_files(self) -> list[Path]:
        """Return the files of the service in /dev/shm."""
        return list(Path("/dev/shm").glob(f"{self.shared}-*"))

    def stop(self) -> None:
        """End it as an operator does."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=60)

    def end(self) -> None:
        """End it all, also what the reaper has not seen yet."""
        self.stop()
        for child in self.children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for file in self.shared_files():
            file.unlink()


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    """Run a service under a supervisord and end it."""
    service = Supervised(tmp_path)
    yield service
    service.end()


def test_arguments_and_environment_arrive_unharmed(supervised: Supervised) -> None:
    state = supervised.state()
    assert state["argv"][2:] == HOSTILE  # type: ignore[index]  # a list from JSON
    assert state["value"] == 'a "quoted", 100% %(x)s it 값'


def test_killed_parent_leaves_nothing_beside_the_new_one(supervised: Supervised) -> None:
    first = supervised.state()
    supervised.wait_for_reaper()
    os.kill(int(str(first["pid"])), signal.SIGKILL)
    second = supervised.state()
    assert second["pid"] != first["pid"]
    until(lambda: not alive(int(str(first["child"]))))
    own = f"{supervised.shared}-{second['pid']}"
    until(lambda: [file.name for file in supervised.shared_files()] == [own])
    assert alive(int(str(second["child"])))


def test_stop_leaves_no_shared_memory(supervised: Supervised) -> None:
    state = supervised.state()
    assert supervised.shared_files()
    supervised.wait_for_reaper()
    supervised.stop()
    assert not alive(int(str(state["child"])))
    assert not supervised.shared_files()


def test_what_others_made_or_map_stays(supervised: Supervised) -> None:
    """A program that shares memory with the service, such as a client of it, keeps it when the service ends."""
    first = supervised.state()
    files = [Path(f"/dev/shm/other-{supervised.shared}-{name}") for name in ("before", "mapped")]
    try:
        files[0].write_bytes(bytes(4096))
        time.sleep(2.5)  # its time is compared with a start, of which whole seconds are told
        os.kill(int(str(first["pid"])), signal.SIGKILL)
        pid = int(str(supervised.state()["pid"]))
        files[1].write_bytes(bytes(4096))
        with files[1].open("r+b") as file, mmap.mmap(file.fileno(), 4096):
            os.kill(pid, signal.SIGUSR1)
            maps = Path(f"/proc/{pid}/maps")
            until(lambda: all(file.name in maps.read_text() for file in files))
            supervised.wait_for_reaper()
            supervised.stop()
            assert all(file.exists() for file in files) and not supervised.shared_files()
    finally:
        for path in files:
            path.unlink(missing_ok=True)


def test_killed_supervisord_takes_its_services_along(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path)
    state = supervised.state()
    semaphore = Path(str(state["semaphore"]))
    assert semaphore.exists()
    supervised.wait_for_reaper()
    supervised.process.kill()
    supervised.process.wait(timeout=10)
    until(lambda: not alive(int(str(state["pid"]))) and not alive(int(str(state["child"]))))
    until(lambda: not supervised.shared_files())
    until(lambda: not semaphore.exists())
