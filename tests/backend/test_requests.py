"""What the backend takes and refuses, and what it logs."""

import json
import signal
import threading
from pathlib import Path
from typing import Any

import httpx2
import pytest
from replay import Replay
from running import Backend, Start

GOOD = {"message": "hello", "session_id": "s-1"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"message": ""}, "message"),
        ({"message": " \n\t"}, "message"),
        ({"message": "x" * 8001}, "message"),
        ({"message": 7}, "message"),
        ({"message": None}, "message"),
        ({"message": "\ud800"}, "message"),
        ({"session_id": ""}, "session_id"),
        ({"session_id": "x" * 129}, "session_id"),
        ({"session_id": "a b"}, "session_id"),
        ({"session_id": "a\n"}, "session_id"),
        ({"session_id": "../a"}, "session_id"),
        ({"session_id": "한글"}, "session_id"),
        ({"model": "other"}, "model"),
    ],
)
@pytest.mark.parametrize("route", ["/v1/chat", "/v1/chat/stream"])
def test_bad_field_is_named(backend: Backend, route: str, change: dict[str, Any], named: str) -> None:
    reply = backend.client.post(
        route, content=json.dumps(GOOD | change), headers={"Content-Type": "application/json"}
    )
    assert reply.status_code == 422
    assert reply.json()["error"] == "invalid_request"
    assert f"body.{named}" in reply.json()["reason"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b'{"message": "hello"}'])
def test_body_that_is_no_request_is_refused(backend: Backend, body: bytes) -> None:
    reply = backend.client.post("/v1/chat", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 422
    assert reply.json()["error"] == "invalid_request"


@pytest.mark.parametrize("chunked", [False, True])
def test_large_body_is_refused_without_reading_all(backend: Backend, chunked: bool) -> None:
    body = b" " * 200_000
    content: Any = iter([body[:100_000], body[100_000:]]) if chunked else body
    reply = backend.client.post("/v1/chat", content=content, headers={"Content-Type": "application/json"})
    assert reply.status_code == 413
    assert reply.json()["error"] == "body_too_large"


def test_longest_message_passes_in_its_longest_spelling(backend: Backend) -> None:
    body = json.dumps(GOOD | {"message": "\U0001f600" * 8000})
    reply = backend.client.post("/v1/chat", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 200, reply.text


def test_unknown_route_and_method_answer_json(backend: Backend) -> None:
    assert backend.client.get("/nowhere").json()["error"] == "not_found"
    reply = backend.client.get("/v1/chat")
    assert (reply.status_code, reply.json()["error"], reply.headers["allow"]) == (
        405,
        "method_not_allowed",
        "POST",
    )


def test_logs_are_json_lines_that_name_the_request_and_not_its_text(
    start: Start, peer: Replay, tmp_path: Path
) -> None:
    # As systemd's LoadCredential= gives it.
    (tmp_path / "OPENAI_API_KEY").write_text("top-secret\n")
    backend = start(VLLM_BASE_URL=peer.url, CREDENTIALS_DIRECTORY=str(tmp_path))
    replies = [backend.chat("my private words 휴가", "private-session")]
    peer.mode = "400"
    replies.append(backend.chat("my private words", "private-session"))
    replies.append(backend.chat("my private words", "private session"))
    assert [reply.status_code for reply in replies] == [200, 502, 422]
    assert backend.client.get("/health").status_code == 200
    backend.end()
    text = backend.log.read_text()
    lines = [line for line in backend.lines() if line["message"] == "request"]
    assert [line["status"] for line in lines] == [200, 502, 422]
    assert [line["request_id"] for line in lines] == [reply.headers["x-request-id"] for reply in replies]
    for secret in ("private", "휴가", "15일", "top-secret"):
        assert secret not in text
    assert peer.keys[0] == "Bearer top-secret"


def test_wrong_setting_ends_the_start_with_one_line(start: Start) -> None:
    with pytest.raises(AssertionError, match="invalid settings: MAX_STEPS"):
        start(MAX_STEPS="many")


def test_file_that_is_no_database_ends_the_start(start: Start, peer: Replay, tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"no database" * 1000)
    with pytest.raises(AssertionError, match="file is not a database"):
        start(VLLM_BASE_URL=peer.url, SESSIONS_DB="broken")


def test_term_lets_the_answer_in_flight_finish(start: Start, peer: Replay) -> None:
    backend = start(VLLM_BASE_URL=peer.url)
    peer.mode = "hang"
    with httpx2.Client(base_url=backend.client.base_url, timeout=60, trust_env=False) as client:
        request = client.build_request("POST", "/v1/chat/stream", json=GOOD)
        replies: list[httpx2.Response] = []
        thread = threading.Thread(target=lambda: replies.append(client.send(request)))
        thread.start()
        assert peer.hanging.wait(30)
        backend.process.send_signal(signal.SIGTERM)
        with pytest.raises(httpx2.TransportError):
            while True:
                httpx2.get(f"{backend.client.base_url}/health", timeout=5, trust_env=False)
        assert backend.process.poll() is None
        peer.release.set()
        thread.join(30)
    assert "echo: hello" in replies[0].text
    assert (
        backend.process.wait(30) == -signal.SIGTERM
    )  # uvicorn ends itself by the signal, after its shutdown
    assert "Application shutdown complete." in [line["message"] for line in backend.lines()]


def test_body_nested_too_deep_is_refused(backend: Backend) -> None:
    reply = backend.client.post("/v1/chat", content=b"[" * 5000, headers={"Content-Type": "application/json"})
    # Which one depends on how deep the interpreter's own parser goes.
    assert reply.status_code in {400, 422}
    assert reply.json()["error"] == "invalid_request"
