"""A deploy that fails, as a client and a look at the host see it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.faults.rows import Report
from tests.systemd.client import Client
from tests.systemd.deployed import Host
from tests.systemd.play import said

# Another name of the same Python, so that a deploy with it builds an environment of its own.
OTHER_PYTHON = "/usr/bin/python3"
# All that a deploy makes, by name, and what systemd reads with its content; logs and the canary's files change by themselves.
# Then what still works for a deploy.
LOOK = """
cd /opt/vllm
find . -mindepth 1 -maxdepth 3 ! -path './logs*' ! -path './cache/*/*' ! -path './venvs/*/*' \\
    ! -path './watch/*' ! -path './metrics/*' -printf '%p %l\\n'
find /tmp /root/.ansible /srv /var/lib/vllm /var/lib/backend -maxdepth 2 ! -path '*/systemd-private-*'
find services/*.json /etc/systemd/system/*.service -type f -exec sha256sum {} + && sha256sum services/*.json
ps -ww -eo args= | grep -E '(^|/)(uv|pip|progress-[^ ]*) ' || true
"""


def present(host: Host) -> set[str]:
    """Return a line for each thing that a deploy could leave behind."""
    return set(host.told(LOOK).splitlines())


def difference(before: set[str], after: set[str]) -> str:
    """Return what appeared and what went, empty when nothing did."""
    lines = [f"+ {line}" for line in sorted(after - before)] + [
        f"- {line}" for line in sorted(before - after)
    ]
    return "\n".join(lines)


def variables(**values: Any) -> tuple[str, str]:
    """Return the arguments that give variables to a playbook."""
    return "-e", json.dumps(values)


@contextmanager
def undisturbed(host: Host) -> Iterator[list[int]]:
    """Ask for a chat each second from ``with`` to its end: each is answered, by the very same processes. The list gets their number."""
    before = [host.pid(unit) for unit in ("vllm", "backend")]
    number: list[int] = []
    with host.client() as client:
        yield number
    assert client.answers and not client.failures, client.failures
    assert [host.pid(unit) for unit in ("vllm", "backend")] == before
    number.append(len(client.answers))


def outage(client: Client) -> float:
    """Return the seconds from the last answer before the first failure to the first one after the last failure."""
    first, last = client.failures[0][0], client.failures[-1][0]
    before = max((when for when in client.answers if when < first), default=0.0)
    return round(min(when for when in client.answers if when > last) - before, 1)


@pytest.fixture
def refused(host: Host, report: Report) -> Callable[..., str]:
    """``refused(vllm_port=1)`` deploys with that, which must fail, harm nothing and leave nothing; returns what the play said."""

    def deploy(seconds: float = 180, **values: Any) -> str:
        before = present(host)
        with undisturbed(host) as answers:
            run = host.playbook("deploy.yml", *variables(**values), seconds=seconds)
        assert run.returncode != 0, run.stdout
        assert not (left := difference(before, present(host))), f"left behind:\n{left}\n{run.stdout}"
        report(client=f"no failed request ({answers[0]} answered)", again=0, left="nothing")
        return said(run)

    return deploy
