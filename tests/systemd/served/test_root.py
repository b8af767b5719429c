"""The line of root: what users leave where they may write, root neither runs, nor follows, nor waits for. (Starts: see test_start.py.)"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.watching import WATCH
from tests.systemd.deployed import Host
from tests.systemd.planted import planted, ran

AS_VRSOFT = ("-e", "ansible_user=vrsoft", "-e", "ansible_become=true")
WORK = "/srv/work/logs"  # vrsoft's, as on the guide's server
LOG = ("-e", f"vllm_log_file={WORK}/vllm.log")
# What vrsoft plants where the log is wanted, before a deploy each.
PLANTS = [
    pytest.param(["ln -s /etc/shadow"], id="link"),
    pytest.param(["ln -s /etc/made-by-root", "mkfifo"], id="others", marks=pytest.mark.long),
]
SECRETS = "stat -c '%a %U %G %s' /etc/shadow; ls /etc"


@pytest.fixture
def logs(host: Host) -> Iterator[Host]:
    """A host where the log is wanted in a directory of the login user."""
    host.told(f"install -d -o vrsoft -g vrsoft /srv/work {WORK}")
    yield host
    host.told("rm -rf /srv/work")


def test_playbooks_run_nothing_of_others(host: Host) -> None:
    """By a login user who becomes root, whose home is the working directory of Ansible's modules."""
    with planted(host):
        deploy = host.playbook("deploy.yml", *AS_VRSOFT)
        assert deploy.returncode == 0 and "changed=0 " in deploy.stdout, deploy.stdout
        host.told("rm /opt/vllm/venvs/uv-*/.complete")  # as at a first install
        deploy = host.playbook("deploy.yml", *AS_VRSOFT)
        assert deploy.returncode == 0, deploy.stdout
        for name in ("status", "doctor", "probe"):
            run = host.playbook(f"ansible/{name}.yml", *AS_VRSOFT)
            assert run.returncode == 0, run.stdout
        host.told("systemctl start deep-probe canary", seconds=300)
        host.told("cd /tmp && /opt/vllm/bin/checks port --port 1 && /opt/vllm/bin/checks follow vllm")
        assert ran(host) == ""


@pytest.mark.parametrize("kinds", PLANTS)
def test_a_log_is_no_way_to_files_of_others(logs: Host, kinds: list[str]) -> None:
    before, pid = logs.told(SECRETS), logs.pid("vllm")
    plants = [f"{kind} {WORK}/vllm.log" for kind in kinds]
    for plant in plants:
        logs.told(f"rm -f {WORK}/vllm.log; {plant}", user="vrsoft")
        deploy = logs.playbook("deploy.yml", *LOG)
        assert deploy.returncode == 0 and "it is kept as" in deploy.stdout, deploy.stdout
        assert logs.told(f"readlink {WORK}/vllm.log") == "/opt/vllm/logs/vllm.log"
    # Put there again, between two deploys: nobody looks.
    logs.told(f"rm {WORK}/vllm.log; mkfifo {WORK}/vllm.log", user="vrsoft")
    logs.told("logrotate --force /etc/logrotate.d/vllm-deploy-vllm && systemctl restart backend")
    for name in ("status", "doctor"):
        run = logs.playbook(f"ansible/{name}.yml", *LOG)
        assert run.returncode == 0 and "root:" not in run.stdout, run.stdout
    assert logs.told(SECRETS) == before and logs.pid("vllm") == pid
    assert logs.told("find /opt/vllm/logs -name vllm.log.1 -size +0 -printf %m") == "640"


def test_logs_are_for_adm(host: Host) -> None:
    for name in ("vllm", "backend"):
        assert host.told(f"stat -c '%a %U %G' /opt/vllm/logs/{name}.log") == f"640 {name} adm"
    assert host.ssh("head -c1 /opt/vllm/logs/vllm.log", user="vrsoft").returncode != 0
    host.told("usermod -aG adm vrsoft")
    try:
        host.told("head -c1 /opt/vllm/logs/vllm.log", user="vrsoft")
    finally:
        host.told("gpasswd -d vrsoft adm")


