"""Draws random wordings from phrases.yaml."""

import random
import re
from typing import Any

from messages import Message, Setting, Tool

CHOICE = re.compile(r"\[([^\[\]]*)\]")
FILLERS = {
    "ko": ["음", "저기", "그럼", "혹시", "저기요", "자", "네"],
    "en": ["well", "so", "please", "and", "now", "hey", "then"],
}


class Phrasing:
    """Random texts from the phrases.

    Args:
        phrases: content of phrases.yaml, and known words under `salad`.
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
        for name in ("junk", "salad"):
            while f"{{{name}}}" in phrase:
                phrase = phrase.replace(f"{{{name}}}", self._words(name), 1)
        return phrase

    def user(self, phrase: str, language: str, **values: str) -> Message:
        """A user's message, now and then with a stray or unknown word before or after it."""
        text = self.expand(phrase, **values).strip()
        if self.rng.random() < 0.12:
            word = self.rng.choice([*FILLERS[language], self.expand("{junk}")])
            text = self.rng.choice([f"{word} {text}", f"{word}, {text}", f"{text} {word}"])
        return Message("user", text)

    def final(self, answer: str, language: str, **values: object) -> Message:
        """One of the answers in words."""
        return Message("final", self.phrases["answers"][answer][language].format(**values))

    def setting(self) -> Setting:
        """A system message with a random date, mostly with tools, often with a system prompt."""
        rng = self.rng
        date = f"{rng.randint(2025, 2029)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
        count = rng.choices([0, 1, 2, 3], [8, 27, 20, 45])[0]
        tools = tuple(self._tool(name) for name in rng.sample(list(self.phrases["tools"]), count))
        instructions = self.expand(rng.choice(self.phrases["instructions"])) if rng.random() < 0.55 else ""
        effort = rng.choice(["medium", "medium", "medium", "low", "high"])
        return Setting(date, effort, instructions, tools)

    def _tool(self, name: str) -> Tool:
        texts = self.phrases["tools"][name]
        descriptions = self._description(texts["tool"]), self._description(texts["argument"])
        return Tool(name, descriptions[0], texts["parameter"], descriptions[1])

    def _description(self, wordings: list[str]) -> str:
        """Mostly one of the wordings, else none or nonsense: the tool's name has to be enough."""
        kind = self.rng.random()
        if kind < 0.6:
            return self.rng.choice(wordings)
        nonsense = ["{junk}", "{salad}", "{junk} {salad}\n{junk}"]
        return "" if kind < 0.8 else self.expand(self.rng.choice(nonsense))

    def _words(self, name: str) -> str:
        return " ".join(self.rng.choices(self.phrases[name], k=self.rng.choice([1, 2, 3, 4, 8, 20])))
