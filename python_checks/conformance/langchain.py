"""The tool call through langchain_openai, as the backend's own Python has it: run the client, and judge what it made of the replies."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from python_checks.api import garbled, keys, weather
from python_checks.api.harmony import REMEDY, leak
from python_checks.api.tool_calls import judge_calls
from python_checks.core import command
from python_checks.core.result import CheckError, Fault, State, shorten
from python_checks.core.say import say
from python_checks.host import trust

CLIENT = Path(__file__).with_name("langchain_client.py")
CLIENT_REMEDY = say(
    "curl gets the call and langchain_openai drops it: compare its version with that of locks/backend.txt"
)


def ask(python: str, url: str, model: str, timeout: float) -> dict[str, Any]:
    """Return what langchain_openai of the interpreter `python` made of a plain and of a streamed reply.

    Raises:
        CheckError: it could not be run, the API key cannot be read, or the client raised an exception, which is quoted.
    """
    given = json.dumps({"tool": weather.TOOL, "prompt": weather.PROMPT})
    limit = 3 * timeout  # for both replies and the client's start
    client = [*as_owner(Path(python), limit), "-I", str(CLIENT), url, model, f"{timeout:g}", given]
    try:
        output = command.run(client, limit, keys.of(url))
    except (OSError, TimeoutError) as error:
        raise CheckError(
            Fault(
                say("{python} cannot be run: {error}", python=python, error=error),
                say("is it the backend's Python?"),
                State.UNKNOWN,
            )
        ) from error
    last = (output.text.strip().splitlines() or [""])[-1]
    try:
        document: dict[str, Any] = json.loads(last)
        return {way: document[way] for way in ("invoke", "stream")}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        state = State.UNKNOWN if "No module named" in last else State.CRITICAL
        words = say(
            "langchain_openai failed: {last}",
            last=shorten(last, 200) or say("exit code {code}", code=output.code),
        )
        remedy = say("run the tool-call check; is langchain_openai installed there?")
        refused = re.search(rf"Error code: ({'|'.join(map(str, keys.REFUSED))})\b", last)
        raise CheckError(Fault(words, keys.REMEDY if refused else remedy, state)) from error


def as_owner(python: Path, limit: float) -> list[str]:
    """Return how to run it: root runs what another user could change as that user, by systemd in a sandbox, for `limit` seconds.

    Raises:
        CheckError: several users could change it.
    """
    others = [] if os.geteuid() else trust.others(python)
    if not others:
        return [str(python)]
    for place, _, who in (other for other in others if not other.uid):
        words = say(
            "{python} cannot be run: {place} may be written by {who}, so root does not run it, and it is nobody's to run it as",
            python=python,
            place=place,
            who=who,
        )
        raise CheckError(Fault(words, say("sudo chmod go-w {place}", place=place), State.UNKNOWN))
    rules = (
        "ProtectSystem=strict",
        "PrivateTmp=yes",
        "NoNewPrivileges=yes",
        f"RuntimeMaxSec={limit:g}",
    )
    options = [
        "--pipe",
        "--wait",
        "--collect",
        "--quiet",
        *(f"--property={rule}" for rule in rules),
    ]
    return ["systemd-run", f"--uid={others[0].uid}", *options, str(python)]


def judge(document: dict[str, Any], tools: Sequence[dict[str, Any]]) -> list[Fault]:
    """Return every broken point of what the client made of both replies."""
    return [
        Fault(say("{way}: {reason}", way=way, reason=fault.reason), fault.remedy, fault.state)
        for way, message in document.items()
        for fault in _judge(message, tools)
    ]


def _judge(message: dict[str, Any], tools: Sequence[dict[str, Any]]) -> list[Fault]:
    calls = [
        {"id": call["id"], "function": {"name": call["name"], "arguments": json.dumps(call["args"])}}
        for call in message["tool_calls"]
    ]
    faults = judge_calls(calls, tools)
    for call in message["invalid_tool_calls"]:
        faults.append(
            Fault(say("the client calls it invalid: {call}", call=shorten(str(call))), CLIENT_REMEDY)
        )
    if not calls and not message["invalid_tool_calls"]:
        faults.append(
            Fault(
                say("no tool call (finish_reason {finish_reason})", finish_reason=message["finish_reason"]),
                CLIENT_REMEDY,
            )
        )
    if nonsense := garbled.fault(message, say("the client")):
        faults.append(nonsense)
    if token := leak(message["content"]):
        faults.append(Fault(say("Harmony token {token} leaks into content", token=token), REMEDY))
    return faults
