"""A server that asks for a key: every probe tells it, tells nobody else, and never says it."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from python_checks import cli
from python_checks.api import keys, weather
from python_checks.conformance import langchain
from python_checks.core import hidden
from python_checks.core.result import CheckError, Fault, Result, State
from python_checks.host import users
from tests.python_checks.canary_support import Canary
from tests.python_checks.replaying import recorded, replay
from tests.python_checks.support import Healthy, Probe, Server
from tests.serving import running

KEY = r'sk-"q\u0041"$HOME%s&<b>`id`'  # what quoting, JSON and a shell could spoil


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave no key behind for other tests of this process, nor a handler."""
    monkeypatch.delenv(keys.VARIABLE, raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)
    keys._files.clear()
    hidden._words.clear()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with the key, as a person writes it, with a line break."""
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    return path


def test_every_check_of_all_tells_the_key_to_vllm_and_to_nobody_else(
    healthy: Healthy, file: Path, probe: Probe
) -> None:
    server, options = healthy
    server.key = KEY
    done = probe(*options, "--api-key-file", str(file))
    backend = [told for path, told in server.told if path == "/v1/chat"]
    assert (done.returncode, done.stderr) == (0, "") and "chat OK" in done.stdout
    # Here both are one server; a key goes by the address.
    assert {told for _, told in server.told} == {f"Bearer {KEY}"} and len(backend) == 1


def test_another_server_is_told_nothing(healthy: Healthy, file: Path, probe: Probe) -> None:
    server, options = healthy
    other = Server()
    other.answers["/v1/chat"] = server.answers["/v1/chat"]
    with running(other.server) as url:
        assert probe(*options, "--backend-url", url, "--api-key-file", str(file)).returncode == 0
    assert other.told == [("/v1/chat", "")]


@pytest.mark.parametrize("given", ["none", "wrong"])
@pytest.mark.parametrize("check", ["models", "completion", "tool-call", "latency", "wait", "conformance"])
def test_a_wrong_key_is_called_that(
    check: str, given: str, server: Server, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.key = "another"
    server.answers |= {"/health": (200, ""), "/version": (200, {"version": "0.32.0"})}
    options = ["--url", server.url, "--model", "gpt-oss-120b", "--format", "json"]
    options += ["--api-key-file", str(file)] if given == "wrong" else []
    assert cli.main([check, *options]) == 2
    results = json.loads(capsys.readouterr().out)["results"]
    refused = [each for each in results if "401" in each["reason"]]
    assert len(refused) >= len(results) / 2
    for result in refused:
        assert "Unauthorized" in result["reason"] and keys.REMEDY in result["remedy"], result
        assert "tool-call-parser" not in result["remedy"]


def test_the_key_of_the_environment(healthy: Healthy, probe: Probe) -> None:
    """A unit's ExecStartPost has it there."""
    server, options = healthy
    server.key = KEY
    url = options[2]
    assert probe("wait", "--url", url, "--model", "gpt-oss-120b", VLLM_API_KEY=KEY).returncode == 0
    assert probe("models", "--url", url, VLLM_API_KEY="").returncode == 2


def test_the_credential_of_a_unit_wins_over_the_file(healthy: Healthy, tmp_path: Path, probe: Probe) -> None:
    """The file may be readable for root alone, and a timer's user gets a credential of its name."""
    server, options = healthy
    server.key = KEY
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials/key").write_text(KEY)
    options = ["models", *options[1:5], "--api-key-file", "/nowhere/key"]
    assert probe(*options, CREDENTIALS_DIRECTORY=str(tmp_path / "credentials")).returncode == 0
    assert probe(*options, CREDENTIALS_DIRECTORY=str(tmp_path)).returncode == 3


