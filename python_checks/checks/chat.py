"""POST /v1/chat: the backend answers through the model and used its tool (the guide's section 5.3)."""

import argparse
import re
import uuid
from collections.abc import Iterator

from python_checks.api import garbled
from python_checks.api.harmony import REMEDY, leak
from python_checks.api.http import Reply, fetch, refusal
from python_checks.core import options as opt
from python_checks.core.result import Fault, Result, conclude, shorten
from python_checks.core.say import say

NEEDS: tuple[str, ...] = ("requests",)

TIMEOUT = 120.0
SESSION = "probe-"
ID = re.compile(r"[0-9a-fA-F-]{8,}")
MESSAGE = "회사 휴가 정책 알려줘"
REMEDY_OTHER = say(
    "on 503 the model side is the cause: run the tool-call check; else see the backend's log, and "
    "that it serves POST /v1/chat at --backend-url"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_service(parser)
    opt.add_backend_url(parser)
    opt.add_timeout(parser, TIMEOUT)


def run(options: argparse.Namespace) -> Result:
    """Ask the guide's question in a session of its own."""
    body = {"message": MESSAGE, "session_id": f"{SESSION}{uuid.uuid4().hex[:12]}"}
    return judge(fetch("POST", f"{options.backend_url}/v1/chat", options.timeout, body), options.expect_tool)


def texts(data: object) -> Iterator[str]:
    """Yield every string of a reply that is not of the request."""
    if isinstance(data, dict | list):
        for value in data.values() if isinstance(data, dict) else data:
            yield from texts(value)
    elif isinstance(data, str) and data != MESSAGE and not data.startswith(SESSION):
        yield data


def judge(reply: Reply, expect_tool: str) -> Result:
    """Accept a non-empty answer without raw Harmony text, made with `expect_tool`.

    An empty `expect_tool` is for a backend of a user's own, of whose replies nothing is known: any text in the JSON is its answer.
    """
    data = reply.data if isinstance(reply.data, dict) else {}
    found = [text for text in texts(data.get("answer", data)) if not ID.fullmatch(text)]
    longest = max(found, key=len, default="")
    if data and not expect_tool:
        data = {"answer": "\n".join(found)} | data
    if reply.status != 200 or "answer" not in data:
        fault = Fault(
            say("backend says {status}: {refusal}", status=reply.status, refusal=refusal(reply)),
            str(data.get("remedy") or REMEDY_OTHER),
        )
        return conclude("chat", [fault], "", {"status": reply.status})
    answer, tools = data["answer"], data.get("tools_called")
    called = [shorten(str(name), 60) for name in tools[:20]] if isinstance(tools, list) else []
    faults = []
    if not isinstance(answer, str) or garbled.says_nothing(answer):
        faults.append(
            Fault(say("the backend's answer is empty"), say("run the tool-call check; see the backend's log"))
        )
    elif nonsense := garbled.fault({"content": longest}, say("the backend's answer")):
        faults.append(nonsense)
    if leak(answer):
        faults.append(Fault(say("Harmony token {leak} leaks into the answer", leak=leak(answer)), REMEDY))
    if expect_tool and expect_tool not in called:
        faults.append(
            Fault(
                say(
                    "tool {expect_tool} was not called; called: {called}",
                    expect_tool=expect_tool,
                    called=", ".join(called) or say("none"),
                ),
                say("run the tool-call check; a backend that reports no tools_called needs --expect-tool ''"),
            )
        )
    session = shorten(str(data.get("session_id")))
    evidence = {"answer": shorten(str(answer)), "tools_called": called, "session_id": session}
    return conclude(
        "chat",
        faults,
        say("answered with {called}", called=", ".join(called) or say("no tool reported")),
        evidence,
    )
