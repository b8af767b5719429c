"""Writes the conversations that the nano model is trained on."""

import json
import random
import re
from collections.abc import Sequence
from typing import Any

from messages import Message
from phrasing import Phrasing

TOOLS = {"weather": "get_weather", "policy": "search_policy", "calculation": "calculate"}  # needs
KINDS = {"weather": 27, "policy": 24, "calculation": 27, "talk": 22}  # out of 100 questions
FOREIGN = {"ko": ["plus", "minus", "times", "divided by"], "en": ["더하기", "빼기", "곱하기", "나누기"]}


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
            language = self.rng.choice(["ko", "en"])
            messages += getattr(self, f"_{kind}")(language, tools)
        return messages

    def _weather(self, language: str, tools: Sequence[str]) -> list[Message]:
        name, ways = self.rng.choice(list(self.phrases["places"].items()))
        written = self.rng.choice(ways) if language == "ko" and self.rng.random() < 0.8 else name
        user = self.phrasing.user(self.rng.choice(self.phrases["weather"][language]), language, place=written)
        if "get_weather" not in tools:
            return [user, self.phrasing.final("no_weather", language)]
        degrees = self.rng.randint(-20, 45)
        temperature = degrees if self.rng.random() < 0.8 else degrees + self.rng.randint(1, 9) / 10
        condition = self.rng.choice(self.phrases["conditions"])
        answer = self.phrasing.final("weather", language, temperature=temperature, condition=condition)
        result = {"location": name, "temperature_c": temperature, "condition": condition}
        return [user, *self._call("get_weather", {"location": name}, result, answer, language)]

    def _policy(self, language: str, tools: Sequence[str]) -> list[Message]:
        policy = self.rng.choice([entry for entry in self.policies if entry["language"] == language])
        topic = self.rng.choice(
            [*policy["keywords"], re.sub(r" ?(정책|policy)", "", policy["title"]).lower()]
        )
        phrases = self.phrases["policy"][language]
        if self.rng.random() < 0.25:
            phrases = self.phrases["policy_questions"][policy["id"]][language]
        user = self.phrasing.user(self.rng.choice(phrases), language, topic=topic)
        if "search_policy" not in tools:
            return [user, self.phrasing.final("no_policy", language)]
        text = policy["text"]
        if self.rng.random() < 0.5:  # other numbers, so that they are copied and not known by heart
            text = re.sub(r"\d+", lambda _: str(self.rng.randint(1, 99)), text)
        result = {"title": policy["title"], "text": text}
        arguments = {"query": policy["title"].lower()}
        return [user, *self._call("search_policy", arguments, result, Message("final", text), language)]

    def _calculation(self, language: str, tools: Sequence[str]) -> list[Message]:
        written, expression = self._expression(language)
        phrase = self.rng.choice(self.phrases["calculation"][language])
        user = self.phrasing.user(phrase, language, expression=written)
        if "calculate" not in tools:
            return [user, self.phrasing.final("no_calculation", language)]
        number = self._number()
        answer = self.phrasing.final("calculation", language, result=number)
        result = {"expression": expression, "result": number}
        return [user, *self._call("calculate", {"expression": expression}, result, answer, language)]

    def _talk(self, language: str, tools: Sequence[str]) -> list[Message]:
        entry = self.rng.choice(self.phrases["talk"])
        user = self.phrasing.user(self.rng.choice(entry[language]), language)
        return [user, Message("final", entry["answer"][language])]

    def _call(
        self, tool: str, arguments: object, result: object, answer: Message, language: str
    ) -> list[Message]:
        """The call, its result, and the answer; sometimes the tool fails or says something unheard of."""
        text = json.dumps(result, ensure_ascii=False)
        kind = self.rng.random()
        if kind < 0.06:
            error = self.phrasing.expand(self.rng.choice(self.phrases["errors"]))
            plain = self.rng.random() < 0.3
            text = f"Error: {error}" if plain else json.dumps({"error": error}, ensure_ascii=False)
            answer = self.phrasing.final("error", language)
        elif kind < 0.09:
            text = self.phrasing.expand(self.rng.choice(["{junk}", "{junk} {salad}", '{"answer": "{junk}"}']))
            answer = self.phrasing.final("unclear", language)
        escaped = self.rng.random() < 0.25  # clients may send past calls back so; the model writes letters
        call = Message("call", json.dumps(arguments, ensure_ascii=escaped), tool, example=not escaped)
        return [call, Message("tool", text, tool), answer]

    def _expression(self, language: str) -> tuple[str, str]:
        """An expression as a person writes it, and as the tool takes it (no blanks)."""
        a, b, c = (str(self.rng.randint(1, self.rng.choice([99, 999]))) for _ in range(3))
        first, second = self.rng.choices("+-*/", k=2)
        shape = self.rng.random()
        if shape < 0.75:
            ways = [way for way in self.phrases["operators"][first] if way.strip() not in FOREIGN[language]]
            return f"{a}{self.rng.choice(ways)}{b}", f"{a}{first}{b}"
        blank = " " if self.rng.random() < 0.4 else ""
        sum_ = f"{a}{blank}{first}{blank}{b}"
        written = f"{sum_}{blank}{second}{blank}{c}" if shape < 0.9 else f"({sum_}){blank}{second}{blank}{c}"
        return written, written.replace(" ", "")

    def _number(self) -> int | float:
        number = self.rng.randrange(10 ** self.rng.randint(1, 6)) * self.rng.choice([1, 1, 1, 1, 1, -1])
        return number if self.rng.random() < 0.85 else number + self.rng.randint(1, 99) / 100
