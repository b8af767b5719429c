"""Bounds on a request's body: its size, and the time that it may take to arrive."""

import asyncio

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from src.core.errors import ServiceError

BODY_SECONDS = 30.0


class BodyLimit:
    """ASGI middleware: takes in the whole body before the application starts, or answers 413 or 408.

    FastAPI's own `max_body_size` answers in plain text, and has no time limit.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        """Take what it works with.

        Args:
            app: The application inside.
            limit: The largest body in bytes.
        """
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._read(scope, receive)
        except TimeoutError:
            failure = ServiceError(408, "body_too_slow", f"the body did not arrive within {BODY_SECONDS:g} s")
        else:
            if body is not None:
                await self._app(scope, _replay(body, receive), send)
                return
            failure = ServiceError(413, "body_too_large", f"the body is larger than {self._limit} bytes")
        # The rest of the body stays unread, so the connection cannot serve another request.
        response = JSONResponse(failure.body, failure.status, {"Connection": "close"})
        await response(scope, receive, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the body, or None where it is too large."""
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._limit:
            return None
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._limit:
                return None
            if not message.get("more_body"):
                return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body as one message, and then what the server says (that the client went away)."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
