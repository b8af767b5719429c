"""Logs: one JSON object a line on stdout, never the text of a message, and one line for each request."""

import json
import logging
import logging.config
import time
import traceback
import uuid
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
log = logging.getLogger("backend")
POLLED = {"/health", "/ready"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one line; `extra={"fields": {...}}` adds fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON; a traceback gives places only, as its texts may quote messages."""
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])[-5:]
            line["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return json.dumps(line, ensure_ascii=False, default=str)


def configure() -> None:
    """Send every log of the process to stdout as JSON; uvicorn's own access log gives way to RequestLog."""
    quiet = {"handlers": [], "propagate": True}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": JsonFormatter}},
            "handlers": {
                "stdout": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stdout",
                    "formatter": "json",
                }
            },
            "root": {"level": "WARNING", "handlers": ["stdout"]},
            "loggers": {
                "backend": {"level": "INFO"},
                "uvicorn": quiet,
                "uvicorn.error": quiet | {"level": "INFO"},
                "uvicorn.access": quiet | {"level": "WARNING"},
            },
        }
    )


class RequestLog:
    """ASGI middleware: gives each request an id (header X-Request-ID) and logs how it ended."""

    def __init__(self, app: ASGIApp) -> None:
        """Take what it works with.

        Args:
            app: The application inside.
        """
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a poll of /health or /ready that went well is not logged."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # 500 is what the server answers when the application answers nothing.
        started, status, name = time.monotonic(), 500, uuid.uuid4().hex[:12]
        request_id.set(name)

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", name.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        finally:
            if scope["path"] not in POLLED or status != 200:
                milliseconds = round((time.monotonic() - started) * 1000)
                fields = {
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "ms": milliseconds,
                }
                log.info("request", extra={"fields": fields})
