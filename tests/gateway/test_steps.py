"""The steps around a restart and a reload, as units run them."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from python_checks.core import whole_file
from python_checks.core.result import State
from python_checks.gateway import admin
from python_checks.steps import gateway_reload, rotation
from tests.gateway.door import Door, until
from tests.gateway.test_keys import checks


def deployed(home: Path, state: Path) -> Path:
    """Write the row of a gateway that a deploy leaves, and return the directory of that deploy."""
    options = {"socket": str(state / "admin.sock"), "drained": str(state / "drained")}
    (home / "services").mkdir(exist_ok=True)
    row = {"name": "gateway", "manager": "systemd", "options": options}
    (home / "services/gateway.json").write_text(json.dumps(row))
    return home


def step(door: Door, turn: str, service: str = "vllm") -> CompletedProcess[str]:
    """Have a service leave or enter."""
    return checks("rotation", service, turn, home=deployed(door.home, door.state))


def reload(door: Door, seconds: int = 30) -> CompletedProcess[str]:
    """Have the gateway reload."""
    sockets = ("--socket", door.state / "admin.sock", "--master", door.state / "master.sock")
    home = deployed(door.home, door.state)
    return checks("gateway-reload", *sockets, "--deadline", str(seconds), home=home)


@pytest.fixture(autouse=True)
def ready(door: Door) -> Iterator[None]:
    yield
    step(door, "enter")
    door.engine.start()
    until(door.up, 10, "the engine is up")


def test_leave_and_enter(door: Door) -> None:
    with ThreadPoolExecutor(1) as pool:
        done = step(door, "leave")
        assert done.returncode == 0 and "wait at the gateway" in done.stdout, done.stdout + done.stderr
        waiting = pool.submit(door.chat)
        door.engine.stop()
        door.engine.start()
        time.sleep(1.5)
        assert not waiting.done()
        assert step(door, "enter").returncode == 0
        assert waiting.result().status_code == 200


def test_a_service_that_the_gateway_does_not_know(door: Door) -> None:
    assert step(door, "leave", "other").returncode == 0


def test_a_reload_cuts_no_stream(door: Door) -> None:
    with door.streaming():
        done = reload(door)
        assert done.returncode == 0, done.stdout + done.stderr
        assert door.chat().status_code == 200


def test_a_reload_waits_for_the_restart_of_what_lies_behind(door: Door) -> None:
    step(door, "leave")
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(door.chat)
        reloading = pool.submit(reload, door)
        time.sleep(2)
        assert not reloading.done()
        step(door, "enter")
        assert waiting.result().status_code == 200 and reloading.result().returncode == 0


def test_a_reload_waits_until_what_restarted_is_seen_to_be_back(door: Door) -> None:
    """Requests that are held stay with the old process, whose health checks end with the reload."""
    step(door, "leave")
    door.engine.stop()
    until(lambda: not door.healthy(), 10, "the gateway sees that the engine is gone")
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(door.chat)
        reloading = pool.submit(reload, door)
        time.sleep(2)
        door.engine.start()
        step(door, "enter")
        assert reloading.result().returncode == 0 and waiting.result().status_code == 200


def test_a_drain_that_lasts_refuses_the_reload(door: Door) -> None:
    step(door, "leave")
    done = reload(door, 1)
    assert done.returncode == 2 and "drained" in done.stdout


def test_what_is_drained_stays_so_after_a_reload_by_hand(door: Door) -> None:
    step(door, "leave")
    door.command("show info")
    door.reload_by_hand()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(door.chat)
        time.sleep(2)
        assert not waiting.done()
        step(door, "enter")
        assert waiting.result().status_code == 200


class Reload:
    """A reload in this process, with the moment in which the master is told, and another command answered late."""

    def __init__(self, door: Door, monkeypatch: pytest.MonkeyPatch, late: str = "") -> None:
        monkeypatch.setenv("CHECKS_HOME", str(deployed(door.home, door.state)))
        self.asked, self.late, self.begins = admin.ask, late, threading.Event()
        monkeypatch.setattr(admin, "ask", self.ask)
        sockets = {"socket": door.state / "admin.sock", "master": door.state / "master.sock"}
        self.options = Namespace(**sockets, deadline=30.0)

    def ask(self, path: Path, command: str) -> str:
        """Ask, and tell of it."""
        if command == (self.late or "reload") and not self.begins.is_set():
            self.begins.set()
            time.sleep(1.5 if self.late else 0)
        return self.asked(path, command)

    def run(self) -> State:
        """Return its verdict."""
        return gateway_reload.run(self.options).state


@pytest.mark.parametrize("late", ["the reload", "the leave"])
def test_a_leave_within_a_reload_is_not_lost(door: Door, monkeypatch: pytest.MonkeyPatch, late: str) -> None:
    """The service is drained once the reload has seen that none is, or its drain is kept once the new process has read which are."""
    own = Reload(door, monkeypatch, "show proc" if late == "the reload" else "")
    write = whole_file.write

    def slow(path: Path, text: str) -> None:
        time.sleep(1.5)
        write(path, text)

    if late == "the leave":
        monkeypatch.setattr(whole_file, "write", slow)
    with ThreadPoolExecutor(2) as pool:
        reloading = pool.submit(own.run)
        assert own.begins.wait(10)
        rotation.run(Namespace(service="vllm", turn="leave"))
        waiting = pool.submit(door.chat)
        assert reloading.result() is State.OK
        time.sleep(0.5)
        assert not waiting.done() and not door.up()
        rotation.run(Namespace(service="vllm", turn="enter"))
        assert waiting.result().status_code == 200


def test_a_reload_ends_once_the_old_process_takes_no_command(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take a leave that the new one does not hear of."""
    own, old = Reload(door, monkeypatch), int(door.command("show info").partition("\nPid: ")[2].split()[0])
    with ThreadPoolExecutor(1) as pool:
        reloading = pool.submit(own.run)
        assert own.begins.wait(10)
        os.kill(old, signal.SIGSTOP)
        try:
            time.sleep(2)
            assert not reloading.done()
        finally:
            os.kill(old, signal.SIGCONT)
        assert reloading.result() is State.OK


def test_a_broken_configuration_leaves_the_old_one_serving(door: Door) -> None:
    file = door.tree / "haproxy.cfg"
    good = file.read_text()
    try:
        file.write_text(good + "\nnonsense\n")
        done = reload(door)
        assert done.returncode == 2 and "old process serves on" in done.stdout
        assert door.chat().status_code == 200
    finally:
        file.write_text(good)
    assert reload(door).returncode == 0  # and a right one is taken up


def test_an_unreadable_map_leaves_the_old_one_serving(door: Door) -> None:
    door.map.rename(door.map.with_suffix(".away"))
    try:
        assert reload(door).returncode == 2 and door.chat().status_code == 200
    finally:
        door.map.with_suffix(".away").rename(door.map)
