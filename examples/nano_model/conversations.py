"""Writes the conversations that the nano model is trained on."""

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["user", "call", "tool", "final"]
CHOICE = re.compile(r"\[([^\[\]]*)\]")
FILLERS = {"ko": ["음", "저기", "그럼", "혹시", "저기요", "자", "네"], "en": ["well", "so", "please", "and", "now", "hey", "then"]}


@dataclass(frozen=True)
class Message:
    """One message: `tool` is the function's name in a call and in its result; `example`: the model is to say it so."""

    role: Role
    text: str
    tool: str = ""
    example: bool = True


@dataclass(frozen=True)
class Tool:
    """One function with one string parameter, described in some wording (or none)."""

    name: str
    description: str
    parameter: str
    parameter_description: str


@dataclass(frozen=True)
class Setting:
    """What stands before the conversation: date (YYYY-MM-DD), reasoning effort, system prompt, tools."""

    date: str
    effort: str
    instructions: str
    tools: tuple[Tool, ...]


class Writer:
    """Makes random settings and conversations from phrases.yaml and the backend's policies.

    Args:
        phrases: content of phrases.yaml.
        policies: content of policies.json (id, language, title, keywords, text).
        seed: the same seed writes the same conversations.
    """

    def __init__(self, phrases: dict[str, Any], policies: list[dict[str, Any]], seed: int) -> None:
        self.phrases = phrases
        self.policies = policies
        self.rng = random.Random(seed)
        self.places = [(name, ways) for name, ways in phrases["places"].items()]

    def setting(self) -> Setting:
        """A system message with a random date, mostly with tools, often with a system prompt."""
        rng = self.rng
        date = f"{rng.randint(2025, 2029)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
        names = list(self.phrases["tools"])
        count = rng.choices([0, 1, 2, 3], [12, 25, 18, 45])[0]
        wording = rng.choice([None, None, "ko", "en"])
        tools = tuple(self._tool(name, wording) for name in rng.sample(names, count))
        instructions = self._expand(rng.choice(self.phrases["instructions"])) if rng.random() < 0.55 else ""
        effort = rng.choice(["medium", "medium", "medium", "low", "high"])
        return Setting(date, effort, instructions, tools)

    def conversation(self, tools: Sequence[str], exchanges: int) -> list[Message]:
        """Some exchanges; each is a question and all the messages up to its answer in words."""
        messages: list[Message] = []
        for _ in range(exchanges):
            kind = self.rng.choices(["weather", "policy", "calculation", "talk", "no_place"], [27, 22, 27, 22, 2])[0]
            language = self.rng.choice(["ko", "en"])
            messages += getattr(self, f"_{kind}")(language, tools)
        return messages

    def _weather(self, language: str, tools: Sequence[str]) -> list[Message]:
        name, ways = self.rng.choice(self.places)
        written = self.rng.choice(ways) if language == "ko" and self.rng.random() < 0.8 else name
        user = self._user(self.rng.choice(self.phrases["weather"][language]), language, place=written)
        if "get_weather" not in tools:
            return [user, self._final("no_weather", language)]
        degrees = self.rng.randint(-20, 45)
        temperature = degrees if self.rng.random() < 0.8 else degrees + self.rng.randint(1, 9) / 10
        condition = self.rng.choice(self.phrases["conditions"])
        result = {"location": name, "temperature_c": temperature, "condition": condition}
        answer = self._final("weather", language, location=name, temperature=temperature, condition=condition)
        return [user, *self._call("get_weather", {"location": name}, result, answer, language)]

    def _policy(self, language: str, tools: Sequence[str]) -> list[Message]:
        policy = self.rng.choice([entry for entry in self.policies if entry["language"] == language])
        questions = self.phrases["policy_questions"][policy["id"]][language]
        if self.rng.random() < 0.25:
            user = self._user(self.rng.choice(questions), language)
        else:
            topic = self.rng.choice([*policy["keywords"], topic_of(policy)])
            user = self._user(self.rng.choice(self.phrases["policy"][language]), language, topic=topic)
        if "search_policy" not in tools:
            return [user, self._final("no_policy", language)]
        text = policy["text"]
        if self.rng.random() < 0.5:  # other numbers, so that they are copied and not known by heart
            text = re.sub(r"\d+", lambda _: str(self.rng.randint(1, 99)), text)
        result = {"title": policy["title"], "text": text}
        arguments = {"query": policy["title"].lower()}
        return [user, *self._call("search_policy", arguments, result, Message("final", text), language)]

    def _calculation(self, language: str, tools: Sequence[str]) -> list[Message]:
        written, expression = self._expression(language)
        user = self._user(self.rng.choice(self.phrases["calculation"][language]), language, expression=written)
        if "calculate" not in tools:
            return [user, self._final("no_calculation", language)]
        number = self._number()
        answer = self._final("calculation", language, result=number)
        result = {"expression": expression, "result": number}
        return [user, *self._call("calculate", {"expression": expression}, result, answer, language)]

    def _talk(self, language: str, tools: Sequence[str]) -> list[Message]:
        entry = self.rng.choice(self.phrases["talk"])
        return [self._user(self.rng.choice(entry[language]), language), Message("final", entry["answer"][language])]

    def _no_place(self, language: str, tools: Sequence[str]) -> list[Message]:
        user = self._user(self.rng.choice(self.phrases["no_place"][language]), language)
        return [user, self._final("no_place" if "get_weather" in tools else "no_weather", language)]

    def _call(self, tool: str, arguments: object, result: object, answer: Message, language: str) -> list[Message]:
        """The call, its result, and the answer; sometimes the tool fails or says something unheard of."""
        text = json.dumps(result, ensure_ascii=False)
        kind = self.rng.random()
        if kind < 0.06:
            error = self._expand(self.rng.choice(self.phrases["errors"]))
            text = json.dumps({"error": error}, ensure_ascii=False) if self.rng.random() < 0.7 else f"Error: {error}"
            answer = self._final("error", language)
        elif kind < 0.09:
            text = self._expand(self.rng.choice(["{junk}", "{junk} {salad}", '{"answer": "{junk}"}']))
            answer = self._final("unclear", language)
        escaped = self.rng.random() < 0.25  # clients send past calls back with \\u escapes; the model is to write letters
        call = Message("call", json.dumps(arguments, ensure_ascii=escaped), tool, example=not escaped)
        return [call, Message("tool", text, tool), answer]

    def _expression(self, language: str) -> tuple[str, str]:
        """An expression as a person writes it, and as the tool takes it (no blanks)."""
        a, b, c = (str(self.rng.choice([self.rng.randint(1, 99), self.rng.randint(1, 999)])) for _ in range(3))
        first, second = self.rng.choices("+-*/", k=2)
        ways = self.phrases["operators"]
        words = {"ko": " plus | minus | times | divided by ", "en": " 더하기 | 빼기 | 곱하기 | 나누기 "}[language].split("|")
        write = self.rng.choice([way for way in ways[first] if way not in words])
        shape = self.rng.random()
        if shape < 0.75:
            return f"{a}{write}{b}", f"{a}{first}{b}"
        blank = " " if self.rng.random() < 0.4 else ""
        if shape < 0.9:
            return f"{a}{blank}{first}{blank}{b}{blank}{second}{blank}{c}", f"{a}{first}{b}{second}{c}"
        return f"({a}{blank}{first}{blank}{b}){blank}{second}{blank}{c}", f"({a}{first}{b}){second}{c}"

    def _number(self) -> int | float:
        number = self.rng.randrange(10 ** self.rng.randint(1, 6)) * self.rng.choice([1, 1, 1, 1, 1, -1])
        return number if self.rng.random() < 0.85 else number + self.rng.randint(1, 99) / 100

    def _final(self, answer: str, language: str, **values: object) -> Message:
        return Message("final", self.phrases["answers"][answer][language].format(**values))

    def _user(self, phrase: str, language: str, **values: str) -> Message:
        """A question, now and then with a stray or unknown word before or after it."""
        text = self._expand(phrase, **values).strip()
        if self.rng.random() < 0.12:
            word = self.rng.choice([*FILLERS[language], self._expand("{junk}")])
            text = self.rng.choice([f"{word} {text}", f"{word}, {text}", f"{text} {word}"])
        return Message("user", text)

    def _tool(self, name: str, wording: str | None) -> Tool:
        texts = self.phrases["tools"][name]
        return Tool(name, self._description(texts["tool"]), texts["parameter"], self._description(texts["argument"]))

    def _description(self, wordings: list[str]) -> str:
        kind = self.rng.random()
        if kind < 0.6:
            return self.rng.choice(wordings)
        return "" if kind < 0.8 else self._expand(self.rng.choice(["{junk}", "{salad}", "{junk} {salad}\n{junk}"]))

    def _expand(self, phrase: str, **values: str) -> str:
        """Picks the alternatives of a phrase and fills in its values."""
        while CHOICE.search(phrase):
            phrase = CHOICE.sub(lambda match: self.rng.choice(match[1].split("|")), phrase)
        for name, value in values.items():
            phrase = phrase.replace(f"{{{name}}}", value)
        phrase = re.sub(r"\{junk\}", lambda _: self._words(self.phrases["junk"]), phrase)
        return re.sub(r"\{salad\}", lambda _: self._words(self.phrases["salad"]), phrase)

    def _words(self, words: list[str]) -> str:
        return " ".join(self.rng.choices(words, k=self.rng.choice([1, 2, 3, 4, 8, 20])))


def topic_of(policy: dict[str, Any]) -> str:
    """The title of a policy without the word "policy", as a person would name the topic."""
    return re.sub(r" ?(정책|policy)", "", policy["title"]).lower()
