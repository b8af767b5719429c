"""The test hosts themselves: are they like servers, and is nothing of them left afterwards?"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hosts.traces import processes, traces

PROGRAM = Path(__file__).with_name("hosts.py")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="NOT TESTED: test hosts need root, and with them all that needs a systemd host"
)


class Run:
    """A run of hosts in its own directory, seen from outside: through its inventory, SSH and /proc."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = os.environ | {"HOSTS_DIRECTORY": str(self.directory)}
        return subprocess.Popen(
            [sys.executable, PROGRAM, *arguments], env=environment, text=True, stdout=subprocess.PIPE
        )

    def hosts(self, *arguments: str) -> str:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=900)
        assert process.returncode == 0, output
        return output

    def address(self, name: str) -> str:
        inventory = json.loads((self.directory / "hosts.yml").read_text())
        return str(inventory["all"]["hosts"][name]["ansible_host"])

    def command(self, name: str, command: str, user: str = "root") -> list[str]:
        variables = json.loads((self.directory / "hosts.yml").read_text())["all"]["vars"]
        options = [*shlex.split(variables["ansible_ssh_common_args"]), "-oConnectTimeout=2"]
        key = variables["ansible_ssh_private_key_file"]
        return ["ssh", *options, "-i", key, f"{user}@{self.address(name)}", command]

    def ssh(self, name: str, command: str, user: str = "root") -> subprocess.CompletedProcess[str]:
        ssh = self.command(name, command, user)
        return subprocess.run(ssh, capture_output=True, text=True, timeout=30, check=False)

    def flood(self, name: str) -> subprocess.Popen[bytes]:
        """Open a connection on which the host always has something unsent."""
        return subprocess.Popen(self.command(name, "cat /dev/zero"), stdout=subprocess.PIPE)

    def told(self, name: str, command: str, user: str = "root") -> str:
        done = self.ssh(name, command, user)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def processes(self, program: str = "") -> list[int]:
        return processes(self.directory, program)


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def before() -> dict[str, set[str]]:
    return traces()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, before: dict[str, set[str]]) -> Iterator[Run]:
    run = Run(tmp_path_factory.mktemp("hosts") / "run")
    run.hosts("install")
    print(run.hosts("up", "alpha", "beta"))
    yield run
    run.hosts("down")


def test_each_host_is_itself(run: Run) -> None:
    for command in "cat /etc/machine-id", "hostname", "cat /etc/ssh/ssh_host_ed25519_key.pub":
        assert run.told("alpha", command) != run.told("beta", command)
    assert run.told("alpha", "systemctl is-system-running") == "running"
    # Ansible's facts ask this; with a name server that is out of reach and no line in /etc/hosts it takes ten seconds.
    assert run.told("alpha", "getent hosts alpha").startswith(f"{run.address('alpha')} ")
    code = (
        "import socket, time; before = time.monotonic(); print(socket.getfqdn(), time.monotonic() - before)"
    )
    name, seconds = run.told("alpha", f"python3 -c '{code}'").split()
    assert name == "alpha" and float(seconds) < 5
    assert run.told("alpha", "id -u; sudo id -u", user="vrsoft") == "1000\n0"


