"""The exchange itself, against a real server: refused, slow, dripping, broken, and whose words are quoted."""

import socket
import threading
import time

import pytest

from python_checks.api.http import Pending, Reply, fetch, refusal
from python_checks.core.result import CheckError
from tests.python_checks.support import Server


def test_a_reply_is_parsed(server: Server) -> None:
    server.answers["/x"] = (201, {"서울": "맑음"})
    reply = fetch("POST", f"{server.url}/x", 10, {"a": 1})
    assert (reply.status, reply.data) == (201, {"서울": "맑음"})
    assert server.requests == [("/x", {"a": 1})]


def test_refused_says_what_to_look_at(free_port: int) -> None:
    with pytest.raises(CheckError) as caught:
        fetch("GET", f"http://127.0.0.1:{free_port}/health", 10)
    fault = caught.value.fault
    assert fault.reason == f"connection refused by 127.0.0.1:{free_port}"
    for hint in ("ps aux | grep vllm", f"ss -ltnp | grep {free_port}", "model loads", "ufw status"):
        assert hint in fault.remedy


def test_a_server_that_never_answers_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(CheckError, match=r"no answer from .*/x within 0.3 s"):
            fetch("GET", url, 0.3)


def test_a_server_that_drips_bytes_ends_at_the_deadline(server: Server) -> None:
    server.answers["/x"] = ("drip", None)
    with pytest.raises(CheckError, match="no answer from"):
        fetch("GET", f"{server.url}/x", 0.5)


def test_a_connection_that_breaks_off_is_told() -> None:
    def hang_up(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        connection.recv(10_000)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=hang_up, args=(listener,), daemon=True).start()
        with pytest.raises(CheckError, match=r"no connection to 127\.0\.0\.1"):
            fetch("GET", f"http://127.0.0.1:{listener.getsockname()[1]}/x", 10)


def test_an_unknown_host_is_told() -> None:
    with pytest.raises(CheckError, match=r"no connection to no-such-host\.invalid"):
        fetch("GET", "http://no-such-host.invalid/x", 10)


def test_a_proxy_of_the_environment_is_not_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    server.answers["/x"] = (200, "ok")
    assert fetch("GET", f"{server.url}/x", 10).text == "ok"


def test_a_redirect_is_not_followed(server: Server) -> None:
    server.answers |= {"/x": (307, "/y"), "/y": (200, "")}
    assert fetch("GET", f"{server.url}/x", 10).status == 307


@pytest.mark.parametrize(
    ("data", "text", "words"),
    [
        (
            {"error": {"message": "The model `x` does not exist.", "code": 404}},
            "",
            "The model `x` does not exist.",
        ),
        ({"error": {"message": "", "type": "InternalServerError"}}, "", "InternalServerError"),
        ({"detail": "Not Found"}, "", "Not Found"),
        ({"detail": [{"loc": ["body"], "msg": "필수"}]}, "", '[{"loc": ["body"], "msg": "필수"}]'),
        ({"error": "model_unavailable", "reason": "connection refused"}, "", "connection refused"),
        ({"error": "model_unavailable"}, "", "model_unavailable"),
        (None, "<h1>Bad\nGateway</h1>", "<h1>Bad Gateway</h1>"),
        (None, "", "empty body"),
    ],
)
def test_the_words_of_a_refusal(data: object, text: str, words: str) -> None:
    assert refusal(Reply(500, data, text)) == words


def test_a_wait_is_no_longer_than_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        pending = Pending("GET", f"http://127.0.0.1:{silent.getsockname()[1]}/", None, 300)
        before = time.monotonic()
        assert not pending.done(0.05)
        assert time.monotonic() - before < 60
