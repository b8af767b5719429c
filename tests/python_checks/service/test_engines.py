"""Which processes are vLLM's, by their command lines."""

import pytest

from python_checks.service.engines import is_vllm


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("VLLM::EngineCore", True),
        ("VLLM::APIServer_0", True),
        ("python3 -m vllm.entrypoints.openai.api_server --model m", True),
        ("/opt/v/bin/python3.12 -X utf8 -u -m vllm.entrypoints.openai.api_server", True),
        ("python -m vllm.entrypoints.cli.main serve m", True),
        ("/opt/v/bin/python3 /opt/v/bin/vllm serve m --port 1", True),
        ("vllm serve m", True),
        ("python -m vllm.entrypoints.cli.main bench", False),
        ("/opt/v/bin/python /opt/v/bin/vllm bench serve", False),
        ("grep vllm serve", False),
        ("tail -f /opt/logs/VLLM::EngineCore", False),
        ("sudo -u vllm vllm serve m", False),  # the server is its child
        ("vim vllm.entrypoints.openai.api_server", False),
        ("/bin/sh /opt/vllm/bin/checks guard --port 8000", False),
    ],
)
def test_which_commands_are_vllms(command: str, wanted: bool) -> None:
    assert is_vllm(command.split()) is wanted


def test_nothing_is_not_vllm() -> None:
    assert not is_vllm([]) and not is_vllm([""])
