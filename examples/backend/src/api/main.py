"""The HTTP service: `uvicorn src.api.main:app --host HOST --port PORT`, run in the directory above `src`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from src.api import failures, logs
from src.api.body_limit import BodyLimit
from src.api.presence import unless_gone
from src.api.schemas import ChatRequest
from src.api.streaming import TurnEvents
from src.config.settings import get_settings
from src.core.agent import Agent, Reply
from src.core.readiness import Readiness
from src.core.sessions import Limits, open_sessions

logs.configure()
settings = get_settings()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the session store; uvicorn closes it after the last request in flight."""
    limits = Limits(settings.SESSION_DAYS, settings.MAX_SESSIONS, settings.MAX_SESSIONS_MB * 2**20)
    async with open_sessions(settings.SESSIONS_DB, limits) as sessions:
        app.state.agent = Agent(settings, sessions)
        app.state.readiness = Readiness(settings)
        yield


app = FastAPI(title="backend", lifespan=lifespan)
# JSON may write one character as two \uXXXX escapes (12 bytes); the rest is room for the other field.
app.add_middleware(BodyLimit, limit=12 * settings.MAX_MESSAGE_CHARS + 1024)
# Added last, so it is outside and logs what the others refuse.
app.add_middleware(logs.RequestLog)
failures.install(app)


@app.get("/health")
async def health() -> dict[str, str]:
    """Alive: this process serves. Says nothing about the model."""
    return {"status": "ok"}


@app.get("/ready")
async def ready(request: Request) -> dict[str, str]:
    """Ready: the model answered a tiny chat within the last seconds; else 503 with the reason."""
    await request.app.state.readiness.check()
    return {"status": "ready", "model": settings.MODEL_NAME}


@app.post("/v1/chat")
async def chat(body: ChatRequest, request: Request) -> Reply:
    """Answer one message of a session."""
    agent: Agent = request.app.state.agent
    return await unless_gone(request, agent.answer(body.message, body.session_id))


@app.post("/v1/chat/stream", response_class=EventSourceResponse)
async def chat_stream(events: TurnEvents) -> AsyncIterator[ServerSentEvent]:
    """Answer one message as events: `tool`, `token`, then `done` or `error`."""
    async for event in events:
        yield event
