"""A check that is typed on a host: about which services, with what of their rows, and with whose key."""

import json
import os
from collections.abc import Iterator

import pytest

from tests.python_checks.hosted import Hosted
from tests.python_checks.support import Replies, Server
from tests.serving import running

KEY = "sk-of-the-row"


@pytest.fixture
def backend() -> Iterator[Server]:
    """Give a backend, which asks for no key."""
    own = Server()
    own.answers["/v1/chat"] = (200, {"answer": "15일", "session_id": "s", "tools_called": []})
    with running(own.server):
        yield own


@pytest.fixture
def keyed(hosted: Hosted, server: Server, backend: Server, replies: Replies) -> Hosted:
    """Give a host with a vLLM that asks for a key, and a backend that asks it."""
    server.key = KEY
    server.answers |= {
        "/health": (200, ""),
        "/v1/models": (200, replies["models"]),
    }
    file = hosted.home / "key"
    file.write_text(KEY)
    probes = ["health", "models", "idle"]
    options = {"model": "gpt-oss-120b", "step-tokens": "7"}
    hosted.add("vllm", url=server.url, key_file=str(file), probes=probes, options=options)
    told = {"backend-url": backend.url, "expect-tool": ""}
    hosted.add("backend", "backend", asks=["vllm"], probes=["chat"], options=told)
    return hosted


def keys(server: Server) -> set[str]:
    return {told for path, told in server.told if path.startswith("/v1/models")}


def test_a_name_is_enough(keyed: Hosted, server: Server, backend: Server) -> None:
    for check in ("health", "models", "chat"):
        done = keyed.checks(check)
        assert done.returncode == 0 and done.stdout.startswith(f"{check} OK: "), done.stdout
    assert keys(server) == {f"Bearer {KEY}"}
    assert (
        "model-files fits no service of this host: vllm has health, models, idle"
        in keyed.checks("model-files").stdout
    )
    done = keyed.checks("models", "--service", "nope")
    assert done.returncode == 3 and "no service nope is deployed here; deployed: vllm, backend" in done.stdout


def test_what_is_typed_wins_and_gets_no_key_of_a_row(keyed: Hosted, server: Server) -> None:
    assert "other is not served" in keyed.checks("models", "--model", "other").stdout
    server.told.clear()
    for words in (["--url", server.url], [f"--url={server.url}"], ["--service", "vllm", "--url", server.url]):
        done = keyed.checks("models", *words)
        assert done.returncode == 2 and "401" in done.stdout, done.stdout
    assert keys(server) == {""}
    assert "backend says 401" in keyed.checks("chat", f"--backend-url={server.url}").stdout
    (keyed.home / "own").write_text(KEY)
    assert (
        keyed.checks("models", "--url", server.url, "--api-key-file", str(keyed.home / "own")).returncode == 0
    )


def test_all_judges_every_service(keyed: Hosted, server: Server) -> None:
    done = keyed.checks("all", "--format", "json")
    results = json.loads(done.stdout)["results"]
    assert [(each["service"], each["check"], each["state"]) for each in results] == [
        ("vllm", "health", "ok"),
        ("vllm", "models", "ok"),
        ("backend", "chat", "ok"),
    ]
    assert "other is not served" in keyed.checks("all", "--model", "other").stdout
    (keyed.home / "wrong").write_text("sk-wrong")
    assert "says 401" in keyed.checks("all", "--api-key-file", str(keyed.home / "wrong")).stdout
    server.answers["/health"] = (503, "")
    results = json.loads(keyed.checks("all", "--format", "json").stdout)["results"]
    assert [each["reason"] for each in results][1:] == ["not run, health failed"] * 2
    one = json.loads(keyed.checks("all", "--service", "backend", "--format", "json").stdout)["results"]
    assert [each["check"] for each in one] == ["chat"]


def test_several_are_told_apart(keyed: Hosted, backend: Server) -> None:
    """By their names for people, and by a label for a dashboard, which finds a probe by one name."""
    backend.answers["/health"] = (200, "")
    keyed.add("embeddings", "embed", url=backend.url, probes=["health"])
    file = keyed.home / "x.prom"
    done = keyed.checks("health", "--textfile", str(file))
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        "health of vllm OK",
        "health of embeddings OK",
    ]
    assert 'vllm_probe_success{probe="health",service="embeddings"} 1.0' in file.read_text()
    done = keyed.checks("all")
    assert [line.partition(" OK")[0] for line in done.stdout.splitlines()] == [
        *("health of vllm", "models", "health of embeddings", "chat")
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"nam": "x"}', "nonsense"])
def test_a_row_that_is_none_is_said(hosted: Hosted, text: str) -> None:
    hosted.add("vllm")
    (hosted.home / "releases/vllm/1-abc/service.json").write_text(text)
    for check in ("status", "health", "canary", "all"):
        done = hosted.checks(check)
        assert done.returncode == 3 and "vllm.json does not describe a service" in done.stdout, done.stdout
        assert "remedy: deploy again" in done.stdout


def test_a_fifo_in_place_of_a_row_holds_nobody_up(hosted: Hosted, at_once: None) -> None:
    os.mkfifo(hosted.home / "services/x.json")
    done = hosted.checks("status")
    assert done.returncode == 3 and "is no regular file" in done.stdout
