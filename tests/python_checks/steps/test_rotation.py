"""`rotation` on a host whose gateway does not run, or that has none; tests/gateway has it before a real one."""

import pytest

from tests.python_checks.hosted import Hosted


@pytest.mark.parametrize("turn", ["leave", "enter"])
def test_without_a_gateway_a_restart_is_as_it_was(hosted: Hosted, turn: str) -> None:
    done = hosted.checks("rotation", "vllm", turn)
    assert done.returncode == 0 and "no gateway is deployed" in done.stdout
    options = {"socket": str(hosted.home / "admin.sock"), "drained": str(hosted.home / "drained")}
    hosted.add("gateway", "gateway", options=options)
    done = hosted.checks("rotation", "vllm", turn)
    assert done.returncode == 0 and "no gateway runs" in done.stdout
    # For a gateway that starts later.
    assert (hosted.home / "drained").exists() is (turn == "enter")
    if turn == "enter":
        assert (hosted.home / "drained").read_text() == "1\n"