@pytest.mark.parametrize(
    "quoted", [KEY, repr(KEY), json.dumps(KEY), json.dumps(json.dumps(KEY)), f"{'x' * 150}{KEY}"]
)
@pytest.mark.parametrize(
    ("check", "way"),
    [*(("tool-call", way) for way in ("text", "table", "json", "junit")), ("models", "text"), ("conformance", "json")],
)  # fmt: skip
def test_a_server_that_quotes_the_key_is_not_quoted(
    check: str, way: str, quoted: str, server: Server, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.key = "another"
    server.refusal = {"error": {"message": f"Incorrect API key provided: {quoted}. You find yours here."}}
    server.answers["/version"] = (200, {"version": "0.32.0", "key": KEY})
    metrics = file.with_name("x.prom")
    options = ["--url", server.url, "--model", "a", "--api-key-file", str(file), "--format", way]
    assert cli.main([check, *options, "--textfile", str(metrics)]) == 2
    output = capsys.readouterr()
    said = output.out + output.err + metrics.read_text()
    assert "Incorrect" in said
    assert not [part for part in ("sk-", "HOME", "<b>", "u0041") if part in said], said


def test_a_model_that_says_the_key_is_not_quoted(
    healthy: Healthy, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server, options = healthy
    reply = {"choices": [{"message": {"content": f"my key is {KEY}"}, "finish_reason": "stop"}]}
    server.answers["/v1/chat/completions"] = (200, reply)
    assert cli.main(["completion", *options[1:5], "--api-key-file", str(file), "--format", "json"]) == 0
    [result] = json.loads(capsys.readouterr().out)["results"]
    assert result["evidence"]["content"] == "my key is ***" and "sk-" not in str(result)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "does not hold an API key"),
        (b"\n", "does not hold an API key"),
        (b"with blanks", "does not hold an API key"),
        (b"a\r\nX-Injected: b", "does not hold an API key"),
        (b"several\nlines\n", "does not hold an API key"),
        ("비밀".encode(), "does not hold an API key"),
        (b"\xff\xfe", "does not hold an API key"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_is_no_key(
    content: bytes | None, words: str, healthy: Healthy, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server, options = healthy
    file.unlink() if content is None else file.write_bytes(content)
    assert cli.main([*options, "--api-key-file", str(file), "--format", "json"]) == 3
    said = capsys.readouterr().out
    health = json.loads(said)["results"][1]
    assert words in health["reason"] and health["state"] == "unknown" and health["remedy"]
    assert all(text not in said for text in ("Injected", "lines", "blanks", "비밀", "\\u"))
    assert server.told == []


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root can become another user")
def test_a_key_of_root_is_not_readable_for_others(file: Path) -> None:
    file.chmod(0o600)
    file.parent.chmod(0o755)
    keys.use("http://a", file)
    with users.acting_as("nobody"), pytest.raises(CheckError, match="cannot be read: Perm") as caught:
        keys.of("http://a/v1")
    assert "run it as root" in caught.value.fault.remedy
    assert keys.of("http://a/v1") == KEY


def test_a_carriage_return_of_an_editor_is_no_part_of_the_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(f"{KEY}\r\n".encode())
    keys.use("http://a:8000", tmp_path / "key")
    assert keys.header("http://a:8000/v1/models") == {"Authorization": f"Bearer {KEY}"}
    for other in ("http://a:8001/v1", "https://a:8000/v1", "http://b:8000/v1", "http://a/v1"):
        assert keys.header(other) == {}


def test_a_rotated_key_is_taken_at_once(tmp_path: Path) -> None:
    keys.use("http://a:8000", tmp_path / "key")
    for key in ("first", "second"):
        (tmp_path / "key").write_text(key)
        assert keys.of("http://a:8000/health") == key
    assert hidden.without(["first", {"second": ("the first",)}]) == ["***", {"***": ("the ***",)}]


def test_a_fault_and_a_result_hold_no_key() -> None:
    hidden.hide(KEY)
    assert Fault(f"a {KEY}", KEY) == Fault("a ***", "***")
    result = Result("x", State.OK, f"a {json.dumps(KEY)}", evidence={"a": [{"b": f"<{KEY}>"}]})
    assert result.reason == 'a "***"' and result.evidence == {"a": [{"b": "<***>"}]}


def test_langchain_is_given_the_key_and_never_on_its_command_line(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chats = [each for each in recorded("conformance") if each["case"] in ("chat-auto", "chat-auto-stream")]
    commands = []
    run = langchain.command.run
    monkeypatch.setattr(
        langchain.command, "run", lambda words, *rest: commands.append(words) or run(words, *rest)
    )
    with replay(chats, of=lambda body: bool(body.get("stream")), key=KEY) as url:
        keys.use(url, file)
        found = langchain.ask(sys.executable, url, "gpt-oss-120b", 30)
        assert langchain.judge(found, [weather.TOOL]) == []
        file.write_text("sk-wrong")
        with pytest.raises(CheckError, match="Unauthorized") as caught:
            langchain.ask(sys.executable, url, "gpt-oss-120b", 30)
        assert "sk-" not in str(caught.value) and "sk-" not in str(commands)
        assert caught.value.fault.remedy == keys.REMEDY


def test_the_canary_tells_the_key_and_calls_a_wrong_one_that(
    canary: Canary, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary.server.kill()
    canary.server.wait()
    monkeypatch.setenv("KEY", KEY)
    canary.server = canary.serve()
    code, result = canary.run("--api-key-file", str(file))
    assert (code, result["evidence"]["condition"]) == (0, "alive")
    file.write_text("sk-wrong")
    code, result = canary.run("--api-key-file", str(file))
    assert (code, result["evidence"]["condition"]) == (2, "refused")
    assert "HTTP 401" in result["reason"] and "API key" in result["remedy"]
    assert canary.restarts == [] and "sk-" not in str(result)
    file.unlink()
    code, result = canary.run("--api-key-file", str(file))
    assert code == 3 and "cannot be read" in result["reason"] and canary.restarts == []
