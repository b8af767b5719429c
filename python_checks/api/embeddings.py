"""Embeddings as the checks use them: vectors of texts, and what must be true of them."""

import math
from collections.abc import Sequence
from typing import Any

from python_checks.api.http import Reply
from python_checks.api.openai import CHANGED, not_it, refuse
from python_checks.core.result import Fault
from python_checks.core.say import count, say

PATH = "/v1/embeddings"
TEXTS = ("The sun rises in the east.", "Bananas are sold by weight at the market.")
WEIGHTS = say("the weights or the GPUs compute nonsense: run the model-files and gpu checks, and see the log")

Vector = list[Any]


def body(model: str, texts: Sequence[str] = TEXTS) -> dict[str, Any]:
    """Return a request for the vectors of some texts."""
    return {"model": model, "input": list(texts), "encoding_format": "float"}


def vectors(reply: Reply) -> list[Vector]:
    """Return the vectors of a reply, in the order of their texts.

    Raises:
        CheckError: the server refused, or its reply holds no embeddings.
    """
    refuse(reply)
    data = reply.data.get("data") if isinstance(reply.data, dict) else None
    found = (
        [each.get("embedding") for each in data if isinstance(each, dict)] if isinstance(data, list) else []
    )
    if not found or not all(isinstance(each, list) for each in found):
        raise not_it(reply, say("embeddings"))
    return [each for each in found if isinstance(each, list)]


def faults(found: Sequence[Vector], wanted: int) -> list[Fault]:
    """Judge vectors: as many as texts, of one length, finite numbers that are not all zero, and no two alike."""
    if len(found) != wanted:
        return [
            Fault(
                count(
                    len(found),
                    "{number} embedding came for {wanted} texts",
                    "{number} embeddings came for {wanted} texts",
                    wanted=wanted,
                ),
                CHANGED,
            )
        ]
    lengths = sorted({len(each) for each in found})
    if len(lengths) > 1 or not lengths[0]:
        return [
            Fault(
                say(
                    "the embeddings have {lengths} numbers, wanted one length",
                    lengths=", ".join(map(str, lengths)),
                ),
                WEIGHTS,
            )
        ]
    if not all(_number(value) for each in found for value in each):
        return [Fault(say("an embedding holds what is no finite number"), WEIGHTS)]
    if not all(any(each) for each in found):
        return [Fault(say("an embedding holds nothing but zeros"), WEIGHTS)]
    if len({tuple(each) for each in found}) < len(found):
        return [Fault(say("two different texts have the same embedding"), WEIGHTS)]
    return []


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
