"""The log while it is rotated, and the guide's ``tail -f`` on it."""

from __future__ import annotations

import requests

from tests.systemd.deployed import Host

LOG = "/opt/vllm/logs/vllm.log"


def test_rotation_while_serving(host: Host) -> None:
    pid = host.pid("vllm")

    def seen(marker: str, command: str) -> bool:
        """Ask for something that the access log names, and tell whether a command shows it."""
        requests.get(f"{host.vllm}/v1/models?{marker}", timeout=30)
        return host.ssh(f"{command} | grep -q '{marker}'").returncode == 0

    host.told(f"sh -c 'nohup timeout 120 tail -f {LOG} >/tmp/tail 2>&1 &'", user="vrsoft")
    host.until(lambda: seen("one", "cat /tmp/tail"), 10, "tail -f shows the log")
    host.told("logrotate --force /etc/logrotate.d/vllm-deploy-vllm")
    assert "one" in host.told(f"cat {LOG}.1 || zcat {LOG}.1.gz")
    host.until(lambda: seen("two", f"cat {LOG}"), 10, "the log goes on")
    host.until(lambda: seen("three", "cat /tmp/tail"), 10, "tail -f goes on")
    assert "one" not in host.told(f"cat {LOG}")
    # No hole at its start, which a file that is truncated and not appended to has.
    assert host.told(f"tr -d '\\000' <{LOG} | wc -c") == host.told(f"wc -c <{LOG}")
    assert host.pid("vllm") == pid and host.serves()
    host.ssh("pkill -x tail", user="vrsoft")


def test_debian_rotates_it_by_itself(host: Host) -> None:
    host.told("logrotate --debug /etc/logrotate.conf")
    assert host.show("logrotate.timer", "ActiveState") == "active"
