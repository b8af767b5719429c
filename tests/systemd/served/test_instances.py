"""Several vLLM on one host: each its own unit, log and canary; the end of one is nothing to the others; one is removed alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.faults.watching import METRICS
from tests.systemd.client import MODEL, Client
from tests.systemd.deployed import START, Host
from tests.systemd.play import said

pytestmark = pytest.mark.long
SMALL = {
    "vllm_model": "{{ vllm_model }}",
    "vllm_tensor_parallel_size": 1,
    "vllm_memory_gib": 2,
    "vllm_environment": {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "{{ lookup('cpu_groups', 1) }}",
    },
}
SECOND = {**SMALL, "vllm_name": "second", "vllm_port": 8002, "vllm_extra_args": ["--enforce-eager"]}
# The nano model is made to chat; vLLM makes an embedding of what it thinks before its last layer.
EMBEDS = {
    **SMALL,
    **{"vllm_name": "embeddings", "vllm_port": 8003, "vllm_kind": "embed", "vllm_max_model_len": 4096},
    "vllm_extra_args": ["--enforce-eager", "--convert", "embed"],
}
DEPLOYS = 1800.0  # seconds; three starts, one after the other


def rows(*rows: dict[str, Any]) -> tuple[str, str]:
    return "-e", json.dumps({"vllm_extra_instances": rows})


@pytest.fixture(scope="module")
def several(deployed: Host) -> Iterator[Host]:
    """The host with two more vLLMs, which are gone in the end."""
    try:
        run = deployed.playbook("deploy.yml", *rows(SECOND, EMBEDS), seconds=DEPLOYS)
        assert run.returncode == 0, run.stdout
        yield deployed
    finally:  # A deploy that fails leaves those that came first, and other tests share the host.
        for name in ("second", "embeddings"):
            deployed.playbook("ansible/remove.yml", "-e", f"service={name}")


def url(host: Host, port: int) -> str:
    return f"http://{host.address}:{port}"


def pids(host: Host) -> dict[str, int]:
    return {name: host.pid(name) for name in ("vllm", "second", "embeddings")}


def embeds(host: Host) -> bool:
    body = {"model": MODEL, "input": ["a word", "another"]}
    reply = requests.post(f"{url(host, 8003)}/v1/embeddings", json=body, timeout=60)
    vectors = [each["embedding"] for each in reply.json()["data"]] if reply.ok else []
    return len(vectors) == 2 and len(vectors[0]) == len(vectors[1]) > 1 and vectors[0] != vectors[1]


def test_each_is_watched_probed_and_in_the_status(several: Host) -> None:
    assert 0 not in pids(several).values() and len(set(pids(several).values())) == 3
    for name in ("vllm", "second", "embeddings"):
        assert several.told(f"stat -c %U /proc/{several.pid(name)}") == "vllm"
        assert several.told(f"ls -d /var/lib/{name} /opt/vllm/logs/{name}.log")
    assert embeds(several)
    typed = several.ssh("/opt/vllm/bin/checks status", seconds=120).stdout
    played = several.playbook("ansible/status.yml").stdout
    for shown in (typed, played):
        assert all(re.search(rf"^ *(?:! )? *{name} +running for ", shown, re.M) for name in pids(several)), (
            shown
        )
    probes = several.told("/opt/vllm/bin/checks all", seconds=600)
    assert probes.count("tool-call of ") == 2 and "embedding OK: " in probes, probes
    for name in ("canary", "canary-second", "canary-embeddings"):
        several.told(f"systemctl restart {name}.service", seconds=120)
        service = name.removeprefix("canary-") if name != "canary" else "vllm"
        line = f'vllm_probe_success{{probe="canary",service="{service}"}} 1.0'
        assert line in several.told(f"cat {METRICS}/{name}.prom")
        assert several.show(f"{name}.timer", "ActiveState") == "active"
    flags = several.strings(f"/proc/{several.pid('embeddings')}/cmdline")
    assert "--tool-call-parser" not in flags and "--runner" in flags


def test_a_second_deploy_has_nothing_to_do(several: Host) -> None:
    before = pids(several)
    run = several.playbook("deploy.yml", *rows(SECOND, EMBEDS), seconds=DEPLOYS)
    assert run.returncode == 0 and "changed=0 " in run.stdout, run.stdout
    assert pids(several) == before


@pytest.mark.parametrize(("ends", "port", "stays"), [("second", 8002, 8000), ("vllm", 8000, 8002)])
def test_the_end_of_one_is_nothing_to_the_other(several: Host, ends: str, port: int, stays: int) -> None:
    pid, others = several.pid(ends), {name: each for name, each in pids(several).items() if name != ends}
    with Client(url(several, stays)) as client:
        several.until(lambda: client.answers, 30, "the client is answered before the end")
        several.told(f"kill -9 {pid}")
        several.until(lambda: several.pid(ends) not in (0, pid), START, f"{ends} is started again")
        several.until(lambda: several.show(ends, "ActiveState") == "active", START, f"{ends} answers again")
    assert client.failures == [] and several.chat(url(several, port)).ok
    assert {name: several.pid(name) for name in others} == others


def test_a_bad_change_of_one_goes_back_by_itself(several: Host) -> None:
    before, release = pids(several), several.told("cat /run/vllm-deploy/second")
    run = several.playbook("deploy.yml", *rows(SECOND | {"vllm_start_seconds": 3}, EMBEDS), seconds=DEPLOYS)
    assert run.returncode != 0 and f"{release} serves again" in said(run), run.stdout
    assert several.told("cat /run/vllm-deploy/second") == release
    assert {**pids(several), "second": 0} == {**before, "second": 0}


def test_a_stranger_is_refused_all_the_same(several: Host) -> None:
    """What the registry does not know: a vLLM of a unit that no deploy made."""
    title = "exec -a VLLM::EngineCore sleep 600"
    several.told(f"systemd-run --unit=stranger bash -c '{title}'")
    try:
        guard = "/opt/vllm/bin/checks guard --port 8002 --unit second.service --patience 1"
        refused = several.ssh(guard)
        assert refused.returncode == 2 and "another vLLM runs on this host" in refused.stdout, refused.stdout
        assert "in stranger.service" in refused.stdout and "embeddings.service" not in refused.stdout
    finally:
        several.told("systemctl stop stranger")
    assert several.ssh(guard).returncode == 0


def test_one_is_removed_alone(several: Host) -> None:
    kept = {name: each for name, each in pids(several).items() if name != "second"}
    with several.client() as client:
        run = several.playbook("ansible/remove.yml", "-e", "service=second")
    assert run.returncode == 0 and client.failures == [], run.stdout
    assert {name: several.pid(name) for name in kept} == kept and embeds(several)
    left = "find /etc/systemd /opt/vllm/releases /opt/vllm/services /opt/vllm/watch /opt/vllm/metrics /var/lib /var/cache -name '*second*'"
    assert several.told(left) == ""
    assert several.told("getent passwd | grep -c second || true") == "0"
    assert several.show("canary.timer", "ActiveState") == "active"
    again = several.playbook("ansible/remove.yml", "-e", "service=second")
    assert again.returncode != 0 and "has no vLLM second beside the first one; it has embeddings" in said(
        again
    )
