"""Whether a text of a model is words. What an engine writes that computes wrongly is judged here, for every check alike."""

import unicodedata
from typing import Any

from python_checks.core.result import Fault, shorten
from python_checks.core.say import say

REMEDY = say(
    "the engine computes wrongly: with several GPUs these most often cannot reach each other's "
    "memory: run the gpu check, then start vLLM with --disable-custom-all-reduce "
    "(vllm_disable_custom_all_reduce: true), or with NCCL_P2P_DISABLE=1 in vllm_environment; with "
    "one GPU compare the checksums of the weights"
)
BLANK = frozenset(
    "\u034f\u115f\u1160\u2800\u3164\uffa0"
)  # letters and signs by their category that show nothing
REPLACEMENT = "\ufffd"
SAMPLE = 4000  # characters judged at each end of a text
TIMES = 6  # a text that repeats one piece so often is no sentence
PIECE = 6  # characters of the pieces that are counted
SHORT = 16  # characters from which on pieces are counted
FEW = 0.25  # share of pieces that differ: of prose nearly all do
BROKEN, BROKEN_SHARE = 3, 0.2  # broken characters; a cut answer ends in one, and in part of another


def says_nothing(text: str) -> bool:
    """Tell whether a text shows nothing: blanks of every width, control and formatting characters, or none at all."""
    return not any(map(_shows, text))


def nonsense(text: str) -> str:
    """Return why a text is no words, in words; empty where it may be an answer, however short it is."""
    if len(text) > 2 * SAMPLE:
        text = text[:SAMPLE] + text[-SAMPLE:]
    shown = [char for char in text if not char.isspace()]
    broken = sum(char == REPLACEMENT or unicodedata.category(char) in ("Cc", "Co", "Cs") for char in shown)
    seen = "".join(char for char in shown if _shows(char)).casefold()
    if not shown:
        return say("blanks and nothing else") if text else ""
    if not seen:
        return say("characters that show nothing")
    if broken >= BROKEN and broken >= BROKEN_SHARE * len(shown):
        return say("broken characters")
    if not any(map(_tells, seen)):
        return (
            say("one character over and over")
            if len(set(seen)) == 1 < len(seen)
            else say("punctuation and nothing else")
        )
    if len(set(seen)) == 1 and len(seen) >= TIMES:
        return say("one character over and over")
    words = text.casefold().split()
    if (len(words) >= TIMES and len(set(words)) == 1) or _repeats(seen):
        return say("the same again and again")
    return ""


def fault(message: dict[str, Any], where: str) -> Fault | None:
    """Fault a message whose content or reasoning is nonsense; `where` opens the reason."""
    reasoning = _reasoning(message)
    for text in (message.get("content"), reasoning):
        # Behind a reasoning that is sound, an answer of blanks was only not begun.
        if isinstance(text, str) and not (reasoning and says_nothing(text)) and (why := nonsense(text)):
            words = say(
                "{where}: the engine answers nonsense: {why}: {text}",
                where=where,
                why=why,
                text=shorten(repr(text[:200]), 60),
            )
            return Fault(words, REMEDY)
    return None


def _reasoning(message: dict[str, Any]) -> str:
    """Return the reasoning, by vLLM's name for it or by the one before 0.12."""
    found = message.get("reasoning") or message.get("reasoning_content")
    return found if isinstance(found, str) and not says_nothing(found) else ""


def _shows(char: str) -> bool:
    return char not in BLANK and unicodedata.category(char)[0] not in "ZCM"


def _tells(char: str) -> bool:
    """Tell whether a character can be an answer by itself: a letter, a digit, a sign such as an emoji."""
    category = unicodedata.category(char)
    drawn = "\u2500" <= char < "\u2600"  # lines and blocks
    return category[0] in "LN" or (category == "So" and char != REPLACEMENT and not drawn)


def _repeats(seen: str) -> bool:
    """Tell whether a text, or the half that it ends with, is a few pieces again and again."""
    length = len(seen)
    periods = range(1, length // TIMES + 1) if length >= 8 and length <= 2 * SHORT else ()
    if any(seen[period:] == seen[:-period] for period in periods):
        return True
    return any(_few_pieces(part) for part in (seen, seen[-max(SHORT, length // 2) :]))


def _few_pieces(text: str) -> bool:
    pieces = [text[begin : begin + PIECE] for begin in range(len(text) - PIECE + 1)]
    return len(text) >= SHORT and len(set(pieces)) <= FEW * len(pieces)
