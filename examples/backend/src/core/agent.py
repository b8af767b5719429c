"""The agent: LangChain's tool-calling loop over the model, one turn of a session at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.types import StreamMode

from src.config.settings import Settings
from src.core import harmony
from src.core.errors import ServiceError, explain, model_fault, too_busy, unavailable
from src.core.llm_service import LLMService
from src.core.sessions import Sessions, is_answer, newer_half, tidy
from src.core.tools import TOOLS

ModelHandler = Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]


@dataclass
class Reply:
    """The answer of one turn."""

    answer: str
    session_id: str
    tools_called: list[str]
    model: str


@dataclass
class Event:
    """One step of a streamed turn: `tool`, `token`, `done` or `error`."""

    name: str
    data: dict[str, Any]


@dataclass
class Turn:
    """What the model is shown of a session in this turn: the messages from the one with this id on, at first all."""

    first: str | None = None

    def seen(self, messages: list[AnyMessage]) -> list[AnyMessage]:
        """Return what the model is shown of all messages."""
        ids = [message.id for message in messages]
        return messages[ids.index(self.first) :] if self.first else messages


class Asking(AgentMiddleware[AgentState[Any], Turn]):
    """Asks the model, and names what goes wrong; a session that is too long for it goes on without its older half."""

    async def awrap_model_call(
        self, request: ModelRequest[Turn], handler: ModelHandler
    ) -> ModelResponse[Any]:
        """Return what the model says, fit for the user."""
        turn = request.runtime.context
        while True:
            shown = turn.seen(request.messages)
            try:
                response = await handler(request.override(messages=shown))
                break
            except Exception as error:
                fault = model_fault(error)
                shorter = newer_half(shown) if fault.code == "too_long" else []
                if not shorter:
                    raise fault from error
                turn.first = shorter[0].id
        # vLLM that drains says 200 and this to new requests, and to running ones whose time is over.
        if any(message.response_metadata.get("finish_reason") == "abort" for message in response.result):
            raise unavailable("the model server is being stopped")
        for message in response.result:
            harmony.check(str(message.text))
        return response


class Agent:
    """Answers messages with the model and the tools."""

    def __init__(self, settings: Settings, sessions: Sessions) -> None:
        """Take what it works with.

        Args:
            settings: The settings of this process.
            sessions: The open session store.
        """
        self._settings = settings
        self._sessions = sessions
        self._turns = 0
        # Without a checkpointer: the session is written once, when the turn has its answer.
        self._graph = create_agent(
            LLMService.get_llm(temperature=settings.TEMPERATURE),
            TOOLS,
            system_prompt=settings.SYSTEM_PROMPT,
            middleware=[Asking()],
            context_schema=Turn,
        )

    async def answer(
        self, message: str, session_id: str, emit: Callable[[Event], None] | None = None
    ) -> Reply:
        """Run one turn and return its answer.

        Args:
            message: What the user says.
            session_id: The session that the turn belongs to.
            emit: Takes `tool` and `token` events as they come; without it the model gives whole answers.

        Raises:
            ServiceError: The turn failed. The session stays as it was before the turn.
        """
        if self._turns >= self._settings.MAX_TURNS:
            raise too_busy(self._turns)
        limit = self._settings.REQUEST_SECONDS
        self._turns += 1
        try:
            async with asyncio.timeout(limit), self._sessions.turn(session_id):
                return await self._turn(message, session_id, emit)
        except ServiceError:
            raise
        except Exception as error:
            raise explain(error, limit) from error
        finally:
            self._turns -= 1

    async def _turn(self, message: str, session_id: str, emit: Callable[[Event], None] | None) -> Reply:
        # Steps alternate between model and tools.
        config: RunnableConfig = {"recursion_limit": 2 * self._settings.MAX_STEPS - 1}
        turn, history = Turn(), await self._sessions.load(session_id)
        asked: Any = {
            "messages": [*tidy(history, self._settings.HISTORY_TOKENS), HumanMessage(message)],
        }
        if emit is None:
            values = await self._graph.ainvoke(asked, config, context=turn)
        else:
            values = await self._follow(asked, config, turn, emit)
        reply = self._reply(values["messages"], session_id)
        await self._sessions.save(session_id, turn.seen(values["messages"]))
        return reply

    async def _follow(
        self, asked: Any, config: RunnableConfig, turn: Turn, emit: Callable[[Event], None]
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        modes: list[StreamMode] = ["messages", "values"]
        words = harmony.Words()
        steps: AsyncIterator[Any] = self._graph.astream(asked, config, context=turn, stream_mode=modes)
        async for mode, part in steps:
            if mode == "values":
                values = part
                _emit_token(words.rest(), emit)
                words = harmony.Words()
                _emit_tools(part["messages"][-1], emit)
            elif isinstance(part[0], AIMessageChunk):
                _emit_token(words.add(str(part[0].text)), emit)
        return values

    def _reply(self, messages: list[AnyMessage], session_id: str) -> Reply:
        last = messages[-1]
        if not is_answer(last):
            remedy = "check --tool-call-parser, or raise MAX_ANSWER_TOKENS"
            raise ServiceError(
                502, "model_failed", "the model gave neither words nor a valid tool call", remedy
            )
        asked = max(at for at, message in enumerate(messages) if isinstance(message, HumanMessage))
        calls = [call for m in messages[asked:] if isinstance(m, AIMessage) for call in m.tool_calls]
        return Reply(str(last.text), session_id, [call["name"] for call in calls], self._settings.MODEL_NAME)


def _emit_token(text: str, emit: Callable[[Event], None]) -> None:
    if text:
        emit(Event("token", {"text": text}))


def _emit_tools(message: AnyMessage, emit: Callable[[Event], None]) -> None:
    for call in message.tool_calls if isinstance(message, AIMessage) else []:
        emit(Event("tool", {"name": call["name"], "arguments": call["args"]}))
