"""Judge of the token counts that a reply must carry."""

from collections.abc import Sequence

from python_checks.core.result import Fault, shorten
from python_checks.core.say import say

CHAT = ("prompt_tokens", "completion_tokens", "total_tokens")
RESPONSES = ("input_tokens", "output_tokens", "total_tokens")
REMEDY = say("clients that count tokens fail: see what changes the reply on its way, or update vLLM")


def judge_usage(usage: object, names: Sequence[str] = CHAT) -> list[Fault]:
    """Return what is wrong with `usage`, whose fields `names` are those of input, output and their sum."""
    if not isinstance(usage, dict):
        return [Fault(say("no usage: {usage}", usage=shorten(str(usage))), REMEDY)]
    counts = [usage.get(name) for name in names]
    if not all(isinstance(count, int) and count > 0 for count in counts):
        told = ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
        return [Fault(say("usage without counts: {told}", told=told), REMEDY)]
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
                REMEDY,
            )
        ]
    return []
