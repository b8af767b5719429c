"""The OpenAI chat API as the checks use it: ask, and take a reply apart without trusting its shape."""

from typing import Any

from python_checks import keys
from python_checks.harmony import REMEDY, leak
from python_checks.http import Reply, fetch, refusal
from python_checks.result import CheckError, Fault, shorten

PATH = "/v1/chat/completions"

# What each refusal of vLLM means; anything else gets the last line.
REMEDIES = {
    400: "the server refuses the request: an old vLLM or a missing flag may be the cause; see its log",
    **dict.fromkeys(keys.REFUSED, keys.REMEDY),
    404: "is the model name right (curl URL/v1/models), and does vLLM's own API listen at --url?",
    500: "see the last ERROR in the server's log; a missing compiler (g++, Python headers) also ends here",
    503: "the engine is dead or full: see /health, the log, and vllm:num_requests_waiting in /metrics",
}


def ask(base: str, body: dict[str, Any], timeout: float) -> Reply:
    """POST one chat completion to `base`; see `fetch` for errors."""
    return fetch("POST", base + PATH, timeout, body)


def refuse(reply: Reply) -> None:
    """Go on with a reply of status 200.

    Raises:
        CheckError: any other; the fault quotes the server.
    """
    if reply.status != 200:
        remedy = REMEDIES.get(reply.status, "see the server's log")
        raise CheckError(Fault(f"HTTP {reply.status}: {refusal(reply)}", remedy))


def choice(reply: Reply) -> dict[str, Any]:
    """Return the first choice, with `message` a dict.

    Raises:
        CheckError: the server refused, or its reply is no chat completion.
    """
    refuse(reply)
    data = reply.data if isinstance(reply.data, dict) else {}
    choices = data.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict) or not isinstance(first.get("message"), dict):
        raise CheckError(
            Fault(
                f"HTTP 200, but no chat completion: {shorten(reply.text) or 'empty body'}",
                "something else than vLLM seems to answer there: check the host and port of --url",
            )
        )
    return first


def answer_faults(
    first: dict[str, Any], turn: str, finishes: tuple[str, ...] = ("stop", "length")
) -> list[Fault]:
    """Judge a reply that must be words: content, finish_reason, no leak. `turn` opens each reason."""
    content, finish = first["message"].get("content"), first.get("finish_reason")
    faults = []
    if not isinstance(content, str) or not content.strip():
        cut = "; cut before its answer" if finish == "length" else ""
        calls = " but tool_calls" if first["message"].get("tool_calls") else ""
        faults.append(
            Fault(
                f"{turn}: no content{calls} (finish_reason {finish}{cut})",
                "see the server's log; a limit on max_tokens leaves a reasoning model no room to answer",
            )
        )
    if finish not in finishes:
        wanted = " or ".join(finishes)
        faults.append(
            Fault(f"{turn}: finish_reason {finish}, wanted {wanted}", "see the server's log for this request")
        )
    token = leak(content)
    if token:
        faults.append(Fault(f"{turn}: Harmony token {token} leaks into content", REMEDY))
    return faults
