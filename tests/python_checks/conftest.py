"""Fixtures: a real HTTP server that answers as told, recordings of a real vLLM, the probe as a process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import ports
from tests.python_checks import pseudo
from tests.python_checks.canary_support import Canary
from tests.python_checks.hosted import Hosted
from tests.python_checks.island import Island
from tests.python_checks.support import (
    DEADLINE,
    RECORDED,
    ROOT,
    Healthy,
    Probe,
    Recorded,
    Replies,
    Server,
    shard,
)
from tests.serving import running


@pytest.fixture(autouse=True)
def every_message_is_translated() -> Iterator[None]:
    """Fail a test in which a message was made with English that no catalogue gets."""
    heard: list[str] = []
    stop = pseudo.listen(heard)
    yield
    stop()
    assert {text: words for text in heard if (words := pseudo.left(text))} == {}


@pytest.fixture
def server() -> Iterator[Server]:
    """Give a server without any answer yet."""
    own = Server()
    with running(own.server):
        yield own


@pytest.fixture
def free_port() -> int:
    """Give a port on which nobody listens."""
    return ports.free_port()


@pytest.fixture
def recorded() -> Recorded:
    """Give the lines of a log that a real vLLM 0.32 wrote."""
    return lambda name: (RECORDED / f"{name}.log").read_text(encoding="utf-8").splitlines()


@pytest.fixture
def replies() -> Replies:
    """Give the replies of a real vLLM 0.32, by name."""
    data: Replies = json.loads((RECORDED / "replies.json").read_text(encoding="utf-8"))
    return data


@pytest.fixture
def probe() -> Probe:
    """Run `python -m python_checks ...` as a process, as Ansible and systemd do."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "python_checks", *arguments],
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )

    return run


@pytest.fixture
def healthy(server: Server, replies: Replies, tmp_path: Path) -> Healthy:
    """Give a server that answers every check well, and the options for it."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (tmp_path / "model.bin").write_text("x")

    def chat(body: dict[str, Any]) -> tuple[int, Any]:
        if "tools" not in body:
            return 200, replies["completion"]
        return 200, replies["tool_call" if len(body["messages"]) == 1 else "second_turn"]

    server.answers |= {
        "/health": (200, ""),
        "/v1/models": (200, replies["models"]),
        "/v1/chat/completions": chat,
        "/v1/chat": (200, {"answer": "15일", "session_id": "s", "tools_called": ["search_policy"]}),
    }
    return server, [
        *("all", "--url", server.url, "--model", "gpt-oss-120b"),
        *("--backend-url", server.url, "--model-directory", str(tmp_path)),
    ]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Give a whole model of two shards."""
    (tmp_path / "config.json").write_text('{"model_type": "gpt_oss"}')
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [200002, 199999, 200012]}))
    shard(tmp_path / "model-00001-of-00002.safetensors", {"a": 100, "b": 50})
    shard(tmp_path / "model-00002-of-00002.safetensors", {"c": 7})
    weights = {"a": 1, "b": 1, "c": 2}
    index = {name: f"model-0000{number}-of-00002.safetensors" for name, number in weights.items()}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return tmp_path


@pytest.fixture
def island() -> Iterator[Island]:
    """Give processes a host of their own."""
    own = Island()
    yield own
    own.end()


@pytest.fixture
def canary(tmp_path: Path, free_port: int) -> Iterator[Canary]:
    """Give a server that answers, which systemctl, a fake, shows as running."""
    own = Canary(tmp_path, free_port)
    yield own
    own.end()


@pytest.fixture
def hosted(tmp_path: Path) -> Hosted:
    """Give a host without a service yet."""
    return Hosted(tmp_path / "hosted")


@pytest.fixture
def port(free_port: int) -> tuple[str, str]:
    """Give the option of a free port."""
    return "--port", str(free_port)
