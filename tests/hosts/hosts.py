#!/usr/bin/env python3
"""Test hosts: throw-away hosts with a real systemd and sshd, each with its own address, without a container engine.

    python tests/hosts/hosts.py up [--distribution D] [--from SAVED] NAME…
                                                          boot hosts; before that, remove what an earlier run left
    python tests/hosts/hosts.py save NAME SAVED           shut a host down and keep its files in a directory to boot others from
    python tests/hosts/hosts.py down                      shut all down and remove all that was made; also right after a crash
    python tests/hosts/hosts.py install                   install the missing Debian packages of INSTALL below

Needs root, Debian, and cgroup v2 (also beside v1). A run lives in one directory, .tox/hosts/run or $HOSTS_DIRECTORY; two directories
are two runs, which do not meet. In it: ``hosts.yml``, an Ansible inventory; ``key`` and ``known_hosts`` for ``root`` and ``vrsoft`` (with
sudo); ``guests/NAME/console.log``. Hosts reach each other and the machine as ``controller``, and nothing else: there is no route out.
A host may be rebooted from inside. Killing this program leaves the hosts running; the next ``up`` or ``down`` finds them.
D is debian-12 (the default), debian-13 or ubuntu-24.04. Its root file system is built once, in ~/.cache/vllm-deploy or below
$XDG_CACHE_HOME; what a host changes is a layer over it. A saved one is such a layer and belongs to no run: nothing removes it.
Where the machine's firewall drops forwarded packets (Docker's does) and bridges obey it (br_netfilter), hosts do not reach each other.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import run
from distributions import DEFAULT, DISTRIBUTIONS
from waiting import HostsError

INSTALL = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "gpg": "gpg",  # for a root file system of Ubuntu
    "ip": "iproute2",
    "ssh": "openssh-client",
}


def missing() -> list[str]:
    """Return the Debian packages that have to be installed."""
    return [package for program, package in INSTALL.items() if not shutil.which(program)]


def install() -> None:
    """Install the missing packages."""
    if packages := missing():
        if os.geteuid():
            raise HostsError(f"install as root: apt-get install {' '.join(packages)}")
        for command in (
            ["update"],
            ["install", "--yes", "--no-install-recommends", *packages],
        ):
            done = subprocess.run(
                ["apt-get", "--quiet=2", *command],
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                timeout=600,
                check=False,
            )
            if done.returncode:
                raise HostsError(f"apt-get {command[0]} failed")


def main() -> int:
    """Run a subcommand."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up")
    up.add_argument("--distribution", choices=DISTRIBUTIONS, default=DEFAULT)
    up.add_argument("--from", dest="saved", type=Path, metavar="SAVED")
    up.add_argument("names", nargs="+", metavar="NAME")
    save = commands.add_parser("save")
    save.add_argument("name", metavar="NAME")
    save.add_argument("saved", type=Path, metavar="SAVED")
    commands.add_parser("down")
    commands.add_parser("install")
    arguments = parser.parse_args()
    # An interrupt is an exception, which removes what was made; so is the end that tox, a CI or a terminal ask for.
    for number in signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        match arguments.command:
            case "up":
                if os.geteuid():
                    raise HostsError("root is needed")
                if missing():
                    raise HostsError(f"install first: {sys.executable} {__file__} install")
                saved = arguments.saved and arguments.saved.resolve()
                run.up(list(dict.fromkeys(arguments.names)), arguments.distribution, saved)
            case "save":
                run.save(arguments.name, arguments.saved.resolve())
            case "down":
                print("removed" if run.down() else "nothing to remove")
            case "install":
                install()
    except (HostsError, subprocess.SubprocessError) as error:
        print(f"hosts.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
