"""A real HTTP server with files, as a site has one, and with what goes wrong there."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from tests.serving import running

LARGE = 2**14  # bytes


class Asked(NamedTuple):
    """A request: its method, the name of the file, the first byte that it asked for, and its header Authorization."""

    method: str
    name: str
    begin: int
    authorization: str


@dataclass
class FileServer:
    """Serves a directory at `url`.

    Attributes:
        ranges: Whether it gives parts; `heads`: whether it answers HEAD.
        cuts: After so many bytes of a body of more than LARGE the connection is cut, one a GET; nothing left: it is not.
        instead: A status, headers and a body in the place of a file, by its name; a list is used up first to last.
        pause: Seconds before each piece of `piece` bytes.
        secret: What Authorization must be.
        asked: The requests; `sent`: bytes of bodies, by name.
    """

    directory: Path
    url: str = ""
    ranges: bool = True
    heads: bool = True
    cuts: list[int] = field(default_factory=list)
    instead: dict[str, list[tuple[int, dict[str, str], bytes]]] = field(default_factory=dict)
    before: Callable[[str], None] = lambda _: None
    pause: float = 0.0
    piece: int = 2**16
    secret: str = ""
    asked: list[Asked] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)

    def gets(self, name: str) -> list[int]:
        """Return the first byte of each GET of a file."""
        return [each.begin for each in self.asked if (each.method, each.name) == ("GET", name)]


class Handler(BaseHTTPRequestHandler):
    """Answers as its server's `site` says."""

    protocol_version = "HTTP/1.1"

    def __init__(self, site: FileServer, *arguments: object) -> None:
        """Answer one connection."""
        self.site = site
        super().__init__(*arguments)  # type: ignore[arg-type]  # as socketserver gives them

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self._answer()

    def do_GET(self) -> None:
        """Answer with a body."""
        self._answer()

    def _answer(self) -> None:
        site, name = self.site, unquote(self.path.lstrip("/"))
        span = self.headers.get("Range", "bytes=0-")
        begin = int(span.removeprefix("bytes=").rstrip("-"))
        site.asked.append(Asked(self.command, name, begin, self.headers.get("Authorization", "")))
        site.before(name)
        if site.secret and self.headers.get("Authorization") != site.secret:
            return self._send(401, {}, b"who are you?")
        if self.command == "HEAD" and not site.heads:
            return self._send(405, {}, b"")
        if waiting := site.instead.get(name):
            return self._send(*(waiting.pop(0) if len(waiting) > 1 else waiting[0]))
        path = site.directory / name
        if not path.is_file():
            return self._send(404, {"Content-Type": "text/html"}, b"<html>not here</html>")
        data = path.read_bytes()
        if "Range" in self.headers and site.ranges:
            if begin >= len(data):
                return self._send(416, {}, b"")
            part = {"Content-Range": f"bytes {begin}-{len(data) - 1}/{len(data)}"}
            return self._send(206, part, data[begin:], name)
        return self._send(200, {}, data, name)

    def _send(self, status: int, headers: dict[str, str], body: bytes, name: str = "") -> None:
        site = self.site
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = site.cuts.pop(0) if site.cuts and len(body) > LARGE else None
        for place in range(0, len(body[:cut]), site.piece):
            piece = body[:cut][place : place + site.piece]
            time.sleep(site.pause)
            self.wfile.write(piece)
            site.sent[name] = site.sent.get(name, 0) + len(piece)
        self.close_connection = self.close_connection or cut is not None

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@contextmanager
def serving(directory: Path, tls: ssl.SSLContext | None = None) -> Iterator[FileServer]:
    """Serve a directory on a free port meanwhile."""
    site = FileServer(directory)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, site))
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    site.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    with running(server):
        yield site
