"""The root file systems of the guests, one a distribution, from the distribution's archive, each built once and cached.

They lie in the user's cache and not below ``.tox``: clones share them, and neither ``git clean`` nor a tool that walks a clone meets
files of root.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from distributions import DISTRIBUTIONS, VENDORS, Distribution
from waiting import HostsError, locked

# A server as operators have it (logs are rotated), and what vLLM needs there at run time: a compiler, Python's headers, libnuma.
PACKAGES = (
    "ca-certificates dbus g++ iproute2 libnuma1 libpam-systemd logrotate openssh-server procps python3 python3-dev python3-venv"
    " sudo systemd systemd-sysv"
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
BUILD_SECONDS = 1800  # on a busy machine one took 800
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
UBUNTU_KEYRING = Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg")
# "Ubuntu Archive Automatic Signing Key (2018)", which signs the suites of 24.04.
UBUNTU_KEY = "F6ECB3762474EDA9D21B7022871920D1991BC93C"


def _apt(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()


def sources(distribution: Distribution) -> str:
    """Return a sources.list of the distribution: this machine's own sources for that release.

    Empty where the machine is of another vendor; mmdebstrap then takes the vendor's default archive.
    """
    own = platform.freedesktop_os_release()
    if own["ID"] != distribution.vendor:
        return ""
    lines = _apt(
        *("apt-get", "indextargets", "--no-release-info"),
        *("--format", "deb $(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"),
    )
    # Packages of others have suites of their own, or components.
    components = "|".join(VENDORS[distribution.vendor].components)
    pattern = re.compile(rf" {own['VERSION_CODENAME']}(-updates|-security)? ({components})$")
    ours = {pattern.sub(rf" {distribution.release}\1 \2", line) for line in lines if pattern.search(line)}
    if not ours:
        raise HostsError(f"apt has no package source of {own['PRETTY_NAME']} on this machine")
    return "".join(f"{line}\n" for line in sorted(ours))


def keyring(distribution: Distribution, directory: Path) -> Path:
    """Return what the distribution's archive is checked with; on Debian, Ubuntu's key is fetched from Debian's archive into ``directory``.

    Raises:
        HostsError: the keyring does not hold the key that is expected.
    """
    if distribution.vendor == "debian":
        return DEBIAN_KEYRING
    found = UBUNTU_KEYRING
    if not found.exists():
        listed = directory / "sources.list"
        newest = DISTRIBUTIONS["debian-13"]  # Debian 12 does not have the package
        listed.write_text(sources(newest).replace("deb ", f"deb [signed-by={DEBIAN_KEYRING}] "))
        own = {
            "Dir::Etc::SourceList": listed,
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null",
        }
        own |= {"Dir::Etc::PreferencesParts": "/dev/null", "Dir::State": directory, "Dir::Cache": directory}
        options = [
            f"--option={name}={value}" for name, value in (own | {"APT::Sandbox::User": "root"}).items()
        ]
        (directory / "lists/partial").mkdir(parents=True)
        for command in ["update"], ["download", "ubuntu-keyring"]:
            _run(["apt-get", "--quiet=2", *options, *command], directory)
        [package] = directory.glob("ubuntu-keyring_*.deb")
        _run(["dpkg-deb", "--extract", str(package), str(directory)], directory)
        found = directory / UBUNTU_KEYRING.relative_to("/")
    key = directory / "ubuntu.gpg"
    gpg = ["gpg", "--homedir", str(directory), "--quiet", "--no-default-keyring", "--keyring", str(found)]
    _run([*gpg, "--output", str(key), "--export", UBUNTU_KEY], directory)
    if not key.exists():  # gpg ends with 0 when it finds nothing to export
        raise HostsError(f"{found} has no key {UBUNTU_KEY}")
    return key


def _run(command: list[str], directory: Path) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise HostsError(f"{command[0]} failed: {done.stderr[-1000:]}")


def apt_options() -> str:
    """Return how this machine's apt fetches (proxy, certificates, dates), which mmdebstrap does not read by itself."""
    return "".join(
        f"{line}\n"
        for line in _apt("apt-config", "dump")
        if line.startswith("Acquire::") and not line.startswith("Acquire::IndexTargets")
    )


def cached(name: str) -> Path:
    """Return the root file system of a distribution, built first if it is not there yet."""
    distribution = DISTRIBUTIONS[name]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vllm-deploy"
    cache.mkdir(parents=True, exist_ok=True)
    recipe = json.dumps(
        [distribution.release, PACKAGES + VENDORS[distribution.vendor].packages, EXCLUDED, CUSTOMIZE]
    ).encode()
    root = cache / f"root-{hashlib.sha256(recipe).hexdigest()[:12]}"
    with locked(cache, BUILD_SECONDS, "the root file system") as lock:
        if not root.exists():
            started = time.monotonic()
            print(f"Building {root} (once, a minute or two)", flush=True)
            # Only a killed build leaves one, and it can be nobody's: its mmdebstrap would hold the lock.
            for partial in cache.glob("*.partial"):
                subprocess.run(["rm", "-rf", "--one-file-system", partial], timeout=120, check=True)
            _build(distribution, root.with_name(f"{root.name}.partial"), lock)
            root.with_name(f"{root.name}.partial").rename(root)
            print(f"Built in {time.monotonic() - started:.0f} s")
    return root


def _build(distribution: Distribution, target: Path, lock: int) -> None:
    vendor = VENDORS[distribution.vendor]
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile("w+") as log:
        options = Path(directory) / "apt.conf"
        options.write_text(apt_options())
        customize = Path(directory) / "customize"
        customize.write_text(CUSTOMIZE)
        command = [
            # Mounts of its own, for one that is killed does not unmount what it has mounted in the tree.
            *("unshare", "--mount"),
            *("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", f"--aptopt={options}"),
            *(*vendor.options, f"--components={','.join(vendor.components)}", "--dpkgopt=force-unsafe-io"),
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
            f"--include={','.join((PACKAGES + vendor.packages).split())}",
            f'--customize-hook=chroot "$1" sh -eu <{customize}',
            *(f"--keyring={keyring(distribution, Path(directory))}", distribution.release, str(target)),
            *(["-"] if (listed := sources(distribution)) else []),
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
            process.communicate(listed, timeout=BUILD_SECONDS)
        finally:
            # A session of its own, so that an interrupt ends apt and dpkg too.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode:
            log.seek(0)
            raise HostsError("".join(["mmdebstrap failed:\n", *log.readlines()[-25:]]))
