"""One deploy at a time: the second is refused with holder and age; the lock goes with its run, whatever the end of that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from loading import load
from playbooks import REPOSITORY, Playbook, run_playbook

from python_checks.service import marks

module = load("modules/deploy_lock")
action = load("action/deploy_lock")
PATIENCE = 120.0  # seconds; a busy machine starts a playbook in thirty


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_of_many_at_once_one_has_it(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def take(number: int) -> bool:
        together.wait()
        return bool(module.take(tmp_path / "lock", {"pid": number}, None))

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(8)))
    assert taken.count(True) == 1
    assert module.holder(tmp_path / "lock") == {"pid": taken.index(True)}
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_only_the_named_holder_is_replaced_and_only_ones_own_is_released(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert module.take(lock, {"pid": 1}, None)
    assert module.take(lock, {"pid": 1}, None), "it is ours already"
    assert not module.take(lock, {"pid": 2}, {"pid": 3})
    assert module.take(lock, {"pid": 2}, {"pid": 1})
    module.release(lock, {"pid": 1})
    assert module.holder(lock) == {"pid": 2}
    module.release(lock, {"pid": 2})
    assert not lock.exists()
    module.release(tmp_path / "gone/lock", {"pid": 2})
    assert not (tmp_path / "gone").exists(), "an uninstall removed it"


def test_no_name_that_can_be_foreseen_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    for name in (f".lock.{os.getpid()}", ".lock", ".lock.new", "lock.new"):
        (tmp_path / name).symlink_to(tmp_path / "secret")
    assert module.take(tmp_path / "lock", {"pid": 1}, None)
    assert (tmp_path / "secret").read_text() == "secret" and not (tmp_path / "lock").is_symlink()


def test_the_canary_may_read_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        module.take(tmp_path / "lock", {"pid": 1}, None)
    finally:
        os.umask(before)
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("age", [-3600.0, -170.0, 0.0, 170.0, 190.0, 3600.0])
def test_a_lock_is_void_without_a_sign_of_life(tmp_path: Path, age: float) -> None:
    """The canary and the next deploy judge alike."""
    lock = tmp_path / "lock"
    module.take(lock, {"user": "kim", "host": "desk"}, None)
    os.utime(lock, (time.time() - age,) * 2)
    assert bool(module.void(lock)) is (abs(age) > 180)
    assert marks.deploy(lock).gone is (abs(age) > 180)
    assert marks.LEASE == module.LEASE


def test_a_lock_is_void_after_a_boot_of_the_host(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    module.take(lock, {"user": "kim", "host": "desk"}, None)
    assert json.loads(lock.read_text())["here"] == module.life() == marks.life() != ""
    assert not module.void(lock) and not marks.deploy(lock).gone
    lock.write_text(json.dumps(json.loads(lock.read_text()) | {"here": "another boot/1"}))
    assert module.void(lock) == "this host was booted since"
    assert (
        marks.deploy(lock).gone
        and "kim@desk began it just now, this host was booted" in marks.deploy(lock).who
    )


@pytest.mark.parametrize("text", ["", "{broken", "[]", '"kim"', "7"])
def test_a_lock_that_says_nothing_is_still_one(tmp_path: Path, text: str) -> None:
    lock = tmp_path / "lock"
    lock.write_text(text)
    assert not module.take(lock, {"pid": 1}, None) and not module.void(lock)
    assert marks.deploy(lock) == (f"somebody deploys, for 0 s ({lock})", False)
    assert module.take(lock, {"pid": 1}, {})


def test_a_holder_is_gone_when_its_process_is() -> None:
    child = subprocess.Popen(["sleep", "60"])
    holder = {"pid": child.pid, "started": action.started(child.pid), "boot": action.boot()}
    assert not action.is_gone(holder)
    assert action.is_gone(holder | {"started": "1"})
    assert not action.is_gone(holder | {"boot": "another machine"})
    child.kill()
    child.wait()
    assert action.is_gone(holder)


def refusal(other: dict[str, Any], void: str = "", break_it: bool = False) -> str:
    """Return why the lock of another run is not taken over."""
    mine = {"run": "ours", "name": "alpha"}
    reply = {"holder": {"user": "kim", "host": "desk", "pid": 7} | other, "age": 300.0, "void": void}
    arguments = {"path": "/lock", "break_it": break_it}
    return str(action.ActionModule._refused(None, arguments, "alpha", mine, reply))


def test_whose_lock_may_be_taken_over() -> None:
    here = {
        "pid": os.getpid(),
        "started": action.started(os.getpid()),
        "boot": action.boot(),
        "run": "theirs",
    }
    silent, booted = "it gave no sign of life for 200 s", "this host was booted since"
    assert "kim@desk (process 7), since 5 min" in refusal({"run": "theirs", "boot": "elsewhere"})
    assert not refusal({"run": "theirs", "boot": "elsewhere"}, silent)
    assert not refusal({"run": "theirs", "boot": "elsewhere"}, break_it=True)
    assert refusal(here, silent), "a run that lives is never broken by time"
    assert not refusal(here, booted)
    assert not refusal(here | {"started": "1"})


@pytest.mark.parametrize("break_it", [False, True])
def test_two_names_of_one_host_are_refused_with_both(break_it: bool) -> None:
    for void in ("", "this host was booted since"):
        words = refusal({"run": "ours", "name": "beta"}, void, break_it)
        assert words.startswith("beta and alpha are two names of one host in the inventory")


def test_a_run_with_two_names_of_one_host_is_refused(tmp_path: Path) -> None:
    host = {"host_directory": str(tmp_path / "h"), "test_end": "is well", "ansible_connection": "local"}
    host |= {"ansible_python_interpreter": sys.executable}
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(json.dumps({"all": {"vars": host, "hosts": {"alpha": {}, "beta": {}}}}))
    (tmp_path / "h").mkdir()
    (tmp_path / "h/go-on").touch()  # the first of them ends at once
    run = run_playbook("tests/ansible/lock.yml", tmp_path / "h", inventory=str(inventory))
    assert run.returncode != 0 and " are two names of one host in the inventory" in " ".join(
        run.stdout.split()
    ), run.stdout


class Held:
    """A run of lock.yml whose hosts, by name, end in some way; each has its own directory."""

    def __init__(self, folder: Path, process: subprocess.Popen[str], hosts: list[str]) -> None:
        self.folder, self.process, self.hosts = folder, process, hosts
        self.locks = [folder / host / "deploy.lock" for host in hosts]

    def go_on(self) -> str:
        """Let it end, and return what it said."""
        for host in self.hosts:
            (self.folder / host / "go-on").touch()
        return " ".join(self.process.communicate(timeout=PATIENCE)[0].split())


@contextmanager
def holding(folder: Path, **ends: str) -> Iterator[Held]:
    """Start lock.yml and wait until every host has its lock."""
    hosts = {
        name: {
            "host_directory": str(folder / name),
            "test_end": end,
            "ansible_remote_tmp": str(folder / "tmp"),
        }
        for name, end in ends.items()
    }
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    inventory = folder / "hosts.yml"
    inventory.write_text(json.dumps({"all": {"vars": variables, "hosts": hosts}}))
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, "tests/ansible/lock.yml"]
    environment = os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(folder / "ansible")}
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        run = Held(folder, process, list(ends))
        until(lambda: all((folder / name / "held").exists() for name in ends), "it holds its locks")
        yield run
    finally:
        process.kill()
        process.communicate()


def keepers(folder: Path) -> list[str]:
    """Return the processes of a run, which all have its directory in their environment."""
    mark = f"ANSIBLE_HOME={folder / 'ansible'}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(process.name)
        except OSError:
            continue
    return found


def test_every_end_of_a_host_gives_its_lock_back(tmp_path: Path) -> None:
    with holding(tmp_path, well="is well", bad="fails", cut="is cut off") as run:
        assert all(
            module.holder(lock)["name"] == name for lock, name in zip(run.locks, run.hosts, strict=True)
        )
        words = run.go_on()
    assert run.process.returncode == 4, words
    assert not any(lock.exists() for lock in run.locks), words
    assert "cut could not be reached any more in the middle of a deploy." in words and "deploy again" in words
    assert "well could not" not in words and "given back" not in words
    assert not keepers(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_gives_its_lock_back_and_ends_its_command(tmp_path: Path, number: int) -> None:
    with holding(tmp_path, well="runs on") as run:
        (tmp_path / "well/go-on").touch()
        until(lambda: list((tmp_path / "tmp").glob("progress-*.alive")), "the command runs")
        another = tmp_path / "tmp/progress-ansible-local-1-another-run.alive"
        another.touch()
        run.process.send_signal(number)
        until(lambda: not run.locks[0].exists(), "the lock is given back")
        until(lambda: list((tmp_path / "tmp").glob("progress-*")) == [another], "its command alone was ended")
        until(lambda: not keepers(tmp_path), "nothing of it runs")


def test_a_run_renews_its_lock_and_ends_when_another_one_has_it(tmp_path: Path) -> None:
    with holding(tmp_path, well="is well") as run:
        [lock] = run.locks
        os.utime(lock, (time.time() - 170,) * 2)
        until(lambda: time.time() - lock.stat().st_mtime < 100, "a sign of life")
        other = {"user": "kim", "host": "desk", "pid": 7, "run": "theirs"}
        lock.write_text(json.dumps(other))
        words = " ".join(run.process.communicate(timeout=PATIENCE)[0].split())
        assert run.process.returncode not in (0, 2), words
        assert (
            "another run has taken over the deploy lock of well, so this one ended" in words
            and "kim" in words
        )
        assert module.holder(lock) == other


@pytest.mark.slow
def test_a_second_deploy_is_refused_and_a_dead_ones_lock_taken_over(
    playbook: Playbook, tmp_path: Path
) -> None:
    lock = tmp_path / "demo/deploy.lock"
    lock.parent.mkdir(parents=True)
    living = {"user": "kim", "host": "desk", "pid": os.getpid(), "boot": action.boot(), "run": "theirs"}
    living |= {"started": action.started(os.getpid()), "since": time.time() - 300}
    lock.write_text(json.dumps(living))
    for dry in ([], ["--check"]):  # a dry run fails where the deploy would
        run = playbook("deploy.yml", "-e", "vllm_port=1", *dry)
        said = " ".join(run.stdout.split())
        assert run.returncode != 0
        assert f"Another deploy works on demo: kim@desk (process {os.getpid()}), since 5 min" in said
        assert json.loads(lock.read_text()) == living
    lock.write_text(json.dumps(living | {"started": "1"}))
    run = playbook("deploy.yml", "-e", f"host_directory={tmp_path}/demo", "-e", "vllm_disk_gib=x")
    assert run.returncode != 0 and "vllm_disk_gib" in run.stdout
    assert json.loads(lock.read_text()) == living | {"started": "1"}, "wrong variables are refused before"
    run = playbook("ansible/check.yml", "--check")
    assert "taken over from kim@desk" in " ".join(run.stdout.split()), run.stdout
    assert json.loads(lock.read_text()) == living | {"started": "1"}, "a dry run takes nothing"