@pytest.mark.parametrize(
    ("run", "watch"),
    [
        pytest.param("mkfifo", "ln -s /etc/shadow", id="FIFO and link"),
        pytest.param("ln -s /etc/shadow", "mkfifo", id="link and FIFO", marks=pytest.mark.long),
    ],
)
def test_what_runs_is_told_by_root_alone(host: Host, run: str, watch: str) -> None:
    """A service's own directory in /run, as it was before, and what its watchers keep: links and FIFOs hold nobody up."""
    release = host.told("cat /run/vllm-deploy/vllm")
    assert host.told("stat -c '%U %a' /run/vllm-deploy /run/vllm-deploy/vllm") == "root 755\nroot 644"
    host.told(
        f"systemctl stop canary.timer canary; install -d -o vllm /run/vllm; rm -f /run/vllm/release {WATCH}/canary.verdict"
    )
    try:
        host.told(f"runuser -u vllm -- {run} /run/vllm/release")
        host.told(f"runuser -u vllm-canary -- {watch} {WATCH}/canary.verdict")
        status = host.playbook("ansible/status.yml")
        assert status.returncode == 0 and f"  release  {release}\n" in status.stdout, status.stdout
        assert "root:" not in status.stdout
        assert host.playbook("ansible/doctor.yml").returncode == 0
        deploy = host.playbook("deploy.yml", "--check", "-v")
        assert deploy.returncode == 0 and "changed=1 " in deploy.stdout, deploy.stdout
        assert "changed: [alpha] => (item=canary.timer)" in deploy.stdout  # which was stopped above
    finally:
        host.told(f"rm -rf /run/vllm {WATCH}/canary.verdict; systemctl start canary.timer")


def test_the_canary_and_the_deep_probe_are_not_root(host: Host) -> None:
    for name in ("canary", "deep-probe"):
        assert host.show(f"{name}.service", "User") == f"vllm-{name}"
        assert host.show(f"{name}.service", "MemoryMax") == str(512 * 2**20)
        last = host.told(f"systemd-analyze security --no-pager {name}.service").splitlines()[-1]
        assert float(last.partition(": ")[2].split()[0]) <= 1.5, last


def test_who_reads_a_hung_engine_is_not_root_and_keeps_it_to_itself(host: Host) -> None:
    """vLLM runs on meanwhile: a person may ask for the same at any time."""
    pid, unit = host.pid("vllm"), "canary-incident.service"
    assert (host.show(unit, "User"), host.show(unit, "AmbientCapabilities")) == (
        "vllm-canary",
        "cap_sys_ptrace",
    )
    host.told(f"systemctl start {unit}", seconds=60)
    path = host.told(f"ls -d {WATCH}/incidents/* | tail -n 1")
    assert (
        host.told(f"stat -c '%a %U' {path} {path}/*").split()
        == ["700", "vllm-canary"] + ["600", "vllm-canary"] * 6
    )
    stacks = host.told(f"cat {path}/stacks.txt")
    assert (
        f"API server, pid {pid}" in stacks
        and "EngineCore" in stacks
        and "no stack: py-spy may not" not in stacks
    )
    assert host.ssh(f"runuser -u vllm-deep-probe -- ls {path}").returncode != 0
    assert host.pid("vllm") == pid and host.serves()
    last = host.told(f"systemd-analyze security --no-pager {unit}").splitlines()[-1]
    assert float(last.partition(": ")[2].split()[0]) <= 3, last
    host.told(f"rm -r {WATCH}/incidents")  # or the doctor tells of it for a day


def test_only_the_canary_may_have_it_restarted_and_only_what_it_judged(host: Host) -> None:
    pid = host.pid("vllm")
    ask = """python3 -I -c '
import socket, sys
with socket.socket(socket.AF_UNIX) as channel:
    channel.connect("/run/vllm-deploy/canary.restart")
    channel.sendall(sys.argv[1].encode())
    channel.shutdown(socket.SHUT_WR)
    print(channel.recv(500).decode())'"""
    for user in ("vllm", "backend", "vrsoft", "vllm-deep-probe"):
        refused = host.ssh(f"runuser -u {user} -- {ask} x")
        assert refused.returncode == 1 and "Permission denied" in refused.stderr
    for words in (f"{pid} 1", "1 1", "x", "", f"{pid}", "9" * 5000):
        said = host.told(f"runuser -u vllm-canary -- {ask} '{words}'")
        assert said.startswith(f"restart WARNING: by now it is active running (process {pid}) | ")
    assert host.pid("vllm") == pid
