"""A server that answers the conformance matrix with what a real vLLM answered to the very same requests (record.py)."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.python_checks.support import RECORDED
from tests.serving import running

Exchange = dict[str, Any]


def recorded(name: str) -> list[Exchange]:
    """Return the exchanges of a recording."""
    exchanges: list[Exchange] = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    return exchanges


def changed(exchanges: list[Exchange], case: str, old: str, new: str) -> list[Exchange]:
    """Return the exchanges with `old` in the replies of a case replaced, which must be there."""
    assert any(old in each["text"] for each in exchanges if each["case"] == case), (case, old)
    return [
        each | {"text": each["text"].replace(old, new)} if each["case"] == case else each
        for each in exchanges
    ]


@contextmanager
def replay(
    exchanges: list[Exchange], of: Callable[[Any], Any] = lambda body: body, key: str = ""
) -> Iterator[str]:
    """Serve the exchanges on a free port; yield its URL. A request that is like none, in what `of` returns of its body, gets 418.

    With a `key` vLLM's API asks for it, and quotes what it got instead.
    """

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = (self.path, of(json.loads(raw) if raw else None))
            found = [each for each in exchanges if (each["path"], of(each["body"])) == request]
            reply = (
                found[0]
                if found
                else {"status": 418, "kind": "text/plain", "text": f"not recorded: {request}"}
            )
            told = self.headers.get("Authorization", "")
            if key and self.path.startswith("/v1/") and told != f"Bearer {key}":
                text = json.dumps({"error": {"message": f"{told}: Unauthorized"}})
                reply = {"status": 401, "kind": "application/json", "text": text}
            body = reply["text"].encode()
            self.send_response(reply["status"])
            self.send_header("Content-Type", reply["kind"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer  # noqa: N815  (names of http.server)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield url
