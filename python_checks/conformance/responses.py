"""Judges of /v1/responses: the reply as a chat completion, so that the same judges hold for both."""

from typing import Any

from python_checks.api import garbled
from python_checks.api.harmony import REMEDY, leak
from python_checks.api.http import Reply
from python_checks.api.openai import CUT, ENDS, not_it, refuse
from python_checks.core.result import Fault, shorten
from python_checks.core.say import say

PATH = "/v1/responses"
WHY = {
    "max_output_tokens": CUT,
    "content_filter": ENDS["content_filter"],
    "cancelled": ENDS["abort"],
    "failed": ENDS["error"],
}
NO_CALL = say("see the server's log for this request; vLLM parses gpt-oss's calls here without any flag")


def calls(reply: Reply) -> tuple[list[dict[str, Any]], list[Fault]]:
    """Return the function calls of a response in the shape of a chat completion's, and what is wrong around them.

    Raises:
        CheckError: the server refused, or its reply is no response.
    """
    refuse(reply)
    data = reply.data if isinstance(reply.data, dict) else {}
    output = data.get("output")
    if data.get("object") != "response" or not isinstance(output, list):
        raise not_it(reply, "response")
    items = [item for item in output if isinstance(item, dict)]
    found = [
        {"id": item.get("call_id"), "function": {key: item.get(key) for key in ("name", "arguments")}}
        for item in items
        if item.get("type") == "function_call"
    ]
    texts = _texts(items)
    nonsense = (garbled.fault({"content": text}, "output") for text in texts)
    if first := next(filter(None, nonsense), None):
        return found, [first]
    faults = []
    status = data.get("status")
    if status != "completed":
        why = shorten(str(data.get("incomplete_details") or data.get("error")))
        fitting = (remedy for word, remedy in WHY.items() if word in f"{status} {why}")
        remedy = next(fitting, say("see the server's log"))
        faults.append(
            Fault(
                say("status is {status}, wanted completed: {why}", status=shorten(str(status), 40), why=why),
                remedy,
            )
        )
    for token in filter(None, map(leak, texts)):
        faults.append(Fault(say("Harmony token {token} leaks into the output", token=token), REMEDY))
    return found, faults


def _texts(items: list[dict[str, Any]]) -> list[object]:
    """Return the texts of messages and of reasoning among `items`."""
    contents = [item.get("content") for item in items if item.get("type") in ("message", "reasoning")]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return [part.get("text") for part in parts if isinstance(part, dict)]
