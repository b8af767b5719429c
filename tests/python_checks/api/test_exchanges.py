"""Both ways to make an exchange, against real servers: the same words, and the same kinds of failure."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from python_checks.api.http import Light, Pending
from python_checks.api.http_errors import NoAnswerError, SeveredError
from python_checks.core.result import CheckError
from tests.python_checks.support import Server

ways = pytest.mark.parametrize("way", [Light, Pending])
Way = type[Pending]


@contextmanager
def says(words: bytes, reset: bool = False) -> Iterator[str]:
    """Answer one request with `words` and hang up, or break off; give the URL."""

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.recv(10_000)
        connection.sendall(words)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x"


@ways
def test_a_reply(way: Way, server: Server, monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port}")  # not asked
    monkeypatch.delenv("no_proxy", raising=False)
    server.answers |= {"/x": (201, {"서울": "맑음"}), "/y": (307, "/x")}
    reply = way("POST", f"{server.url}/x", {"a": "날"}, 10).result()
    assert (reply.status, reply.data) == (201, {"서울": "맑음"})
    assert way("GET", f"{server.url}/y", None, 10).result().status == 307
    assert server.requests == [("/x", {"a": "날"}), ("/y", None)]


@ways
def test_refused(way: Way, free_port: int) -> None:
    with pytest.raises(SeveredError, match=f"connection refused by 127.0.0.1:{free_port}$"):
        way("GET", f"http://127.0.0.1:{free_port}/x", None, 10).result()


@ways
@pytest.mark.parametrize(
    ("words", "reset"),
    [
        (b"", False),
        (b"", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", False),
    ],
)
def test_cut(way: Way, words: bytes, reset: bool) -> None:
    why = "cut before the end of the answer" if words else "."
    with (
        says(words, reset) as url,
        pytest.raises(SeveredError, match=rf"no connection to 127.0.0.1:\d+: {why}"),
    ):
        way("GET", url, None, 10).result()


@ways
def test_late(way: Way, server: Server) -> None:
    server.answers["/x"] = ("drip", None)
    with pytest.raises(NoAnswerError, match=r"no answer from .* within 0\.5 s"):
        way("GET", f"{server.url}/x", None, 0.5).result()
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(NoAnswerError, match=r"no answer from .* within 0\.3 s"),
    ):
        way("GET", f"http://127.0.0.1:{silent.getsockname()[1]}/x", None, 0.3).result()


@ways
@pytest.mark.parametrize("url", ["http://no-such-host.invalid/x", "http://a b/x"])
def test_what_tells_nothing_about_the_server(way: Way, url: str) -> None:
    with pytest.raises(CheckError) as caught:
        way("GET", url, None, 10).result()
    assert type(caught.value) is CheckError


@ways
def test_what_is_not_http(way: Way) -> None:
    with says(b"SSH-2.0-OpenSSH_9.6\r\n") as url, pytest.raises(CheckError):
        way("GET", url, None, 10).result()
