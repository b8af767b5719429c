"""The root file system of the guests: Debian from this machine's own package sources, built once and cached.

It lies in the user's cache and not below ``.tox``: clones share it, and ``git clean`` or a tool that walks a clone meets no files of root.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from waiting import HostsError, locked

RELEASE = "bookworm"
# A server as operators have it (logs are rotated), and what vLLM needs there at run time: a compiler, Python's headers, libnuma.
PACKAGES = (
    "ca-certificates dbus g++ iproute2 libnuma1 libpam-systemd logrotate openssh-server procps python3 python3-dev python3-venv"
    # Without the last one the package usrmerge comes, and perl with it.
    " sudo systemd systemd-sysv usr-is-merged"
)
EXCLUDED = (
    *(f"/usr/share/{name}/*" for name in ("doc", "i18n", "info", "lintian", "locale", "man")),
    # A third of the size: for link-time optimization, sanitizers and embedding Python, which nothing here does.
    *("/usr/bin/*lto-dump*", "/usr/lib/gcc/*/*/lto1", "*/libpython3*.a", "*/lib?san*"),
)
CUSTOMIZE = """
useradd --create-home --uid 1000 --shell /bin/bash vrsoft
echo 'vrsoft ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/vrsoft
install --directory --mode 700 --owner vrsoft --group vrsoft /home/vrsoft/.ssh
install --directory --mode 700 /root/.ssh
echo LANG=C.UTF-8 >/etc/default/locale
systemctl --quiet enable systemd-networkd
systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer
rm -f /etc/ssh/ssh_host_* /etc/apt/apt.conf.d/99mmdebstrap
"""
BUILD_SECONDS = 900


def _apt(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()


def sources() -> str:
    """Return this machine's own package sources for the release, as a sources.list."""
    lines = _apt(
        *("apt-get", "indextargets", "--no-release-info"),
        *("--format", "deb $(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"),
    )
    # Packages of others have suites of their own, or components.
    ours = {line for line in lines if re.search(rf" {RELEASE}(-updates|-security)? main$", line)}
    if not ours:
        raise HostsError(f"apt has no package source of Debian {RELEASE} on this machine")
    return "".join(f"{line}\n" for line in sorted(ours))


def apt_options() -> str:
    """Return how this machine's apt fetches (proxy, certificates, dates), which mmdebstrap does not read by itself."""
    return "".join(
        f"{line}\n"
        for line in _apt("apt-config", "dump")
        if line.startswith("Acquire::") and not line.startswith("Acquire::IndexTargets")
    )


def cached() -> Path:
    """Return the root file system, built first if it is not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vllm-deploy"
    cache.mkdir(parents=True, exist_ok=True)
    recipe = json.dumps([RELEASE, PACKAGES, EXCLUDED, CUSTOMIZE]).encode()
    root = cache / f"root-{hashlib.sha256(recipe).hexdigest()[:12]}"
    with locked(cache, BUILD_SECONDS, "the root file system") as lock:
        if not root.exists():
            started = time.monotonic()
            print(f"Building {root} (once, a minute or two)", flush=True)
            # Only a killed build leaves one, and it can be nobody's: its mmdebstrap would hold the lock.
            for partial in cache.glob("*.partial"):
                subprocess.run(["rm", "-rf", "--one-file-system", partial], timeout=120, check=True)
            _build(root.with_name(f"{root.name}.partial"), lock)
            root.with_name(f"{root.name}.partial").rename(root)
            print(f"Built in {time.monotonic() - started:.0f} s")
    return root


def _build(target: Path, lock: int) -> None:
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile("w+") as log:
        options = Path(directory) / "apt.conf"
        options.write_text(apt_options())
        customize = Path(directory) / "customize"
        customize.write_text(CUSTOMIZE)
        command = [
            # Mounts of its own, for one that is killed does not unmount what it has mounted in the tree.
            *("unshare", "--mount"),
            *("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", f"--aptopt={options}"),
            *("--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", "--dpkgopt=force-unsafe-io"),
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
            f"--include={','.join(PACKAGES.split())}",
            f'--customize-hook=chroot "$1" sh -eu <{customize}',
            *(RELEASE, str(target), "-"),
        ]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
            pass_fds=[lock],
            start_new_session=True,
        )
        try:
            process.communicate(sources(), timeout=BUILD_SECONDS)
        finally:
            # A session of its own, so that an interrupt ends apt and dpkg too.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode:
            log.seek(0)
            raise HostsError("".join(["mmdebstrap failed:\n", *log.readlines()[-25:]]))
