"""The units of a deployed host: how much they may do, by systemd's own count, and what Debian does with their logs."""

from __future__ import annotations

import json

import pytest

from tests.systemd.deployed import START, Host

HOSTILE = r"""it's "quoted", 100%n of $HOME, C:\new, 값"""  # as in the inventory


@pytest.mark.parametrize(("unit", "limit"), [("vllm", 2.0), ("backend", 1.5)])
def test_exposure(deployed: Host, unit: str, limit: float) -> None:
    last = deployed.told(f"systemd-analyze security --no-pager {unit}.service").splitlines()[-1]
    assert float(last.partition(": ")[2].split()[0]) <= limit, last


@pytest.mark.parametrize("unit", ["vllm", "backend"])
def test_it_runs_as_its_own_user_without_privileges(host: Host, unit: str) -> None:
    status = host.told(f"cat /proc/{host.pid(unit)}/status")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert int(fields["Uid"].split()[0]) == int(host.told(f"id -u {unit}")) > 0
    assert [int(fields[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")] == [0, 0, 0, 0]
    assert (fields["NoNewPrivs"].strip(), fields["Seccomp"].strip()) == ("1", "2")


def test_words_of_the_inventory_arrive_as_they_are(host: Host) -> None:
    pid = host.pid("vllm")
    words = host.strings(f"/proc/{pid}/cmdline")
    assert json.loads(words[words.index("--additional-config") + 1]) == {"note": HOSTILE}
    assert f"TEST_HOSTILE={HOSTILE}" in host.strings(f"/proc/{pid}/environ")


@pytest.mark.long  # a start of its own, for five seconds of each later one
def test_what_torch_compiles_outlives_a_restart(host: Host) -> None:
    """Its headers take five seconds of each start, and it keeps them in the temporary directory; the rest of that goes."""
    kept = "/var/cache/vllm/tmp/torchinductor_vllm"
    files = f"find {kept} -name '*.gch' -printf '%p %i\\n' | sort"
    made = host.told(files)
    host.told(f"cd {kept}/.. && mkdir left && touch left/behind && chown -R vllm left")
    host.told("systemctl restart vllm", seconds=START)
    host.until(host.serves, START, "vLLM serves again")
    assert made and host.told(files) == made
    assert host.ssh(f"ls -d {kept}/../left").returncode != 0
    # The host's own /tmp is everybody's: a name there would be a way to stop the unit, or a person who types the command.
    assert host.ssh("ls -d /tmp/torchinductor_*").returncode != 0


@pytest.mark.parametrize("unit", ["vllm", "backend"])
def test_debian_rotates_the_log(deployed: Host, unit: str) -> None:
    assert deployed.show("logrotate.timer", "ActiveState") == "active"
    done = deployed.ssh("logrotate --debug /etc/logrotate.conf")
    assert done.returncode == 0 and "error" not in done.stderr, done.stderr
    assert f"considering log /opt/vllm/logs/{unit}.log" in done.stderr
