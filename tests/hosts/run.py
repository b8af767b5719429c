"""A run: several guests on a bridge, from their boot until nothing is left of them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import cgroup
import network
import saved
from guest import Guest, generate
from waiting import HostsError, until

DIRECTORY = Path(
    os.environ.get("HOSTS_DIRECTORY") or Path(__file__).resolve().parents[2] / ".tox/hosts/run"
).resolve()
# The name of the bridge has 15 characters at most. From the directory alone, so that what a run left is found without its files.
RUN = f"vd-{hashlib.sha256(bytes(DIRECTORY)).hexdigest()[:10]}"
START_SECONDS = 300
STOP_SECONDS = 20
SSH = (
    f"-F none -o UserKnownHostsFile={DIRECTORY}/known_hosts -o GlobalKnownHostsFile=none"
    " -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
)


def ssh(guest: Guest, command: str, seconds: float = 20) -> subprocess.CompletedProcess[str]:
    """Run a command on a guest as root; ssh itself ends with 255."""
    arguments = [
        "ssh",
        *SSH.split(),
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=2",
        "-i",
        DIRECTORY / "key",
    ]
    return subprocess.run(
        [*arguments, f"root@{guest.address}", command],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def wait(guest: Guest, process: subprocess.Popen[bytes]) -> None:
    """Wait until all that a guest starts at boot is up; on failure tell what is not, and what its console shows."""
    answer = ""

    def answers() -> bool:
        nonlocal answer
        if process.poll() is not None:
            raise HostsError(f"{guest.name} went off with exit code {process.returncode}")
        done = ssh(guest, "true")
        answer = done.stderr
        return done.returncode == 0

    try:
        until(answers, START_SECONDS, f"{guest.name} answers over SSH")
        state = ssh(guest, "systemctl is-system-running --wait", START_SECONDS).stdout.strip()
        if state != "running":
            failed = ssh(guest, "systemctl --failed --no-pager --plain").stdout
            raise HostsError(f"{guest.name} is {state or 'not running'}\n{failed}")
    except (HostsError, subprocess.TimeoutExpired) as error:
        console = [line for line in guest.console.read_text(errors="replace").splitlines() if line.strip()]
        end = [f"The end of {guest.name}'s console:", *console[-30:]]
        raise HostsError("\n".join([str(error), answer.strip(), *end])) from None


def up(names: list[str], distribution: str, image: Path | None = None) -> None:
    """Boot hosts of a distribution, from a saved one or anew, and write their inventory."""
    for name in names:
        if not re.fullmatch("[a-z][a-z0-9-]{0,30}", name) or name in ("controller", "localhost"):
            raise HostsError(f"not a name for a host: {name}")
    down()
    layers = saved.layers(image, distribution)
    try:
        _boot(names, layers)
    except BaseException:
        down()
        raise


def _boot(names: list[str], layers: tuple[Path, ...]) -> None:
    DIRECTORY.mkdir(parents=True)
    subnet = network.create(RUN)
    guests = [
        Guest(name, RUN, subnet[10 + index], layers, DIRECTORY / "guests" / name)
        for index, name in enumerate(names)
    ]
    addresses = {"localhost": "127.0.0.1", "controller": subnet[1]} | {
        guest.name: guest.address for guest in guests
    }
    hosts = "".join(f"{address} {name}\n" for name, address in addresses.items())
    generate(DIRECTORY / "key")
    public_key = (DIRECTORY / "key.pub").read_text()
    running = []
    with (DIRECTORY / "known_hosts").open("w") as known_hosts:
        for guest in guests:
            started = time.monotonic()
            known_hosts.write(f"{guest.address} {guest.prepare(hosts, public_key)}")
            running.append((guest, guest.boot(), started))
    for guest, process, started in running:
        wait(guest, process)
        print(f"{guest.name} {guest.address} {time.monotonic() - started:.1f} s", flush=True)
    # JSON is YAML; Ansible chooses how to read it by its suffix.
    inventory = {
        "hosts": {guest.name: {"ansible_host": str(guest.address)} for guest in guests},
        "vars": {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(DIRECTORY / "key"),
            "ansible_ssh_common_args": SSH,
            "ansible_python_interpreter": "/usr/bin/python3",
        },
    }
    (DIRECTORY / "hosts.yml").write_text(json.dumps({"all": inventory}, indent=2) + "\n")


def save(name: str, target: Path) -> None:
    """Shut a host of this run down and keep what it changed; the host stays off."""
    group, directory = cgroup.path(f"{RUN}/{name}"), DIRECTORY / "guests" / name
    if not cgroup.members(group):
        raise HostsError(f"no host {name} runs")
    # What a host boots from is written where it boots, so that a saved one can be saved again.
    below = tuple(Path(line) for line in (directory / saved.BELOW).read_text().splitlines())
    cgroup.terminate(group, ["systemd-nspawn"])
    until(lambda: cgroup.empty(group), STOP_SECONDS, f"{name} is off")
    saved.save(directory, below, target)


def down() -> bool:
    """Shut the hosts of this run down and remove what was made for them; tell whether there was anything."""
    if DIRECTORY.exists():
        ours = {"guests", "hosts.yml", "key", "key.pub", "known_hosts"}
        if others := {path.name for path in DIRECTORY.iterdir()} - ours:
            raise HostsError(
                f"{DIRECTORY} is not a directory of test hosts: it holds {', '.join(sorted(others))}"
            )
    group = cgroup.path(RUN)
    for loop in group.glob("*/loop"):
        cgroup.terminate(loop, ["sh"])
    deadline = time.monotonic() + STOP_SECONDS
    while "systemd-nspawn" in cgroup.members(group).values():
        if time.monotonic() > deadline:
            print(f"Killing what is not off after {STOP_SECONDS} s", file=sys.stderr)
            break
        # More than once, for a guest that has just begun to boot does not hear it.
        cgroup.terminate(group, ["systemd-nspawn"])
        time.sleep(0.5)
    found = [cgroup.remove(RUN), network.remove(RUN), DIRECTORY.exists()]
    subprocess.run(["rm", "-rf", "--one-file-system", DIRECTORY], timeout=120, check=True)
    return any(found)
