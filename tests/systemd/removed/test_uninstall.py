"""ansible/uninstall.yml leaves a host as a deploy found it, but for the model and the logs."""

from __future__ import annotations

from collections.abc import Callable

from tests.systemd.deployed import Host

# Whatever a deploy may make; what systemd, Debian's daily jobs and a login write is not among it.
NAMES = (
    "find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run/systemd -o -path /run/user -o -path /tmp -o -path /var/tmp"
    " -o -path /var/log/journal -o -path /var/lib/systemd -o -path /var/lib/apt -o -path /var/lib/logrotate -o -path /var/backups"
    " -o -path /var/cache -o -path '*/__pycache__' -o -path /root \\) -prune"
    " -o -printf '%p %y %m\\n' | sort"
)
USERS = "getent passwd group | cut -d: -f1,7"
UNITS = (
    "systemctl list-unit-files --no-legend --no-pager | grep -v transient;"
    " systemctl list-units --all --plain --no-legend --no-pager --type=service,timer,socket 'vllm*' 'backend*'"
)
STAY = ("/opt", "/srv/models", "/srv/examples", "/srv/work")
LOG = "/srv/work/logs/vllm.log"  # where an inventory may want it, in a directory of the login user
GIVEN = ("-e", f"vllm_log_file={LOG}")


def test_nothing_but_the_logs_and_the_model_is_left(host: Host, fresh_host: Callable[..., Host]) -> None:
    fresh = fresh_host()
    host.told("install -d -o vrsoft -g vrsoft /srv/work /srv/work/logs")
    run = host.playbook("deploy.yml", *GIVEN)
    assert run.returncode == 0 and host.told(f"tail --lines=1 {LOG}"), run.stdout
    run = host.playbook("ansible/uninstall.yml", *GIVEN)
    assert run.returncode == 0, run.stdout
    assert "/opt/vllm stays, with logs" in " ".join(run.stdout.split())

    added = set(host.told(NAMES).splitlines()) - set(fresh.told(NAMES).splitlines())
    more = [line for line in sorted(added) if not line.startswith(STAY)]
    assert not more, f"{len(more)} more than on a fresh host: {more[:5]}"
    assert sorted(host.told("ls -A /opt/vllm").split()) == [".vllm-deploy", "logs"]
    assert "Application startup complete" in host.told("cat /opt/vllm/logs/vllm.log*")
    assert host.told("find /srv/models -name config.json")
    assert set(host.told(USERS).splitlines()) - set(fresh.told(USERS).splitlines()) == set()
    assert set(host.told(UNITS).splitlines()) - set(fresh.told(UNITS).splitlines()) == set()
    assert host.told("find /var/lib/systemd -name '*canary*' -o -name '*deep-probe*'") == ""
    assert host.processes("vllm") == {}


def test_again_it_finds_nothing_to_do(deployed: Host) -> None:
    run = deployed.playbook("ansible/uninstall.yml", *GIVEN)
    assert run.returncode == 0, run.stdout
    assert "changed=0 " in run.stdout


def test_the_logs_go_when_asked(deployed: Host) -> None:
    run = deployed.playbook("ansible/uninstall.yml", *GIVEN, "-e", "uninstall_logs=true")
    assert run.returncode == 0, run.stdout
    assert deployed.told("ls -A /opt /srv/work/logs") == "/opt:\n\n/srv/work/logs:"
