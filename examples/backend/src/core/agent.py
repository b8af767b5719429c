"""The agent: LangChain's tool-calling loop over the model, one turn of a session at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import ModelRequest, ModelResponse, wrap_model_call
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.types import StreamMode

from src.config.settings import Settings
from src.core.errors import ServiceError, explain, model_fault, unavailable
from src.core.llm_service import LLMService
from src.core.sessions import Sessions, is_answer, tidy
from src.core.tools import TOOLS

ModelHandler = Callable[[ModelRequest], Awaitable[ModelResponse]]


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


@wrap_model_call
async def _name_model_faults(request: ModelRequest, handler: ModelHandler) -> ModelResponse:
    try:
        response = await handler(request)
    except Exception as error:
        raise model_fault(error) from error
    # vLLM that drains says 200 and this to new requests, and to running ones whose time is over.
    if any(message.response_metadata.get("finish_reason") == "abort" for message in response.result):
        raise unavailable("the model server is being stopped")
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
        self._graph = create_agent(
            LLMService.get_llm(temperature=settings.TEMPERATURE),
            TOOLS,
            system_prompt=settings.SYSTEM_PROMPT,
            middleware=[_name_model_faults],
            checkpointer=sessions.saver,
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
        limit = self._settings.REQUEST_SECONDS
        try:
            async with asyncio.timeout(limit), self._sessions.turn(session_id):
                return await self._turn(message, session_id, emit)
        except ServiceError:
            raise
        except Exception as error:
            raise explain(error, limit) from error

    async def _turn(self, message: str, session_id: str, emit: Callable[[Event], None] | None) -> Reply:
        config: RunnableConfig = {
            "configurable": {"thread_id": session_id},
            # Steps alternate between model and tools.
            "recursion_limit": 2 * self._settings.MAX_STEPS - 1,
        }
        state = await self._graph.aget_state(config)
        stale = tidy(state.values.get("messages", []), self._settings.HISTORY_MESSAGES)
        turn: Any = {"messages": [*stale, HumanMessage(message)]}
        # durability="exit": one write a turn, so a killed process leaves the last whole turn.
        if emit is None:
            values = await self._graph.ainvoke(turn, config, durability="exit")
        else:
            values = await self._follow(turn, config, emit)
        return self._reply(values["messages"], session_id)

    async def _follow(
        self, turn: Any, config: RunnableConfig, emit: Callable[[Event], None]
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        modes: list[StreamMode] = ["messages", "values"]
        steps: AsyncIterator[Any] = self._graph.astream(turn, config, stream_mode=modes, durability="exit")
        async for mode, part in steps:
            if mode == "values":
                values = part
                _emit_tools(part["messages"][-1], emit)
            elif isinstance(part[0], AIMessageChunk) and part[0].text:
                emit(Event("token", {"text": str(part[0].text)}))
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


def _emit_tools(message: AnyMessage, emit: Callable[[Event], None]) -> None:
    for call in message.tool_calls if isinstance(message, AIMessage) else []:
        emit(Event("tool", {"name": call["name"], "arguments": call["args"]}))
