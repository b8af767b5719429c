"""Judges of /v1/responses: the reply as a chat completion, so that the same judges hold for both."""

from typing import Any

from python_checks.harmony import REMEDY, leak
from python_checks.http import Reply
from python_checks.openai import refuse
from python_checks.result import CheckError, Fault, shorten

PATH = "/v1/responses"
NO_CALL = "see the server's log for this request; vLLM parses gpt-oss's calls here without any flag"


def calls(reply: Reply) -> tuple[list[dict[str, Any]], list[Fault]]:
    """Return the function calls of a response in the shape of a chat completion's, and what is wrong around them.

    Raises:
        CheckError: the server refused, or its reply is no response.
    """
    refuse(reply)
    data = reply.data if isinstance(reply.data, dict) else {}
    output = data.get("output")
    if data.get("object") != "response" or not isinstance(output, list):
        words = f"HTTP 200, but no response: {shorten(reply.text) or 'empty body'}"
        raise CheckError(Fault(words, "something else than vLLM seems to answer there: check --url"))
    items = [item for item in output if isinstance(item, dict)]
    found = [
        {"id": item.get("call_id"), "function": {key: item.get(key) for key in ("name", "arguments")}}
        for item in items
        if item.get("type") == "function_call"
    ]
    faults = []
    if data.get("status") != "completed":
        why = shorten(str(data.get("incomplete_details") or data.get("error")))
        faults.append(
            Fault(f"status is {data.get('status')}, wanted completed: {why}", "see the server's log")
        )
    for token in filter(None, map(leak, _texts(items))):
        faults.append(Fault(f"Harmony token {token} leaks into the output", REMEDY))
    return found, faults


def _texts(items: list[dict[str, Any]]) -> list[object]:
    """Return the texts of messages among `items`."""
    parts = [part for item in items if item.get("type") == "message" for part in item.get("content") or ()]
    return [part.get("text") for part in parts if isinstance(part, dict)]
