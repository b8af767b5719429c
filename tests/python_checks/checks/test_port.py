"""Real sockets: a port that is free, bound, listened on, by ours and by others."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from python_checks.checks.port import Holders, free, holders, judge, overlaps
from python_checks.core.result import CheckError, State
from python_checks.host import processes
from tests.python_checks.support import Probe

CHILD = """
import socket, sys, time
address, port, what = sys.argv[1:]
own = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
own.bind((address, int(port)))
if what == "listen":
    own.listen()
print("ready", flush=True)
time.sleep(60)
"""
Start = Callable[..., int]


@pytest.fixture
def holder() -> Iterator[Start]:
    """Start processes, each in a session of its own, that hold a port until the test ends."""
    children = []

    def start(address: str, port: int, what: str = "listen") -> int:
        command = [sys.executable, "-c", CHILD, address, str(port), what]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        children.append(child)
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        return child.pid

    yield start
    for child in children:
        child.kill()
        child.communicate()


def test_free_port(probe: Probe, free_port: int) -> None:
    done = probe("port", "--port", str(free_port))
    assert (done.returncode, done.stdout.split(" | ")[0]) == (0, f"port OK: 127.0.0.1:{free_port} is free")


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_listener_is_named_whatever_its_address(
    probe: Probe, holder: Start, free_port: int, address: str
) -> None:
    if ":" in address and not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("this machine has no IPv6")
    pid = holder(address, free_port)
    done = probe("port", "--port", str(free_port))
    assert done.returncode == 2
    assert f"is held by pid {pid} (user " in done.stdout and sys.executable in done.stdout
    assert "remedy: stop it, or give the server another port" in done.stdout


def test_another_address_does_not_matter(holder: Start, free_port: int) -> None:
    holder("127.0.0.2", free_port)
    assert free("127.0.0.1", free_port)
    assert not free("0.0.0.0", free_port)


def test_our_own_server_and_its_children_may_hold_it(probe: Probe, free_port: int) -> None:
    child = [sys.executable, "-c", CHILD, "127.0.0.1", str(free_port), "listen"]
    code = f"import subprocess; subprocess.run({child!r}, start_new_session=True)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None and parent.stdout.readline() == b"ready\n"
        held = holders("127.0.0.1", free_port).pids
        try:
            own = probe("port", "--port", str(free_port), "--pid", str(parent.pid))
            stranger = probe("port", "--port", str(free_port), "--pid", "1")
        finally:
            for pid in [*held, parent.pid]:
                os.kill(pid, 9)
    assert parent.pid not in held and len(held) == 1
    assert (own.returncode, f"our own server (pid {parent.pid})" in own.stdout) == (0, True)
    if not processes.belongs(held[0], 1):
        assert stranger.returncode == 2


def test_a_server_that_is_bound_but_still_loads_is_seen(probe: Probe, holder: Start, free_port: int) -> None:
    pid = holder("127.0.0.1", free_port, "bind only")
    foreign = probe("port", "--port", str(free_port))
    assert foreign.returncode == 2
    assert "does not listen yet" in foreign.stdout and f"pid {pid} " in foreign.stdout
    assert probe("port", "--port", str(free_port), "--pid", str(pid)).returncode == 0


def test_closing_connections_do_not_hold_it(free_port: int) -> None:
    place = ("127.0.0.1", free_port)
    with socket.create_server(place) as listener, socket.create_connection(place) as client:
        accepted, _ = listener.accept()
        accepted.close()  # the server's side closes first and stays in TIME_WAIT
        client.recv(1)
    with socket.socket() as trial, pytest.raises(OSError, match="in use"):
        trial.bind(("127.0.0.1", free_port))
    assert free("127.0.0.1", free_port)


def test_an_address_of_another_host_is_refused() -> None:
    with pytest.raises(CheckError, match=r"this host has no address 192\.0\.2\.77"):
        free("192.0.2.77", 8000)
    with pytest.raises(CheckError, match="is no address"):
        free("no such host", 8000)


def test_a_hidden_holder_is_said_to_be_hidden() -> None:
    result = judge("127.0.0.1", 80, [], Holders([], hidden=True))
    assert result.state is State.CRITICAL
    assert "may not look into" in result.reason and "sudo ss -ltnp" in result.remedy
    assert "no process that can be seen" in judge("127.0.0.1", 80, [], Holders([])).reason


def test_a_holder_that_ended_meanwhile_belongs_to_nobody() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert not processes.belongs(child.pid, os.getpid())
    assert processes.describe(child.pid) == f"pid {child.pid} (just ended)"


@pytest.mark.parametrize(
    ("host", "address", "wanted"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("127.0.0.1", "::", True),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("0.0.0.0", "10.1.2.3", True),
        ("127.0.0.1", "10.1.2.3", False),
        ("localhost", "127.0.0.1", True),
    ],
)
def test_overlaps(host: str, address: str, wanted: bool) -> None:
    assert overlaps(host, address) is wanted
