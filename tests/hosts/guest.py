"""One guest: a copy of the root file system with an identity, booted by systemd-nspawn."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import cgroup
from saved import BELOW

# All of it in a mount namespace, so that no mount outlives the processes. The root file system is the cached one with a layer of the
# guest's own over it, which takes no time and little room; where the layer cannot lie (in a container, whose files are layers already)
# it is copied. A file system of its own at /run/systemd/nspawn takes what systemd-nspawn leaves there, also when it is killed.
# systemd-nspawn ends with 133 when its guest reboots: with --keep-unit it leaves the second boot to whoever started it.
# Every boot gets a group of its own, for in cgroup v2 no process can enter a group that has others below it.
BOOT = """
mkdir -p /run/systemd/nspawn
mount -t tmpfs -o mode=755 test-hosts /run/systemd/nspawn
mount -t overlay -o "lowerdir=$layers,upperdir=$PWD/changes,workdir=$PWD/work" test-hosts root ||
    for layer in $(echo "$layers" | tr : "\n" | tac) changes; do cp -a --reflink=auto "$layer/." root; done
boot=0
while boot=$((boot + 1)); do
    mkdir "$group/boot-$boot"
    code=0
    (echo 0 >"$group/boot-$boot/cgroup.procs" && exec systemd-nspawn "$@") || code=$?
    [ "$code" -eq 133 ] || exit "$code"
done
"""


@dataclass(frozen=True)
class Guest:
    """A guest of a run.

    Args:
        name: its host name.
        run: the run's name, which the bridge and the control group bear too.
        address: its address on the bridge.
        layers: what lies below its own files, the topmost first; the last one is the root file system that all guests share.
        directory: where its own files and its console's log go.
    """

    name: str
    run: str
    address: IPv4Address
    layers: tuple[Path, ...]
    directory: Path

    @property
    def group(self) -> str:
        """Name of its control group."""
        return f"{self.run}/{self.name}"

    @property
    def console(self) -> Path:
        """What it printed while it booted."""
        return self.directory / "console.log"

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        """Write a file of the guest, into a directory of the root file system; it belongs to the directory's owner."""
        layer = self.directory / "changes"
        for parent in [*reversed(Path(path).parents)]:
            (layer / parent).mkdir(parents=True, exist_ok=True)
            # A directory of the layer stands for the one below it, with its owner and mode.
            below = next(each / parent for each in self.layers if (each / parent).exists())
            shutil.copystat(below, layer / parent)
            owner = below.stat().st_uid
            os.chown(layer / parent, owner, owner)
        file = layer / path
        file.touch(mode)
        file.write_text(text)
        os.chown(file, owner, owner)
        return file

    def prepare(self, hosts: str, public_key: str) -> str:
        """Give it an identity, and return the public key of its SSH server."""
        for name in "changes", "work", "root":
            (self.directory / name).mkdir(parents=True)
        (self.directory / BELOW).write_text("".join(f"{layer}\n" for layer in self.layers))
        self.write("etc/hostname", f"{self.name}\n")
        self.write("etc/machine-id", f"{uuid.uuid4().hex}\n")
        # Its own name is among them: looking that up without a name server costs Ansible's facts ten seconds.
        self.write("etc/hosts", hosts)
        self.write("etc/resolv.conf", "")
        self.write(
            "etc/systemd/network/10-host0.network",
            f"[Match]\nName=host0\n[Network]\nAddress={self.address}/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n",
        )
        for home in "root", "home/vrsoft":
            self.write(f"{home}/.ssh/authorized_keys", public_key, 0o600)
        generate(self.directory / "key")
        for suffix, mode in ("", 0o600), (".pub", 0o644):
            key = (self.directory / f"key{suffix}").read_text()
            self.write(f"etc/ssh/ssh_host_ed25519_key{suffix}", key, mode)
        return key

    def boot(self) -> subprocess.Popen[bytes]:
        """Start it; the process lasts until the guest is off, over its reboots."""
        arguments = [
            *("--quiet", f"--directory={self.directory / 'root'}", "--boot", "--console=read-only"),
            *(f"--machine={self.run}-{self.name}", f"--hostname={self.name}"),
            *("--register=no", "--keep-unit", f"--network-bridge={self.run}"),
            *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
            # Without it mlock is forbidden whatever the limit; and the default of a tenth of the RAM may not do for two GPUs.
            *("--capability=CAP_IPC_LOCK", "--tmpfs=/dev/shm:mode=1777,size=4g"),
        ]
        variables = [f"group={cgroup.path(self.group)}", f"layers={':'.join(map(str, self.layers))}"]
        loop = ["env", *variables, "unshare", "--mount", "sh", "-euc", BOOT, "sh", *arguments]
        with self.console.open("ab") as console:
            return subprocess.Popen(
                cgroup.inside(cgroup.create(f"{self.group}/loop"), loop),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                # As on a server of today, whatever the machine has; and /tmp on disk, as in Debian 12.
                env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_TMPFS_TMP": "0"},
                start_new_session=True,
                cwd=self.directory,
            )


def generate(key: Path) -> None:
    """Make an SSH key pair."""
    program = shutil.which("ssh-keygen") or "ssh-keygen"
    subprocess.run([program, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], timeout=20, check=True)
