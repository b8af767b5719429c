"""Words that no output may hold: API keys, whoever says them. A server may quote the key that it refuses."""

import re
from typing import Any

from python_checks.core.say import Said

SHORTEST = 4  # characters; a shorter key guards nothing, and to hide it would spoil every word that holds it
MASK = "***"

_words: dict[str, re.Pattern[str]] = {}


def hide(word: str) -> None:
    """Keep a word out of every result and message from now on."""
    if len(word) >= SHORTEST and word not in _words:
        # However often JSON, Python or a shell has quoted it.
        characters = (
            r"\\+" if char == "\\" else rf"\\*(?:{re.escape(char)}|u(?i:{ord(char):04x}))" for char in word
        )
        _words[word] = re.compile("".join(characters))


def without(value: Any) -> Any:
    """Return a text, or JSON values, without the hidden words."""
    if isinstance(value, Said):
        return value.through(without) if _words else value
    if isinstance(value, str):
        for word in sorted(_words, key=len, reverse=True):
            value = _words[word].sub(MASK, value)
    elif isinstance(value, dict) and _words:
        return {without(key): without(each) for key, each in value.items()}
    elif isinstance(value, list | tuple) and _words:
        changed = [without(each) for each in value]
        return type(value)(*changed) if hasattr(value, "_fields") else type(value)(changed)
    return value
