"""A release that passes every check beforehand and does not work all the same is taken back, and the play fails and says why."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.deploys import difference, outage, present, variables
from tests.faults.rows import Report
from tests.faults.serving import again, seen
from tests.faults.watching import canary
from tests.systemd.deployed import Host
from tests.systemd.play import REPOSITORY, said

Returned = Callable[..., str]
HANGS = ["--enforce-eager", "--nnodes", "2", "--master-addr", "127.0.0.1"]
DIES = ["--enforce-eager", "--num-gpu-blocks-override", "1"]


@pytest.fixture
def returned(host: Host, report: Report) -> Returned:
    """``returned(vllm_port=1)`` deploys with that, which must fail with what served before serving again; returns what the play said."""

    def deploy(**values: Any) -> str:
        before, release, pid = present(host), host.told("cat /run/vllm-deploy/vllm"), host.pid("vllm")
        with host.client() as client:
            run = host.playbook("deploy.yml", *variables(**values))
            again(host, client)
        assert run.returncode != 0, run.stdout
        assert f"and {release} serves again: it was restarted and its probe passed" in said(run)
        assert host.told("cat /run/vllm-deploy/vllm") == release
        assert host.pid("vllm") not in (0, pid)
        assert host.show("vllm", "ActiveState") == "active"
        assert '"Seoul"' in host.tool_call()["arguments"]
        assert not (left := difference(before, present(host))), f"{left}\n{run.stdout}"
        report(client=seen(client), again=outage(client), left="nothing")
        return said(run)

    return deploy


@pytest.mark.long
def test_server_that_never_gets_ready(returned: Returned) -> None:
    """vLLM, on another port, accepts its arguments and waits forever for a second node (`--nnodes 2`): taken back at the time limit."""
    words = returned(vllm_extra_args=HANGS, vllm_start_seconds=25, vllm_port=8001)
    assert "vllm.service did not get ready" in words and "wait CRITICAL" in words
    assert "The end of /opt/vllm/logs/vllm.log" in words and "remedy:" in words


@pytest.mark.long
def test_server_that_dies_in_its_start(returned: Returned) -> None:
    """vLLM accepts its arguments and dies during its start, because its KV cache holds less than one request: taken back at once."""
    words = returned(vllm_extra_args=DIES)
    assert "vllm.service did not get ready" in words and "wait CRITICAL" in words
    assert "The end of /opt/vllm/logs/vllm.log" in words and "remedy:" in words


def test_release_that_cannot_call_tools(returned: Returned) -> None:
    """vLLM is healthy and chats but has no tool call parser (`vllm_tool_call_parser` empty): the probe fails, and it is taken back."""
    words = returned(vllm_tool_call_parser="")
    assert "tool-call CRITICAL" in words and "remedy:" in words and "--tool-call-parser" in words
    assert "The end of /opt/vllm/logs/vllm.log" in words


@pytest.fixture
def both_return(host: Host, report: Report) -> Returned:
    """``both_return(**values)`` deploys with vLLM at another port, and a backend that must fail; returns what the play said."""

    def deploy(**values: Any) -> str:
        releases = [host.told(f"readlink /opt/vllm/releases/{name}/current") for name in ("vllm", "backend")]
        with host.client() as client:
            run = host.playbook("deploy.yml", *variables(vllm_port=8001, **values))
            again(host, client)
        assert run.returncode != 0 and f"vLLM went back to {releases[0]}, too" in said(run), run.stdout
        assert releases == [
            host.told(f"readlink /opt/vllm/releases/{name}/current") for name in ("vllm", "backend")
        ]
        assert host.ask("회사 휴가 정책 알려줘", "after-the-way-back").ok
        host.until(lambda: canary(host)[0] == 0, 60, "the canary says ok")  # it tells of what is not proven
        status = host.playbook("ansible/status.yml")
        assert status.returncode == 0 and "not proven" not in status.stdout, status.stdout
        report(
            client=seen(client),
            again=outage(client),
            left="vLLM's release on the other port, marked as taken back",
        )
        return said(run)

    return deploy


@pytest.mark.long
def test_backend_that_fails_after_vllm_moved(both_return: Returned) -> None:
    """vLLM moves to another port and the new backend fails its probe: both go back, because the old backend needs the old vLLM."""
    assert "no_such_tool" in both_return(backend_expect_tool="no_such_tool")


@pytest.mark.long
def test_backend_that_cannot_be_brought_after_vllm_moved(
    both_return: Returned, host: Host, tmp_path: Path
) -> None:
    """vLLM moves to another port and the new backend cannot be copied (its directory is read-only): both go back as well."""
    shutil.copytree(REPOSITORY / "examples/backend", tmp_path / "backend")
    (tmp_path / "backend/CHANGED").touch()
    place = "/opt/vllm/backend"
    host.told(f"mount --bind {place} {place} && mount -o remount,ro,bind {place}")
    try:
        words = both_return(backend_source_directory=str(tmp_path / "backend"))
    finally:
        host.told(f"umount --lazy {place}")
    assert "Read-only file system" in words
