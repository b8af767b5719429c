"""Writes the conversations that the nano model is trained on."""

import json
import random
from collections.abc import Sequence
from typing import Any

from messages import Message
from phrasing import Phrasing

TOOLS = {"weather": "get_weather", "policy": "search_policy", "calculation": "calculate"}  # needs
KINDS = {"weather": 35, "policy": 18, "calculation": 32, "talk": 15}  # out of 100 questions
LARGEST = 999  # a number of up to three digits is one token


class Writer:
    """Makes random conversations from phrases.yaml and the backend's policies.

    Args:
        phrasing: draws the wordings.
        policies: content of policies.json (id, language, title, keywords, text).
    """

    def __init__(self, phrasing: Phrasing, policies: list[dict[str, Any]]) -> None:
        """Keeps what conversations are made of."""
        self.phrasing = phrasing
        self.phrases = phrasing.phrases
        self.policies = policies
        self.rng: random.Random = phrasing.rng

    def conversation(self, tools: Sequence[str], exchanges: int) -> list[Message]:
        """Some exchanges; each is a question and all the messages up to its answer in words.

        With tools on offer the question is small talk or fits one of them; without, the answer to any is words.
        """
        messages: list[Message] = []
        kinds = {
            kind: share for kind, share in KINDS.items() if not tools or TOOLS.get(kind, tools[0]) in tools
        }
        for _ in range(exchanges):
            kind = self.rng.choices(list(kinds), list(kinds.values()))[0]
            messages += getattr(self, f"_{kind}")(self.rng.choice(["ko", "en"]), tools)
        return messages

    def _weather(self, language: str, tools: Sequence[str]) -> list[Message]:
        name, korean = self.rng.choice(list(self.phrases["places"].items()))
        place = korean if language == "ko" else name
        user = self.phrasing.user(self.rng.choice(self.phrases["weather"][language]), place=place)
        if "get_weather" not in tools:
            return [user, self.phrasing.final("no_weather", language)]
        temperature, condition = self.rng.randint(-20, 45), self.rng.choice(self.phrases["conditions"])
        answer = self.phrasing.final("weather", language, temperature=temperature, condition=condition)
        result = {"location": name, "temperature_c": temperature, "condition": condition}
        return [user, *self._call("get_weather", {"location": name}, result, answer, language)]

    def _policy(self, language: str, tools: Sequence[str]) -> list[Message]:
        policy = self.rng.choice([entry for entry in self.policies if entry["language"] == language])
        topic = self.rng.choice(policy["keywords"])
        user = self.phrasing.user(self.rng.choice(self.phrases["policy"][language]), topic=topic)
        if "search_policy" not in tools:
            return [user, self.phrasing.final("no_policy", language)]
        result = {"title": policy["title"], "text": policy["text"]}
        answer = Message("final", policy["text"])
        return [user, *self._call("search_policy", {"query": policy["title"]}, result, answer, language)]

    def _calculation(self, language: str, tools: Sequence[str]) -> list[Message]:
        first, second = self.rng.randint(1, 99), self.rng.randint(1, 99)
        operator = self.rng.choice("+-*")
        blank = self.rng.choice(["", " "])
        written = f"{first}{blank}{operator}{blank}{second}"
        user = self.phrasing.user(self.rng.choice(self.phrases["calculation"][language]), expression=written)
        if "calculate" not in tools:
            return [user, self.phrasing.final("no_calculation", language)]
        expression, number = f"{first}{operator}{second}", self.rng.randint(0, LARGEST)
        answer = self.phrasing.final("calculation", language, result=number)
        result = {"expression": expression, "result": number}
        return [user, *self._call("calculate", {"expression": expression}, result, answer, language)]

    def _talk(self, language: str, tools: Sequence[str]) -> list[Message]:
        entry = self.rng.choice(self.phrases["talk"])
        user = self.phrasing.user(self.rng.choice(entry[language]))
        return [user, Message("final", entry["answer"][language])]

    def _call(
        self, tool: str, arguments: object, result: object, answer: Message, language: str
    ) -> list[Message]:
        """The call, its result, and the answer; now and then the tool fails."""
        if self.rng.random() < 0.05:
            result = {"error": self.rng.choice(self.phrases["errors"])}
            answer = self.phrasing.final("error", language)
        escaped = self.rng.random() < 0.15  # clients may send past calls back so; the model writes letters
        call = Message("call", json.dumps(arguments, ensure_ascii=escaped), tool, example=not escaped)
        return [call, Message("tool", json.dumps(result, ensure_ascii=False), tool), answer]
