"""How a gateway is, by what it says: a stranger at its port, who waits, the days of its certificate."""

from pathlib import Path
from typing import Any

import pytest

from python_checks.api.http import Reply
from python_checks.core.result import CheckError, State
from python_checks.gateway import health
from tests.tls import certificate, shown


@pytest.mark.parametrize(("status", "data"), [(404, {"vllm": 1}), (200, ["vllm"]), (200, {"vllm": "1"})])
def test_another_server_at_its_port_is_told_from_it(status: int, data: Any) -> None:
    with pytest.raises(CheckError, match=f"status page says {status}"):
        health.rotation(Reply(status, data, ""))


def test_who_waits() -> None:
    servers = health.rotation(Reply(200, {"vllm": 0, "backend": 1}, ""))
    [fault] = health.waiting(servers)
    assert fault.state is State.WARNING and fault.reason.startswith("requests for vllm wait")
    assert health.waiting({"vllm": 1}) == []


@pytest.mark.parametrize(
    ("days", "state", "words"),
    [
        (20.9, State.WARNING, "ends in 21 days"),
        (0.1, State.WARNING, "ends in 0 days"),
        (-0.1, State.CRITICAL, "has ended"),
    ],
)
def test_a_certificate_near_its_end(days: float, state: State, words: str) -> None:
    [fault] = health.certificate(days * 86400)
    assert fault.state is state and words in fault.reason
    assert health.certificate(21.1 * 86400) == []


def test_what_is_left_of_the_certificate_that_is_shown(tmp_path: Path) -> None:
    with shown(*certificate(tmp_path, "own", days=30)) as place:
        assert 29.9 < health.certificate_left(place, 5) / 86400 <= 30
    with pytest.raises(CheckError, match="no TLS at"):
        health.certificate_left(place, 5)


def test_without_openssl_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with shown(*certificate(tmp_path, "own")) as place:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(CheckError, match="openssl does not say"):
            health.certificate_left(place, 5)
