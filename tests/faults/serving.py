"""Serving: what brings a host to it, and what a client saw while it did not."""

from __future__ import annotations

from collections import Counter

import requests

from tests.systemd.client import Client
from tests.systemd.deployed import START, Host

WORDS = {
    "ConnectionError": "no connection",
    "ReadTimeout": "no answer",
    "ChunkedEncodingError": "answer broken off",
}


def ready(host: Host) -> bool:
    """Tell whether the backend has its model."""
    try:
        return requests.get(f"{host.backend}/ready", timeout=30).ok
    except requests.RequestException:
        return False


def serve(host: Host) -> None:
    """See to it that vLLM and the backend serve; deploy anew what a start does not bring back."""
    # A unit is refused its seventh start in the interval of its start limit, whoever asks for it.
    host.ssh("systemctl reset-failed vllm backend; systemctl start vllm backend", seconds=START)
    if not (host.serves() and ready(host)):
        run = host.playbook("deploy.yml", "-e", "deploy_lock_break=true")
        assert run.returncode == 0, run.stdout
        assert host.serves() and ready(host)


def again(host: Host, client: Client, seconds: float = START) -> float:
    """Wait until a client that saw failures gets answers again, and return how many seconds it got none."""

    def answered() -> bool:
        return bool(client.failures and client.answers and client.answers[-1] > client.failures[-1][0])

    host.until(answered, seconds, "the client gets answers again")
    return client.outage()


def seen(client: Client) -> str:
    """Say what a client that asks each second saw."""
    kinds = Counter(
        f"HTTP {what[:3]}" if what[:3].isdigit() else WORDS.get(what, what) for _, what in client.failures
    )
    return ", ".join(f"{count} × {kind}" for kind, count in kinds.items()) or "nothing"
