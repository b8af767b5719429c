"""A turn as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated

from fastapi import Depends, Request
from fastapi.sse import ServerSentEvent

from src.api.failures import log_failure
from src.api.presence import unless_gone
from src.api.schemas import ChatRequest
from src.core.agent import Agent, Event
from src.core.errors import ServiceError

FINAL = {"done", "error"}


async def _run(agent: Agent, body: ChatRequest, events: asyncio.Queue[Event | ServiceError]) -> None:
    try:
        reply = await agent.answer(body.message, body.session_id, events.put_nowait)
        events.put_nowait(Event("done", asdict(reply)))
    except ServiceError as error:
        log_failure(error)
        events.put_nowait(error)


async def _follow(
    event: Event | ServiceError, events: asyncio.Queue[Event | ServiceError]
) -> AsyncIterator[ServerSentEvent]:
    while True:
        if isinstance(event, ServiceError):
            event = Event("error", {"status": event.status, **event.body})
        yield ServerSentEvent(event=event.name, raw_data=json.dumps(event.data, ensure_ascii=False))
        if event.name in FINAL:
            return
        event = await events.get()


async def start_turn(body: ChatRequest, request: Request) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
    """Start the turn in a task of its own, and give its events once the first one is there.

    Raises:
        ServiceError: The turn failed before its first event, so the client gets a proper HTTP status; or the client left.
    """
    events: asyncio.Queue[Event | ServiceError] = asyncio.Queue()
    task = asyncio.create_task(_run(request.app.state.agent, body, events))
    try:
        first = await unless_gone(request, events.get())
        if isinstance(first, ServiceError):
            raise first
        yield _follow(first, events)
    finally:
        # A client that went away frees the model and the session at once.
        task.cancel()
        await asyncio.wait([task])


TurnEvents = Annotated[AsyncIterator[ServerSentEvent], Depends(start_turn)]
