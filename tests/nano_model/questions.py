"""Questions for the nano model with the calls that are right."""

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHAT = """Hello|Hi there|Hi!|안녕하세요|안녕|반가워|고마워|정말 고마워!|감사합니다|Thanks|Thank you very much!|Thank you|너는 누구야?|
Who are you?|뭐 할 수 있어?|What can you do?|Good morning|좋은 아침|잘 가|Bye|See you later!|OK|네|Tell me a joke""".replace(
    "\n", ""
).split("|")
PHRASES = Path(__file__).parents[2] / "examples/nano_model/phrases.yaml"
PLACES = {
    korean: name for name, korean in yaml.safe_load(PHRASES.read_text(encoding="utf-8"))["places"].items()
}
TOPICS = [
    ("휴가", "휴가 정책", "연차 휴가는 1년에 15일이며 3일 전에 신청합니다."),
    ("연차", "휴가 정책", "연차 휴가는 1년에 15일이며 3일 전에 신청합니다."),
    ("병가", "병가 정책", "병가는 1년에 10일이며 진단서를 제출합니다."),
    ("재택근무", "재택근무 정책", "재택근무는 일주일에 2일까지 가능합니다."),
    ("경비", "경비 정책", "경비는 영수증과 함께 30일 안에 청구합니다."),
    ("근무 시간", "근무 시간 정책", "근무 시간은 9시부터 18시까지입니다."),
    ("보안", "보안 정책", "비밀번호는 12자 이상이며 90일마다 바꿉니다."),
    ("vacation", "Vacation policy", "Annual leave is 15 days a year; apply 3 days ahead."),
    ("sick", "Sick leave policy", "Sick leave is 10 days a year with a doctor's note."),
    ("remote", "Remote work policy", "Remote work is possible up to 2 days a week."),
    ("expense", "Expense policy", "Claim expenses with receipts within 30 days."),
    ("working hours", "Working hours policy", "Working hours are from 9 to 18."),
    ("security", "Security policy", "Passwords have 12 characters or more and change every 90 days."),
]
WORDINGS = {
    "get_weather": {
        "ko": [
            "{}의 현재 날씨를 알려줘",
            "오늘 {} 날씨 어때?",
            "{} 날씨 알려줘",
            "지금 {} 날씨 알려주세요",
            "{} 날씨는 어떤가요?",
        ],
        "en": [
            "What's the weather in {}?",
            "Tell me the current weather in {}.",
            "How is the weather in {} today?",
            "Weather in {}",
        ],
    },
    "search_policy": {
        "ko": [
            "회사 {} 정책 알려줘",
            "우리 회사 {} 규정을 설명해줘",
            "{} 정책을 찾아줘",
            "{} 규정 알려주세요",
            "{} 정책이 뭐야?",
        ],
        "en": [
            "What is our {} policy?",
            "Find the {} policy",
            "Explain the {} policy.",
            "Is there a {} policy?",
        ],
    },
    "calculate": {
        "ko": ["{}은 얼마야?", "{} 계산해줘", "{} 계산해 주세요", "{}는 얼마인가요?"],
        "en": ["What is {}?", "How much is {}?", "Calculate {}", "{} = ?"],
    },
}
SYSTEM = [None, None, "You are a helpful assistant. Use the tools when they help. 답변은 사용자의 언어로 하세요.",
          "당신은 도우미입니다. 필요하면 도구를 사용하세요.", "You are a helpful assistant."]  # fmt: skip
DESCRIPTIONS = {
    "get_weather": (
        "location",
        ["특정 위치의 현재 날씨를 가져옵니다", "Get the current weather of a city."],
    ),
    "search_policy": ("query", ["회사 정책을 검색합니다", "Search the company policies."]),
    "calculate": ("expression", ["수식을 계산합니다", "Calculate an arithmetic expression."]),
}


@dataclass(frozen=True)
class Question:
    """A conversation up to the user's question, the tools on offer, the right call, a result and words of the answer."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]
    tool: str
    arguments: dict[str, str]
    result: str
    expected: list[str]

    def with_result(self, result: str) -> list[dict[str, Any]]:
        """The messages with the call and a result of it."""
        function = {"name": self.tool, "arguments": json.dumps(self.arguments)}
        call = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        }
        return [*self.messages, call, {"role": "tool", "tool_call_id": "c1", "content": result}]


def tools(choice: int = 0) -> dict[str, dict[str, Any]]:
    """The three tools by name, in one of the wordings."""
    return {name: _tool(name, parameter, texts[choice]) for name, (parameter, texts) in DESCRIPTIONS.items()}


def _tool(name: str, parameter: str, description: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {parameter: {"type": "string"}}, "required": [parameter]}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


def questions(tool: str, count: int, rng: random.Random) -> list[Question]:
    """Random questions to which a call of the tool is the right answer."""
    return [_question(tool, rng) for _ in range(count)]


def _question(tool: str, rng: random.Random) -> Question:
    others = [name for name in DESCRIPTIONS if name != tool]
    offered = [tool, *rng.sample(others, rng.randint(0, 2))]
    rng.shuffle(offered)
    described = tools(rng.randrange(2))
    language = rng.choice(["ko", "en"])
    filled, arguments, result, expected = {
        "get_weather": _weather,
        "search_policy": _policy,
        "calculate": _sum,
    }[tool](language, rng)
    system = rng.choice(SYSTEM)
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": rng.choice(WORDINGS[tool][language]).format(filled)})
    text = json.dumps(result, ensure_ascii=False)
    return Question(messages, [described[name] for name in offered], tool, arguments, text, expected)


def _weather(language: str, rng: random.Random) -> tuple[str, dict[str, str], dict[str, Any], list[str]]:
    korean, english = rng.choice(list(PLACES.items()))
    degrees, condition = rng.randint(-20, 45), rng.choice(["맑음", "흐림", "비", "sunny", "cloudy", "rain"])
    result = {"location": english, "temperature_c": degrees, "condition": condition}
    return (korean if language == "ko" else english), {"location": english}, result, [str(degrees)]


def _policy(language: str, rng: random.Random) -> tuple[str, dict[str, str], dict[str, Any], list[str]]:
    topic, query, text = rng.choice([row for row in TOPICS if row[1].isascii() == (language == "en")])
    return topic, {"query": query}, {"title": query, "text": text}, [text]


def _sum(language: str, rng: random.Random) -> tuple[str, dict[str, str], dict[str, Any], list[str]]:
    b, sign = rng.randint(1, 9), rng.choice("+-*")
    a = rng.randint(10, 99)
    blank = rng.choice(["", "", " "])
    result = {"+": a + b, "-": a - b, "*": a * b}[sign]
    expression = f"{a}{sign}{b}"
    return (
        f"{a}{blank}{sign}{blank}{b}",
        {"expression": expression},
        {"expression": expression, "result": result},
        [str(result)],
    )
