"""The OpenAI chat API as the checks use it: ask, and take a reply apart without trusting its shape."""

import json
from typing import Any

from python_checks.api import garbled, keys
from python_checks.api.harmony import REMEDY, leak
from python_checks.api.http import Reply, fetch, refusal
from python_checks.core.result import CheckError, Fault, shorten
from python_checks.core.say import joined, say

PATH = "/v1/chat/completions"

# What each refusal of vLLM means; anything else gets the last line.
REMEDIES = {
    400: say("the server refuses the request: an old vLLM or a missing flag may be the cause; see its log"),
    **dict.fromkeys(keys.REFUSED, keys.REMEDY),
    404: say("is the model name right (curl URL/v1/models), and does vLLM's own API listen at --url?"),
    500: say(
        "see the last ERROR in the server's log; a missing compiler (g++, Python headers) also ends here"
    ),
    502: say("a proxy cannot reach what lies behind it: ask vLLM itself (--url), and see the proxy's log"),
    503: say("the engine is dead or full: see /health, the log, and vllm:num_requests_waiting in /metrics"),
    504: say(
        "a proxy waited in vain for what lies behind it: ask vLLM itself (--url); raise the proxy's "
        "time limit"
    ),
}
CHANGED = say("ask vLLM itself, past any proxy, to see what changes the reply on its way")
UPDATE = say("update vLLM, or {changed}", changed=CHANGED)
PROXY = say(
    "a proxy or gateway gives an error of what lies behind it as a success: see its log; {changed}",
    changed=CHANGED,
)
PAGE = say("a web server, a proxy's page or a login answers there: {changed}", changed=CHANGED)
OTHER = say("something else than vLLM seems to answer there: check the host and port of --url")
ERRORS = ("error", "errors", "detail", "message", "reason", "msg")  # where servers put the words of one
CUT = say("raise the limit on new tokens (--max-model-len, or max_new_tokens in generation_config.json)")
# Ends that no limit on tokens and no flag explains.
ENDS = {
    "abort": say(
        "vLLM is being stopped, or its engine gave the request up: see its log; ask again when it is up"
    ),
    "error": say("the engine failed over this request: see the last ERROR in vLLM's log"),
    "content_filter": say(
        "vLLM filters nothing: a gateway or a guard before it does; {changed}", changed=CHANGED
    ),
}


def hello(model: str, most: int) -> dict[str, Any]:
    """Return the smallest request of a chat, for `most` tokens; temperature 0 as a probe must not depend on chance."""
    message = {"role": "user", "content": "Hello"}
    return {"model": model, "messages": [message], "temperature": 0, "max_tokens": most}


def ask(base: str, body: dict[str, Any], timeout: float) -> Reply:
    """POST one chat completion to `base`; see `fetch` for errors."""
    return fetch("POST", base + PATH, timeout, body)


def refuse(reply: Reply) -> None:
    """Go on with a reply of status 200.

    Raises:
        CheckError: any other; the fault quotes the server.
    """
    if reply.status != 200:
        remedy = REMEDIES.get(reply.status, say("see the server's log"))
        raise CheckError(
            Fault(say("HTTP {status}: {refusal}", status=reply.status, refusal=refusal(reply)), remedy)
        )


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
        raise not_it(reply, say("chat completion"))
    for place in (data, first):
        if place.get("error"):
            raise CheckError(_error(place))
    return first


def not_it(reply: Reply, what: str) -> CheckError:
    """Return the error of a reply of status 200 that is not `what` was asked for: who gives it, by what it holds."""
    data = reply.data
    if reply.refused:
        return CheckError(Fault(refusal(reply), CHANGED))
    if isinstance(data, dict) and any(data.get(key) for key in ERRORS):
        return CheckError(_error(data))
    stream = say("a stream came though none was asked for: {changed}", changed=CHANGED)
    remedy = next(
        (each for start, each in (("<", PAGE), ("data:", stream)) if reply.text.lstrip().startswith(start)),
        OTHER,
    )
    return CheckError(
        Fault(
            say("HTTP 200, but no {what}: {text}", what=what, text=shorten(reply.text) or say("empty body")),
            remedy,
        )
    )


def _error(data: dict[str, Any]) -> Fault:
    """Return the fault of a reply of status 200 that holds an error."""
    words = refusal(Reply(200, data, json.dumps(data, ensure_ascii=False)))
    inner = data.get("error")
    codes = [
        place.get(key) for place in (inner, data) if isinstance(place, dict) for key in ("code", "status")
    ]
    code = next((each for each in codes if isinstance(each, int | str) and each), None)
    told = say(" (code {code})", code=shorten(str(code), 40)) if code and str(code) not in words else ""
    return Fault(say("HTTP 200 with an error in it: {words}{told}", words=words, told=told), PROXY)


def end_of(first: dict[str, Any]) -> str:
    """Return the finish_reason of a choice in words."""
    finish = first.get("finish_reason")
    return shorten(finish if isinstance(finish, str) else json.dumps(finish), 40)


def answer_faults(
    first: dict[str, Any], turn: str, finishes: tuple[str, ...] = ("stop", "length")
) -> list[Fault]:
    """Judge a reply that must be words: content, finish_reason, no leak. `turn` opens each reason."""
    message, finish = first["message"], end_of(first)
    content = message.get("content")
    if nonsense := garbled.fault(message, turn):
        return [nonsense]
    wanted = joined(say(" or "), finishes)
    odd = say("{turn}: finish_reason {finish}, wanted {wanted}", turn=turn, finish=finish, wanted=wanted)
    faults = []
    if finish in ENDS:
        faults.append(Fault(odd, ENDS[finish]))
    elif not isinstance(content, str) or garbled.says_nothing(content):
        cut = say("; cut before its answer") if finish == "length" else ""
        calls = say(" but tool_calls") if message.get("tool_calls") else ""
        words = say(
            "{turn}: no content{calls} (finish_reason {finish}{cut})",
            turn=turn,
            calls=calls,
            finish=finish,
            cut=cut,
        )
        faults.append(Fault(words, _why_empty(message, finish)))
    if finish not in (*finishes, *ENDS):
        faults.append(Fault(odd, say("see the server's log for this request")))
    if token := leak(content):
        words = say("{turn}: Harmony token {token} leaks into content", turn=turn, token=token)
        faults.append(Fault(words, REMEDY))
    return faults


def begun(first: dict[str, Any], what: str) -> Fault | None:
    """Fault the reply to a chat of so few tokens that it may end before its answer: what it holds must be words all the same."""
    finish, message = end_of(first), first["message"]
    nothing = not any(
        message.get(part) for part in ("content", "reasoning", "reasoning_content", "tool_calls")
    )
    if finish in ENDS or (nothing and finish != "length"):
        return answer_faults(first, what)[0]
    return garbled.fault(message, what)


def _why_empty(message: dict[str, Any], finish: str) -> str:
    """Return the remedy for an answer without words, by what else the reply holds."""
    content = message.get("content")
    if finish == "length":
        return say("see the server's log; a limit on max_tokens leaves a reasoning model no room to answer")
    if message.get("tool_calls"):
        return say("a tool was called where words were wanted: is the chat template gpt-oss's?")
    if content is not None and not isinstance(content, str):
        return say("content is no string, as OpenAI's API has it: {changed}", changed=CHANGED)
    if message.get("reasoning") or message.get("reasoning_content"):
        return say(
            "it ended behind its reasoning: compare eos_token_id in generation_config.json, and the chat "
            "template, with gpt-oss's"
        )
    return say(
        "it ended without a word: see the server's log for this request; compare weights and chat "
        "template with gpt-oss's"
    )
