"""The real langchain_openai on replies that a real vLLM gave, good and broken; and as whom a Python is run."""

import os
import sys
from pathlib import Path

import pytest

from python_checks.api import weather
from python_checks.conformance import langchain
from python_checks.core.result import CheckError, Fault, State
from tests.python_checks.replaying import Exchange, changed, recorded, replay

CALL_END = '"finish_reason":"tool_calls"'


def chats() -> list[Exchange]:
    """Return the plain and the streamed reply."""
    return [each for each in recorded("conformance") if each["case"] in ("chat-auto", "chat-auto-stream")]


def ask(exchanges: list[Exchange], python: str = sys.executable) -> list[Fault]:
    """Have the client ask a server that gives these replies, and judge what it made of them."""
    with replay(exchanges, of=lambda body: bool(body.get("stream"))) as url:
        return langchain.judge(langchain.ask(python, url, "gpt-oss-120b", 30), [weather.TOOL])


def test_a_real_servers_replies_pass() -> None:
    assert ask(chats()) == []


@pytest.mark.parametrize(
    ("case", "old", "new", "words"),
    [
        ("chat-auto", r'\"Seoul\"}', r'\"Se', "invoke: the client calls it invalid: {"),
        ("chat-auto", '"tool_calls":[', '"tool_calls":null,"gone":[', "invoke: no tool call (finish_reason "),
        ("chat-auto", '"content":null', '"content":"<|channel|>x"', "invoke: Harmony token <|channel|> leaks"),
        ("chat-auto", r'\"location\"', r'\"city\"', "invoke: get_weather: arguments break the schema"),
        ("chat-auto-stream", '"name":"get_weather"', '"name":"search"', 'stream: called "search", which was not'),
        ("chat-auto-stream", '"tool_calls":[', '"gone":[', "stream: no tool call (finish_reason tool_calls)"),
    ],
)  # fmt: skip
def test_what_the_client_makes_of_broken_replies(case: str, old: str, new: str, words: str) -> None:
    [fault] = ask(changed(chats(), case, old, new))
    assert fault.reason.startswith(words) and fault.state is State.CRITICAL and fault.remedy


def test_an_exception_of_the_client_is_quoted() -> None:
    refused = [each | {"status": 400, "text": '{"error": {"message": "no such parser"}}'} for each in chats()]
    with pytest.raises(CheckError, match=r"^langchain_openai failed: .*no such parser") as caught:
        ask(refused)
    assert caught.value.fault.state is State.CRITICAL


@pytest.mark.parametrize(
    ("python", "words"),
    [("/usr/bin/python3", "No module named 'langchain_openai'"), ("/nowhere/python", "cannot be run")],
)
def test_a_python_that_is_not_the_backends(python: str, words: str) -> None:
    with pytest.raises(CheckError, match=words) as caught:
        ask(chats(), python)
    assert caught.value.fault.state is State.UNKNOWN


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root may give a file away")
def test_root_runs_nobodys_python(tmp_path: Path) -> None:
    python = tmp_path / "checkout" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/usr/bin/python3")
    assert langchain.as_owner(python, 90) == [str(python)]
    for given in (python, python.parent, tmp_path / "checkout"):
        os.chown(given, 4711, 4711, follow_symlinks=False)
        words = langchain.as_owner(python, 90)
        assert words[:2] == ["systemd-run", "--uid=4711"] and words[-1] == str(python)
        assert "--property=RuntimeMaxSec=90" in words
        os.chown(given, 0, 0, follow_symlinks=False)
    (tmp_path / "own").mkdir()
    os.chown(tmp_path / "own", 4711, 4711)
    (tmp_path / "own" / "python3").symlink_to("/usr/bin/python3")
    python.unlink()
    python.symlink_to(tmp_path / "own" / "python3")
    assert langchain.as_owner(python, 90)[0] == "systemd-run"


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root may give a file away")
@pytest.mark.parametrize(("group", "mode"), [(4711, 0o775), (4711, 0o2775), (0, 0o777), (0, 0o757)])
def test_root_runs_nothing_that_several_may_change(tmp_path: Path, group: int, mode: int) -> None:
    python = tmp_path / "checkout" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/usr/bin/python3")
    for given in (python.parent, tmp_path / "checkout"):
        os.chown(given, 0, group)
        given.chmod(mode)
        with pytest.raises(CheckError, match=f"{given} may be written by (group 4711|everyone)") as caught:
            langchain.as_owner(python, 90)
        assert caught.value.fault.remedy == f"sudo chmod go-w {given}"
        os.chown(given, 0, 0)
        given.chmod(0o775)  # the group of root alone
    assert langchain.as_owner(python, 90) == [str(python)]
    (tmp_path / "checkout").chmod(0o1777)  # as /tmp: what root has there stays root's
    assert langchain.as_owner(python, 90) == [str(python)]
