"""Secrets on a real systemd: a unit's process has them byte for byte, and no other user of the host finds them anywhere."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("hosts.py")
WORD = "geheim-7"
# What systemd, its file of variables and a shell read themselves.
VALUES = {
    "QUOTES": f"\"{WORD}\" '{WORD}' `id` $HOME ${{HOME}} $$ \\",
    "SPECIFIERS": f"%n%H %%{WORD} %",
    "BACKSLASHES": f"\\n\\\\ \\$ \\\" \\{WORD}",
    "LINES": f"first {WORD}\n# second = \"x\"\n\n; third\\\n",
    "BLANKS": f"  \t {WORD} \t ",
    "KOREAN": f"비밀 {WORD} é 🔑",
    "COMMENT": f"#{WORD}",
    "EMPTY": "",
}  # fmt: skip
UNIT = """
[Service]
Type=exec
User=daemon
EnvironmentFile=/opt/x/secrets/x/current/own.env
# secrets {id}: A
ExecStart=/bin/sleep 600
"""
JOB = """
[Service]
Type=oneshot
User=daemon
LoadCredential=KEY:{path}
SetCredential=KEY:\\x20
ExecStart=/bin/sh -c 'cat "$CREDENTIALS_DIRECTORY/KEY" >/run/job/said; echo . >>/run/job/said'
RuntimeDirectory=job
RuntimeDirectoryPreserve=yes
"""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="NOT TESTED: test hosts need root, and with them all that needs a systemd host"
)


class Host:
    """A booted host, seen through SSH and through our modules."""

    def __init__(self, directory: Path) -> None:
        self.inventory = directory / "hosts.yml"

    def run(self, command: str, code: int = 0) -> str:
        document = json.loads(self.inventory.read_text())["all"]
        variables, address = document["vars"], document["hosts"]["gamma"]["ansible_host"]
        options = shlex.split(variables["ansible_ssh_common_args"])
        ssh = ["ssh", *options, "-i", variables["ansible_ssh_private_key_file"], f"root@{address}", command]
        done = subprocess.run(ssh, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def module(self, name: str, **arguments: object) -> str:
        """Run one of our modules and return what Ansible shows of it, with everything that it can show."""
        program = Path(sys.executable).with_name("ansible")
        done = subprocess.run(
            [program, "-i", self.inventory, "all", "-m", name, "-a", json.dumps(arguments), "-vvv", "--diff"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    directory = tmp_path_factory.mktemp("hosts") / "run"
    environment = os.environ | {"HOSTS_DIRECTORY": str(directory)}

    def hosts(*arguments: str) -> None:
        subprocess.run([sys.executable, PROGRAM, *arguments], env=environment, timeout=900, check=True)

    hosts("install")
    hosts("up", "gamma")
    yield Host(directory)
    hosts("down")


def keep(host: Host, **values: str) -> str:
    """Keep secrets on the host and have its release get them; return what was said."""
    given = {"own": json.dumps(values), "offered": json.dumps({"O": f"{WORD}-offered"}), "taken": "{}"}
    return host.module("keep_secrets", directory="/opt/x/secrets/x", **given)


def test_the_process_has_them_byte_for_byte_and_nobody_else_does(host: Host) -> None:
    said = keep(host, **VALUES)
    name = host.run("cd /opt/x/secrets/x && ls").strip()
    assert len(name) == 12 and '"changed": true' in said.replace("changed=True", '"changed": true')
    unit = f"/bin/sh -c 'umask 077; ln -sfn {name} /opt/x/secrets/x/current'"
    host.run(f"{unit}; printf %s {shlex.quote(UNIT.format(id=name))} >/etc/systemd/system/x.service")
    host.run("systemctl daemon-reload && systemctl start x")
    pid = host.run("systemctl show --property=MainPID --value x").strip()
    raw = host.run(f"base64 -w0 /proc/{pid}/environ")
    found = dict(
        entry.split("=", 1)
        for entry in subprocess.run(
            ["base64", "-d"], input=raw, text=True, capture_output=True, check=True
        ).stdout.split("\0")
        if entry
    )
    assert {key: found.get(key) for key in VALUES} == VALUES
    # The same file, as a shell reads it.
    read = "set -a; . /opt/x/secrets/x/current/own.env; /usr/bin/env -0 | base64 -w0"
    for shell in ("dash", "bash"):
        raw = host.run(f"{shell} -c {shlex.quote(read)}")
        text = subprocess.run(["base64", "-d"], input=raw, text=True, capture_output=True, check=True).stdout
        assert VALUES.items() <= dict(entry.split("=", 1) for entry in text.split("\0") if entry).items(), (
            shell
        )

    assert WORD not in said
    as_nobody = "runuser -u nobody -- "
    for command in (
        "systemctl show x",
        "systemctl cat x",
        "busctl introspect --full org.freedesktop.systemd1 /org/freedesktop/systemd1/unit/x_2eservice",
        "sh -c 'cat /proc/[0-9]*/cmdline; cat /proc/[0-9]*/environ; grep -rF geheim /opt /etc /run /var/log 2>/dev/null; true'",
    ):
        assert WORD not in host.run(as_nobody + command), command
    assert WORD not in host.run("journalctl --no-pager --output=verbose --all; cat /proc/[0-9]*/cmdline")
    host.run(f"{as_nobody}ls /opt/x/secrets", code=2)
    holders = host.run("grep -rlF geheim-7 / --exclude-dir=proc --exclude-dir=sys 2>/dev/null; true").split()
    assert holders and all(path.startswith("/opt/x/secrets/x/") for path in holders)
    modes = host.run("find /opt/x/secrets -not -type l -printf '%y%m%u\\n' | sort -u").split()
    assert modes == ["d700root", "f600root"]


def test_what_is_kept_is_kept_once_and_told_by_an_id_that_only_the_host_can_reckon(host: Host) -> None:
    before = host.run("ls -i /opt/x/secrets/x/*/")
    assert "changed" in (said := keep(host, **VALUES)) and host.run("ls -i /opt/x/secrets/x/*/") == before
    keep(host, **VALUES | {"EMPTY": "1"})
    names = host.run("ls /opt/x/secrets/x").split()
    assert len(names) == 3  # both and the link
    host.run("rm /opt/x/secrets/salt")
    keep(host, **VALUES)
    assert len(host.run("ls /opt/x/secrets/x").split()) == 4, said


def test_the_credential_of_a_job_is_empty_where_there_is_no_key(host: Host) -> None:
    """A release without a key needs none, and its canary must run all the same."""
    for path, wanted in (("/root/key", "geheim-8."), ("/root/nowhere/key", " .")):
        host.run("install -m 600 /dev/null /root/key; printf geheim-8 >/root/key")
        host.run(f"printf %s {shlex.quote(JOB.format(path=path))} >/etc/systemd/system/job.service")
        assert host.run("systemd-analyze verify --man=no /etc/systemd/system/job.service 2>&1") == ""
        host.run("systemctl daemon-reload; systemctl start job")
        assert host.run("cat /run/job/said").rstrip("\n") == wanted
