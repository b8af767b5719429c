"""One request to the chat API, plain or streamed, with a reply of the same shape; and the token counts that a reply must carry."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from python_checks.api import stream
from python_checks.api.joined import accept
from python_checks.api.openai import PATH, ask, choice
from python_checks.core.result import CheckError, Fault, State, shorten
from python_checks.core.say import say

CHAT = ("prompt_tokens", "completion_tokens", "total_tokens")
RESPONSES = ("input_tokens", "output_tokens", "total_tokens")
USAGE = say("clients that count tokens fail: see what changes the reply on its way, or update vLLM")


class Turn(NamedTuple):
    """A reply: its choice, its usage, and what was wrong with the stream itself."""

    first: dict[str, Any]
    usage: Any
    faults: list[Fault]


def take(url: str, body: dict[str, Any], timeout: float, streamed: bool = False) -> Turn:
    """Ask the vLLM at `url` for a chat completion within `timeout` seconds.

    Raises:
        CheckError: as `fetch`, or the server refused, or its reply is no chat completion.
    """
    if streamed:
        joined = accept(stream.read(url + PATH, body, timeout))
        return Turn(joined.choice, joined.usage, joined.faults)
    reply = ask(url, body, timeout)
    return Turn(choice(reply), reply.data.get("usage"), [])


def calls_of(turn: Turn) -> list[dict[str, Any]]:
    """Return the tool calls of a reply that have the shape of one; none where it has none."""
    found = turn.first["message"].get("tool_calls")
    return [call for call in found if isinstance(call, dict)] if isinstance(found, list) else []


def words(calls: Sequence[dict[str, Any]]) -> str:
    """Return calls as a person writes them."""
    functions = [call["function"] for call in calls if isinstance(call.get("function"), dict)]
    return shorten(", ".join(f"{each.get('name')}({each.get('arguments')})" for each in functions), 80)


def not_run(why: str) -> CheckError:
    """Return the error of a case that could not be tried."""
    return CheckError(Fault(say("not run, {why}", why=why), "", State.UNKNOWN))


def judge_usage(usage: object, names: Sequence[str] = CHAT) -> list[Fault]:
    """Return what is wrong with `usage`, whose fields `names` are those of input, output and their sum."""
    if not isinstance(usage, dict):
        return [Fault(say("no usage: {usage}", usage=shorten(str(usage))), USAGE)]
    counts = [usage.get(name) for name in names]
    if not all(isinstance(count, int) and count > 0 for count in counts):
        told = ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
        return [Fault(say("usage without counts: {told}", told=told), USAGE)]
    before, new, total = counts
    if before + new != total:  # type: ignore[operator]  # they are numbers, see above
        return [
            Fault(
                say(
                    "usage does not add up: {before} + {new} is not {total}",
                    before=before,
                    new=new,
                    total=total,
                ),
                USAGE,
            )
        ]
    return []
