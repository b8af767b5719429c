"""Who gets through, and where to."""

from __future__ import annotations

import socket
import time

import pytest
import requests

from tests.gateway.door import CHAT, KEY, Door


def raw(door: Door, data: bytes, seconds: float = 5) -> bytes:
    """Send bytes and return the answer."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=seconds) as channel:
        channel.sendall(data)
        answer = b""
        while piece := channel.recv(65536):
            answer += piece
            head, _, body = answer.partition(b"\r\n\r\n")
            if body and b"content-length: %d\r\n" % len(body) in head.lower() + b"\r\n":
                break
        return answer


def test_a_good_key_gets_its_answer(door: Door) -> None:
    reply = door.chat()
    assert reply.status_code == 200 and reply.json()["usage"]["completion_tokens"] == 5


def test_what_vllm_sees(door: Door) -> None:
    door.chat(head={"X-Request-Id": "mine-1", "X-Gateway-Key": "root"})
    head = door.engine.seen()[-1]["head"]
    assert head["x-gateway-key"] == "team" and head["x-request-id"] == "mine-1"
    assert KEY not in str(head) and "authorization" not in head


@pytest.mark.parametrize("key", ["", "wrong", KEY[:-1], KEY + "x"])
def test_a_stranger_gets_an_error_as_openai_words_it(door: Door, key: str) -> None:
    reply = door.chat(key)
    assert reply.status_code == 401 and reply.json()["error"]["code"] == "invalid_api_key"
    assert reply.headers["X-Request-Id"]


def test_the_health_needs_no_key(door: Door) -> None:
    assert requests.get(f"{door.url}/health", timeout=5).status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        "/invocations", "/metrics", "/tokenize", "/docs", "/v1", "/", "*", "//v1/models", "/v1//models", "/v1/models/", "/V1/models",
        "/v1/%6dodels", "/v1/models%2f", "/v1/./models", "/v1/x/../models", "/v1/models/../../metrics", "/v1/models/%2e%2e/metrics",
        "/health/../metrics", "/health;x", "/v1/models;x=/metrics", "/v1/models%00", "/v1/chat/completions/render", "\\v1\\models",
        "http://127.0.0.1/metrics", "http://other/invocations", "//127.0.0.1/metrics",
    ],
)  # fmt: skip
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_no_other_path_reaches_vllm(door: Door, target: str, version: str) -> None:
    before = len(door.engine.seen())
    for method in ("GET", "POST"):
        head = f"Host: x\r\nConnection: close\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 0"
        answer = raw(door, f"{method} {target} HTTP/{version}\r\n{head}\r\n\r\n".encode())
        assert answer.split()[1] in (b"404", b"400"), answer[:300]
    assert len(door.engine.seen()) == before


def test_the_absolute_form_arrives_as_a_path(door: Door) -> None:
    head = f"GET http://elsewhere/v1/models?x=1#y HTTP/1.1\r\nHost: elsewhere\r\nConnection: close\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    assert raw(door, head.encode()).split()[1] in (b"200", b"400")
    head = head.replace("?x=1#y", "?x=1")
    assert raw(door, head.encode()).split()[1] == b"200"
    assert door.engine.seen()[-1]["target"] == "/v1/models"


@pytest.mark.parametrize(
    "method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PATCH", "post"]
)
def test_a_route_has_its_method(door: Door, method: str) -> None:
    before = len(door.engine.seen())
    answer = raw(
        door,
        f"{method} {CHAT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode(),
    )
    assert answer.split()[1] in (b"404", b"400"), answer[:200]
    assert len(door.engine.seen()) == before


@pytest.mark.parametrize(
    ("heads", "status"),
    [
        ("Content-Length: 2\r\nContent-Length: 30\r\n", b"400"),
        ("Content-Length: 30\r\nTransfer-Encoding: chunked\r\n", b"4"),
        ("Transfer-Encoding: chunked\r\n", b"4"),
        ("Transfer-Encoding: xchunked\r\n", b"4"),
        ("Transfer-Encoding : chunked\r\nContent-Length: 2\r\n", b"400"),
        ("Content-Length: +2\r\n", b"400"),
        ("Content-Length: 2,3\r\n", b"400"),
        ("", b"411"),
    ],
)
def test_two_lengths_smuggle_nothing(door: Door, heads: str, status: bytes) -> None:
    before = len(door.engine.seen())
    smuggled = f"{{}}0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {KEY}\r\n{heads}\r\n{smuggled}"
    answer = raw(door, head.encode())
    assert answer.split()[1].startswith(status), answer[:300]
    assert all(seen["target"] != "/metrics" for seen in door.engine.seen()[before:])


def test_a_large_body_is_refused_before_it_is_read(door: Door) -> None:
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 1048577\r\n\r\n"
    assert raw(door, head.encode()).split()[1] == b"413"
    assert door.chat(prompt="x" * 1_000_000).status_code == 200


def test_a_slow_body_is_given_up(door: Door) -> None:
    began = time.monotonic()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 20\r\n\r\n{{"
    answer = raw(door, head.encode(), 8)
    assert answer.split()[1] == b"408" and b'"invalid_request_error"' in answer
    assert 1.5 < time.monotonic() - began < 4


def test_slow_headers_are_given_up(door: Door) -> None:
    began = time.monotonic()
    answer = raw(door, b"POST / HTTP/1.1\r\nHost: x\r\n", 8)
    assert answer.split()[1] == b"408" and b"text/html" in answer  # before any rule, as below
    assert time.monotonic() - began < 4


def test_what_is_no_http_is_refused_in_html(door: Door) -> None:
    """HAProxy answers it before any rule: no `http-error`, which the configuration has, and no `errorfile` changes the form."""
    answer = raw(door, b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
    assert answer.split()[1] == b"400" and b"text/html" in answer


def test_huge_headers_are_refused(door: Door) -> None:
    heads = "".join(f"X-{number}: {'y' * 1000}\r\n" for number in range(40))
    assert raw(door, f"GET /v1/models HTTP/1.1\r\nHost: x\r\n{heads}\r\n".encode()).split()[1] == b"400"
    many = "".join(f"X-{number}: y\r\n" for number in range(400))
    assert raw(door, f"GET /v1/models HTTP/1.1\r\nHost: x\r\n{many}\r\n".encode()).split()[1] == b"400"


def test_the_log_has_the_name_and_no_key(door: Door) -> None:
    door.chat(head={"X-Request-Id": "logged-1"}, messages=[{"role": "user", "content": "a secret prompt"}])
    door.chat("wrong-key-of-a-stranger")
    assert '"id":"logged-1","key":"team"' in door.log
    assert KEY not in door.log and "wrong-key" not in door.log and "secret prompt" not in door.log
