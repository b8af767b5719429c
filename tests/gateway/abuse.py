"""What a gateway must bear: malformed requests, slow clients, bodies and headers that are too large; sent to any address."""

from __future__ import annotations

import random
import socket
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType

Place = tuple[str, int]

CHAT = "/v1/chat/completions"
HEADS = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /v1/models HTTP/9.9\r\n\r\n",
    b"\x00" * 40 + b"\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\nA\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET " + b"/x" * 9000 + b" HTTP/1.1\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\n" + b"X: " + b"y" * 40000 + b"\r\n\r\n",
)
CLIENTS = 8  # that send what is malformed
WAIT = 20.0  # seconds for an answer, which no gateway takes
PAUSE = 0.5  # seconds between two bytes of a slow client, and between two large requests


def head(key: str, length: int) -> bytes:
    """Return the head of a chat with a body of so many bytes."""
    line = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    return f"{line}Content-Length: {length}\r\n\r\n".encode()


@contextmanager
def closing() -> Iterator[None]:
    """Bear that the other side closes the connection, and no deadline that passes."""
    try:
        yield
    except TimeoutError:
        raise
    except OSError:
        return


def send(place: Place, *pieces: bytes) -> bytes:
    """Send bytes and return the first line of the answer; a connection that is reset may have none."""
    with socket.create_connection(place, timeout=WAIT) as channel, closing():
        with closing():  # it need not read to the end
            for piece in pieces:
                channel.sendall(piece)
            channel.shutdown(socket.SHUT_WR)
        return channel.recv(4096).partition(b"\r\n")[0]
    return b""


def malformed(number: int, key: str) -> list[bytes]:
    """Make so many requests, each one of the above or one with a wrong key, some of its bytes changed."""
    chance = random.Random(7)
    found = []
    for _ in range(number):
        data = bytearray(chance.choice((*HEADS, head(key[:-1], 2) + b"{}")))
        for _ in range(chance.randrange(4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        found.append(bytes(data))
    return found


def large(key: str, mib: int) -> list[tuple[bytes, ...]]:
    """Make requests that are too large: a body above the limit, one of a stranger below it, headers of a mebibyte."""
    above, below = (mib + 1) * 2**20, mib * 2**20 - 1
    return [
        (head(key, above), b"x" * above),
        (head(key + "x", below), b"x" * below),
        (b"GET /v1/models HTTP/1.1\r\nX: ", b"y" * 2**20, b"\r\n\r\n"),
    ]


class Slow:
    """A client that begins a request with a good key and never ends it: every second one its headers, the others its body."""

    def __init__(self, place: Place, key: str, number: int) -> None:
        self.channel = socket.create_connection(place, timeout=WAIT)
        self.channel.sendall(head(key, 9000)[: None if number % 2 else -2])
        self.piece = b" " if number % 2 else b"X: y\r\n"

    def drip(self) -> bool:
        """Send a little more; tell whether it was taken."""
        with closing():
            self.channel.sendall(self.piece)
            return True
        return False

    def told(self) -> bytes:
        """Return the first line of what it was told, and leave."""
        with self.channel, closing():
            return self.channel.recv(100).partition(b"\r\n")[0]
        return b""


def took(ask: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    began = time.monotonic()
    ask()
    return time.monotonic() - began


def beside(abuse: Abuse, ask: Callable[[], object]) -> tuple[float, list[float]]:
    """Return how many seconds something usually takes by itself, and those of each time meanwhile; write both down."""
    alone = statistics.median(took(ask) for _ in range(20))
    meanwhile = []
    with abuse:
        while abuse.under_way():
            meanwhile.append(took(ask))
    usual = statistics.median(meanwhile)
    print(
        f"alone {alone:.3f} s, meanwhile {usual:.3f} s, {max(meanwhile):.3f} at most",
        abuse.answers,
        abuse.slow,
    )
    return alone, meanwhile


class Abuse:
    """All of it at once, from ``with`` to its end: malformed requests spread over some time, slow clients and large requests meanwhile.

    Attributes:
        answers: first lines of the answers to what is malformed and to what is large, and how often they came.
        slow: the same of slow clients.
    """

    def __init__(
        self, place: Place, key: str, mib: int, number: int, seconds: float, slow: int = 100
    ) -> None:
        self.place, self.key, self.mib, self.clients = place, key, mib, slow
        self.answers, self.slow = Counter[bytes](), Counter[bytes]()
        self._requests = malformed(number, key)
        self._every = CLIENTS * seconds / number
        self._done = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS + 2)

    def under_way(self) -> bool:
        """Tell whether what is malformed is still being sent."""
        return not all(each.done() for each in self._senders)

    def __enter__(self) -> Abuse:
        self._senders = [self._pool.submit(self._send, number) for number in range(CLIENTS)]
        self._others = [self._pool.submit(self._drip), self._pool.submit(self._weigh)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._pool.shutdown()
        if error is None:
            for each in (*self._senders, *self._others):
                each.result()

    def _send(self, number: int) -> None:
        due = time.monotonic()
        for data in self._requests[number::CLIENTS]:
            if self._done.wait(max(0.0, due - time.monotonic())):
                return
            due += self._every
            self.answers[send(self.place, data)] += 1

    def _weigh(self) -> None:
        requests = large(self.key, self.mib)
        while True:
            for pieces in requests:
                self.answers[send(self.place, *pieces)] += 1
                if self._done.wait(PAUSE):
                    return

    def _drip(self) -> None:
        clients = [Slow(self.place, self.key, number) for number in range(self.clients)]
        while not self._done.wait(PAUSE):
            for number, client in enumerate(clients):
                if not client.drip():
                    self.slow[client.told()] += 1
                    clients[number] = Slow(self.place, self.key, number)
        for client in clients:
            client.channel.close()
