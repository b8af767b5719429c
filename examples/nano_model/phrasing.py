"""Draws random wordings from phrases.yaml."""

import random
import re
from typing import Any

from messages import Message, Setting, Tool

CHOICE = re.compile(r"\[([^\[\]]*)\]")


class Phrasing:
    """Random texts from the phrases.

    Args:
        phrases: content of phrases.yaml.
        rng: where chance comes from.
    """

    def __init__(self, phrases: dict[str, Any], rng: random.Random) -> None:
        """Keeps phrases and chance."""
        self.phrases = phrases
        self.rng = rng

    def expand(self, phrase: str, **values: str) -> str:
        """Picks the alternatives of a phrase and fills in its values."""
        while CHOICE.search(phrase):
            phrase = CHOICE.sub(lambda match: self.rng.choice(match[1].split("|")), phrase)
        for name, value in values.items():
            phrase = phrase.replace(f"{{{name}}}", value)
        return phrase

    def user(self, phrase: str, **values: str) -> Message:
        """A user's message."""
        return Message("user", self.expand(phrase, **values).strip())

    def final(self, answer: str, language: str, **values: object) -> Message:
        """One of the answers in words."""
        return Message("final", self.phrases["answers"][answer][language].format(**values))

    def setting(self) -> Setting:
        """A system message with a random date, mostly with tools, often with a system prompt."""
        rng = self.rng
        date = f"{rng.randint(2025, 2029)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
        count = rng.choices([0, 1, 2, 3], [10, 30, 25, 35])[0]
        tools = tuple(self._tool(name) for name in rng.sample(list(self.phrases["tools"]), count))
        instructions = self.expand(rng.choice(self.phrases["instructions"])) if rng.random() < 0.5 else ""
        return Setting(date, "medium", instructions, tools)

    def _tool(self, name: str) -> Tool:
        texts = self.phrases["tools"][name]
        return Tool(
            name, self.rng.choice(texts["tool"]), texts["parameter"], self.rng.choice(texts["argument"])
        )
