"""The doctor's one connection from the controller to a service that listens for other hosts."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playbooks import run_playbook

KEPT_OUT = "this controller cannot connect to it"


@contextmanager
def listener(address: str) -> Iterator[int]:
    """Listen, and give the port."""
    with socket.create_server((address, 0)) as server:
        yield server.getsockname()[1]


def reach(directory: Path, port: int, **variables: str) -> str:
    """Return what the run prints for a host that the controller finds at 127.0.0.2."""
    inventory = directory / "hosts.yml"
    given = {"ansible_connection": "local", "ansible_host": "127.0.0.2", "vllm_port": port} | variables
    given["ansible_python_interpreter"] = "{{ ansible_playbook_python }}"
    inventory.write_text(json.dumps({"vllm": {"hosts": {"gpu1": given}}}))
    run = run_playbook("tests/ansible/reach.yml", directory / "h", inventory=str(inventory))
    assert run.returncode == 0, run.stdout
    return run.stdout


def test_a_host_that_lets_nobody_in(tmp_path: Path) -> None:
    """A server that says it binds all, and binds 127.0.0.1: from 127.0.0.2 it looks as it does behind a firewall."""
    with listener("127.0.0.1") as port:
        shown = reach(tmp_path, port, vllm_host="0.0.0.0")
    assert f"symptom  vllm listens at port {port} of gpu1, and {KEPT_OUT}" in shown
    assert f"Timeout when waiting for 127.0.0.2:{port} (127.0.0.2, after 3 s)" in shown
    assert "set vllm_host: 127.0.0.1" in shown


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_no_finding(tmp_path: Path, host: str) -> None:
    """Neither where the connection succeeds nor where the service is for its own host."""
    with listener("127.0.0.1" if host == "127.0.0.1" else "0.0.0.0") as port:
        assert KEPT_OUT not in reach(tmp_path, port, vllm_host=host)


def test_what_does_not_run_is_no_matter_of_the_network(tmp_path: Path) -> None:
    with listener("0.0.0.0") as port:
        pass
    assert KEPT_OUT not in reach(tmp_path, port, vllm_host="0.0.0.0")
