"""Words that are meant for the user: raw Harmony text, which vLLM's parser should have taken out, never reaches one."""

import re

from src.core.errors import ServiceError

# Special tokens, roles and channels run together as they are where those are lost, and the address of a tool.
_GLUED = ("assistantanalysis", "assistantcommentary", "assistantfinal", "to=functions.")
_LEAK = re.compile(rf"<\|[a-z_]+\|>|{'|'.join(map(re.escape, _GLUED))}")
_BEGINNINGS = sorted({word[:end] for word in _GLUED for end in range(1, len(word))}, key=len, reverse=True)
_MAY_BECOME_ONE = re.compile(rf"(?:<(?:\|[a-z_]*\|?)?|{'|'.join(map(re.escape, _BEGINNINGS))})\Z")


def check(text: str) -> None:
    """Pass words of the model.

    Raises:
        ServiceError: They hold raw Harmony text.
    """
    if _LEAK.search(text):
        remedy = "ask again; if it comes again: serve with --tool-call-parser openai, or update vLLM"
        raise ServiceError(502, "model_failed", "the answer holds raw Harmony text", remedy)


class Words:
    """The words of one streamed message: what may be shown of them so far."""

    def __init__(self) -> None:
        """Begin with none."""
        self._text = ""
        self._shown = 0

    def add(self, text: str) -> str:
        """Take the next piece and return what may be shown now; what may become a token is held back.

        Raises:
            ServiceError: The words hold raw Harmony text, none of which was returned.
        """
        self._text += text
        check(self._text)
        held = _MAY_BECOME_ONE.search(self._text)
        return self._show(held.start() if held else len(self._text))

    def rest(self) -> str:
        """Return what was held back; the message is at its end."""
        return self._show(len(self._text))

    def _show(self, end: int) -> str:
        shown, self._shown = self._text[self._shown : end], max(self._shown, end)
        return shown
