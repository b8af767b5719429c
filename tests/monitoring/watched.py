"""A host with Prometheus as an operator sees it: playbooks, its HTTP API, and what a webhook is told."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from python_checks.core.result import Figure, Result, State
from python_checks.report import textfile
from tests.ansible.playbooks import run_playbook
from tests.serving import running

TOKEN = "of-the-webhook-that-listens"


class Watched:
    """The host ``ml35``, and a receiver of its alerts.

    Attributes:
        told: Bodies that the receiver got, each with the header Authorization.
        first: What the deploy said.
    """

    def __init__(self, folder: Path, host: dict[str, Any], receiver: int) -> None:
        self.folder, self.home, self.host, self.receiver = folder, folder / "h", host, receiver
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.first: subprocess.CompletedProcess[str]
        self.prometheus = f"http://127.0.0.1:{host['monitoring_port']}"

    def play(self, playbook: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook on it."""
        return run_playbook(playbook, self.home, *words, inventory=str(self.folder / "hosts.json"))

    def api(self, path: str, **query: str) -> Any:
        """Ask Prometheus."""
        return requests.get(f"{self.prometheus}/api/v1/{path}", params=query, timeout=10).json()["data"]

    def targets(self) -> dict[str, str]:
        """Return the health of each target, by its job and instance."""
        found = self.api("targets")["activeTargets"]
        return {f"{each['labels']['job']} {each['labels']['instance']}": each["health"] for each in found}

    def alerts(self) -> dict[str, str]:
        """Return the state of each alert that is not silent."""
        return {each["labels"]["alertname"]: each["state"] for each in self.api("alerts")["alerts"]}

    def canary(self, state: State, **figures: float) -> None:
        """Leave the metrics of a canary, as its timer does."""
        result = Result("canary", state, "as the test has it", service="vllm")
        result = Result(**{**vars(result), "figures": tuple(Figure(*each) for each in figures.items())})
        textfile.write(self.home / "metrics/canary.prom", [result], {"vllm": "0.32.0-aaaaaaaaaaaa"})

    def until(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Wait for a condition."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            time.sleep(0.5)

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """Listen as the webhook."""
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                told.append((self.headers.get("Authorization", ""), body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        with running(ThreadingHTTPServer(("127.0.0.1", self.receiver), Handler)):
            yield