def test_ansible_uses_the_inventory(run: Run) -> None:
    program = Path(sys.executable).with_name("ansible")
    command = [program, "-i", run.directory / "hosts.yml", "all", "-m", "ansible.builtin.ping"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.count("SUCCESS") == 2, done.stdout + done.stderr


def test_hosts_reach_each_other_and_the_machine_but_no_other(run: Run) -> None:
    controller = run.told("alpha", "getent hosts controller").split()[0]
    with socket.create_server((controller, 0)) as server:
        for target, port in ("beta", 22), ("controller", server.getsockname()[1]):
            run.told("alpha", f"timeout 5 bash -c '</dev/tcp/{target}/{port}'")
    assert "unreachable" in run.ssh("alpha", "ip route get 192.0.2.1").stderr


def test_a_hardened_unit_runs_and_is_confined(run: Run) -> None:
    options = (
        "DynamicUser=yes StateDirectory=probe ProtectSystem=strict PrivateTmp=yes PrivateUsers=yes ProtectHome=yes NoNewPrivileges=yes"
        " RestrictNamespaces=yes SystemCallFilter=@system-service ProtectKernelTunables=yes LimitMEMLOCK=infinity CapabilityBoundingSet="
    )
    script = """
import ctypes, os, pathlib
assert os.getuid() >= 61184
pathlib.Path(os.environ["STATE_DIRECTORY"], "file").touch()
pathlib.Path("/tmp/private").touch()
libc = ctypes.CDLL(None, use_errno=True)
memory = ctypes.create_string_buffer(MEBIBYTES << 20)
assert libc.mlock(memory, MEBIBYTES << 20) == 0, os.strerror(ctypes.get_errno())
assert libc.unshare(0x40000000) == -1
try:
    pathlib.Path("/usr/file").touch()
except OSError as error:
    print(error.strerror)
"""
    # A machine without CAP_SYS_RESOURCE can raise no limit, and its guests cannot either; 8 MiB is the kernel's default.
    capabilities = int(Path("/proc/self/status").read_text().partition("CapEff:")[2].split()[0], 16)
    script = script.replace("MEBIBYTES", "64" if capabilities >> 24 & 1 else "4")
    properties = " ".join(f"-p {option}" for option in options.split())
    command = f"systemd-run --quiet --wait --pipe {properties} /usr/bin/python3 -c {shlex.quote(script)}"
    assert run.told("alpha", command) == "Read-only file system"
    assert run.told("alpha", "ls /var/lib/private/probe; test ! -e /tmp/private") == "file"


def test_shared_memory_is_large_and_tmp_is_on_disk(run: Run) -> None:
    assert run.told("alpha", "df --output=fstype,size -B1G /dev/shm | tail -1").split() == ["tmpfs", "4"]
    assert run.told("alpha", "stat --file-system --format %T /tmp") == run.told("alpha", "stat -f -c %T /")


def test_a_timer_fires(run: Run) -> None:
    run.told("beta", "systemd-run --on-active=1 --timer-property=AccuracySec=100ms touch /run/fired")
    until(lambda: run.ssh("beta", "test -e /run/fired").returncode == 0, 15, "the timer fires")
    assert "touch /run/fired" in run.told("beta", "journalctl --no-pager --boot")


def test_a_host_comes_back_from_reboots(run: Run) -> None:
    for _ in range(2):
        run.told("beta", "touch /run/before; echo x >>/var/lib/boots")
        run.ssh("beta", "systemctl reboot")
        until(lambda: run.ssh("beta", "test ! -e /run/before").returncode == 0, 40, "beta is back")
        assert run.told("beta", "systemctl is-system-running --wait") == "running"
    assert run.told("beta", "cat /var/lib/boots") == "x\nx"


@pytest.mark.long
def test_a_killed_start_is_cleaned_up_and_another_run_does_not_notice(run: Run) -> None:
    other = Run(run.directory.with_name("other"))
    with_run = traces() | {"namespaces": None}
    for command in ["down"], ["up", "gamma"]:
        up = other.start("up", "alpha", "gamma")
        until(lambda: other.processes("systemd-nspawn"), 60, "a guest boots")
        up.kill()
        up.wait(timeout=10)
        other.hosts(*command)
    assert other.told("gamma", "hostname") == "gamma"
    assert other.address("gamma").rpartition(".")[0] != run.address("alpha").rpartition(".")[0]
    other.hosts("down")
    # Services of a running host have namespaces of their own, which come and go.
    assert traces() | {"namespaces": None} == with_run
    assert not other.processes()
    assert run.told("alpha", "hostname") == "alpha"


@pytest.mark.long
def test_hosts_boot_from_a_saved_one_and_do_not_change_it(run: Run, tmp_path: Path) -> None:
    other, saved = Run(run.directory.with_name("other")), tmp_path / "saved"
    print(other.hosts("up", "gamma"))
    other.told(
        "gamma", "echo one >/opt/file; mkdir /opt/directory; rm /etc/debian_version; mv /etc/issue /opt/"
    )
    identity = other.told("gamma", "cat /etc/machine-id")
    other.hosts("save", "gamma", str(saved))
    print(other.hosts("up", "--from", str(saved), "gamma", "delta"))
    for name in "gamma", "delta":
        assert other.told(name, "hostname; cat /opt/file; ls /opt").split() == [
            *(name, "one", "directory", "file", "issue")
        ]
        assert other.ssh(name, "ls /etc/debian_version").returncode == 2
        assert other.told(name, "cat /etc/machine-id") != identity
    other.told("gamma", "echo two >>/opt/file; rm /opt/issue; touch /opt/more")
    assert other.told("delta", "cat /opt/file; ls /opt").split() == ["one", "directory", "file", "issue"]
    # A saved one of a saved one holds both.
    other.hosts("save", "gamma", str(tmp_path / "again"))
    other.hosts("up", "--from", str(tmp_path / "again"), "epsilon")
    assert other.told("epsilon", "cat /opt/file; ls /opt").split() == [
        "one",
        "two",
        "directory",
        "file",
        "more",
    ]
    other.hosts("down")
    assert (saved / "layer/opt/file").read_text() == "one\n"


FAKE_MMDEBSTRAP = """#!/bin/sh
for target; do case $target in *.partial) break ;; esac; done
mkdir -p "$target/proc"
mount -t proc proc "$target/proc"
touch "$target/mounted"
sleep 1000
"""


def test_an_interrupted_build_leaves_nothing_mounted(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mmdebstrap mounts file systems in the tree for minutes; this one does nothing else."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/mmdebstrap"
    program.write_text(FAKE_MMDEBSTRAP)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    up = Run(tmp_path / "run").start("up", "alpha")
    until(lambda: [*tmp_path.glob("vllm-deploy/*.partial/mounted")], 60, "the build has mounted")
    up.terminate()
    try:
        assert up.wait(timeout=60) == 128 + signal.SIGTERM
        assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
        until(lambda: not processes(tmp_path), 60, "the build has ended")
    finally:
        for mounted in tmp_path.glob("vllm-deploy/*.partial/proc"):
            subprocess.run(["umount", "--quiet", mounted], timeout=60, check=False)


def test_nothing_is_left(run: Run, before: dict[str, set[str]]) -> None:
    assert traces() != before
    # A cut connection keeps a dead guest's namespace, and its link, for minutes.
    floods = [run.flood(name) for name in ("alpha", "beta")]
    for flood in floods:
        assert flood.stdout and flood.stdout.read(1) == b"\0"
    [killed, _] = run.processes("systemd-nspawn")
    os.kill(killed, signal.SIGKILL)
    assert run.hosts("down") == "removed\n"
    for flood in floods:
        flood.kill()
        flood.communicate(timeout=10)
    assert traces() == before
    assert not run.processes()
    assert not run.directory.exists()
    assert run.hosts("down") == "nothing to remove\n"
