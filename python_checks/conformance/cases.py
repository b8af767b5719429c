"""The cases of the conformance matrix: each asks, hands the reply to its judge, and keeps what a later case needs."""

from collections.abc import Callable
from functools import partial
from typing import Any

from python_checks.api import weather
from python_checks.api.http import fetch
from python_checks.api.openai import answer_faults, ask
from python_checks.api.tool_calls import judge_calls, judge_ids
from python_checks.api.tool_replies import judge_call
from python_checks.conformance import judges, langchain, responses
from python_checks.conformance.judges import CHOICES, STRICT, STRICT_PROMPT, SYSTEM
from python_checks.conformance.turns import RESPONSES, Turn, calls_of, judge_usage, not_run, take, words
from python_checks.core.result import Fault, shorten
from python_checks.core.say import count, say

Outcome = tuple[list[Fault], str]  # what is wrong, and the words of a case that is well
TOOLS = [weather.TOOL]


class Cases:
    """One run of the matrix against a server.

    Args:
        url: Base URL of vLLM.
        model: Served name.
        timeout: Seconds for each request.
        langchain_python: Interpreter that has langchain_openai, empty for none.
    """

    def __init__(self, url: str, model: str, timeout: float, langchain_python: str = "") -> None:
        """Begin with nothing known."""
        self.url, self.model, self.timeout, self.langchain_python = url, model, timeout, langchain_python
        self.calls: dict[str, list[dict[str, Any]]] = {}  # of the sound replies, by case
        self.ids: list[object] = []
        self.tokens: dict[str, int] = {}  # of the same

    def plan(self) -> dict[str, Callable[[], Outcome]]:
        """Return the cases by name, in the order that the later ones need."""
        plan: dict[str, Callable[[], Outcome]] = {}
        for kind in CHOICES:
            for streamed in (False, True):
                name = f"chat-{kind}-stream" if streamed else f"chat-{kind}"
                plan[name] = partial(self.chat, name, kind, streamed)
        plan |= {f"responses-{kind}": partial(self.response, kind) for kind in ("auto", "required", "none")}
        plan |= {
            "strict-arguments": self.strict,
            "second-turn": self.second_turn,
            "system-prompt": self.system_prompt,
            "token-limit-auto": partial(self.token_limit, "auto"),
            "token-limit-required": partial(self.token_limit, "required"),
            "call-ids": self.call_ids,
            "unknown-model": self.unknown_model,
            "required-without-tools": self.required_without_tools,
        }
        return plan | ({"langchain": self.langchain} if self.langchain_python else {})

    def chat(self, name: str, kind: str, streamed: bool) -> Outcome:
        """The guide's request with a choice of tools, plain or streamed."""
        turn = self._take({"tool_choice": CHOICES[kind]}, streamed)
        faults = [*turn.faults, *judge_usage(turn.usage)]
        if kind == "none":
            return faults + judges.judge_none(turn.first), say("no tool was called")
        # OpenAI ends a named choice with stop, and so does vLLM.
        finishes = ("stop", "tool_calls") if kind == "named" else ("tool_calls",)
        faults += judge_call(turn.first, TOOLS, finishes)
        found = self._calls(turn)
        if faults:
            return faults, ""
        self.calls[name], self.tokens[name] = found, turn.usage["completion_tokens"]
        return judges.judge_same(self.calls.get(f"chat-{kind}", found), found), words(found)

    def response(self, kind: str) -> Outcome:
        """The same through the other API."""
        tool = {"type": "function", **weather.TOOL["function"]}
        body = {"model": self.model, "input": [weather.PROMPT], "tools": [tool], "temperature": 0}
        reply = fetch("POST", self.url + responses.PATH, self.timeout, body | {"tool_choice": kind})
        found, faults = responses.calls(reply)
        faults += judge_usage(reply.data.get("usage"), RESPONSES)
        if kind == "none":
            return faults + judges.judge_no_calls(found), say("no tool was called")
        self.ids += [call["id"] for call in found]
        if not found:
            faults.append(
                Fault(
                    say("no function_call in the output: {text}", text=shorten(reply.text)), responses.NO_CALL
                )
            )
        return faults + judge_calls(found, TOOLS), words(found)

    def strict(self) -> Outcome:
        """A tool with strict: true, whose schema binds the arguments."""
        given = {"messages": [STRICT_PROMPT], "tools": [STRICT], "tool_choice": "required"}
        turn = self._take(given | {"max_tokens": 1024})
        return judge_call(turn.first, [STRICT]), words(self._calls(turn))

    def second_turn(self) -> Outcome:
        """The tool's result is handed in, and the answer is words."""
        turn = self._take({"messages": [weather.PROMPT, *weather.second_turn(self._sound("chat-auto"))]})
        return answer_faults(turn.first, say("second turn"), ("stop",)), shorten(
            str(turn.first["message"].get("content")), 60
        )

    def system_prompt(self) -> Outcome:
        """A system prompt reaches the model: it takes tokens."""
        system = {"role": "system", "content": SYSTEM}
        bare = self._take({"max_tokens": 1}).usage
        with_it = self._take({"max_tokens": 1, "messages": [system, weather.PROMPT]}).usage
        faults = judge_usage(bare) + judge_usage(with_it)
        return faults or judges.judge_system(bare, with_it), say("it is in the prompt")

    def token_limit(self, kind: str) -> Outcome:
        """The limit of tokens is reached in the middle of the call."""
        self._sound(f"chat-{kind}")
        limit = max(1, self.tokens[f"chat-{kind}"] - 3)  # the last tokens close the arguments and the call
        turn = self._take({"tool_choice": kind, "max_tokens": limit})
        return judges.judge_cut(turn.first, TOOLS, limit), say("finish_reason is length")

    def call_ids(self) -> Outcome:
        """No id was given twice in all replies so far."""
        if not self.ids:
            raise not_run(say("no call has an id"))
        words = count(
            len(self.ids), "{number} call, which has an id", "{number} calls, each with an id of its own"
        )
        return judge_ids(self.ids), words

    def unknown_model(self) -> Outcome:
        """A model that is not served is refused."""
        reply = ask(self.url, weather.request("no-such-model"), self.timeout)
        return judges.judge_refusal(reply, 404, say("an unknown model")), say("refused with 404")

    def required_without_tools(self) -> Outcome:
        """A call is required and no tool is offered."""
        body = weather.request(self.model) | {"tool_choice": "required"}
        del body["tools"]
        reply = ask(self.url, body, self.timeout)
        return judges.judge_refusal(reply, 400, say("required without tools")), say("refused with 400")

    def langchain(self) -> Outcome:
        """The guide's request through langchain_openai, plain and streamed."""
        document = langchain.ask(self.langchain_python, self.url, self.model, self.timeout)
        return langchain.judge(document, TOOLS), say("bind_tools, invoke and stream give the call")

    def _take(self, changes: dict[str, Any], streamed: bool = False) -> Turn:
        return take(self.url, weather.request(self.model) | changes, self.timeout, streamed)

    def _calls(self, turn: Turn) -> list[dict[str, Any]]:
        """Return the calls of a reply, and keep their ids."""
        found = calls_of(turn)
        self.ids += [call.get("id") for call in found]
        return found

    def _sound(self, case: str) -> list[dict[str, Any]]:
        """Return the calls of an earlier case, which this one cannot do without."""
        if case not in self.calls:
            raise not_run(say("{case} failed", case=case))
        return self.calls[case]
