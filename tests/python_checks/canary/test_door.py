"""The gateway in the canary's metrics: whether it answers, holds requests, and for how long its certificate is valid."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from python_checks.canary import door
from python_checks.service import registry
from tests.python_checks.support import Server
from tests.tls import certificate, shown

Figures = Callable[..., dict[str, float]]


@pytest.fixture
def figures(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Figures:
    """Give what the canary of a service measures, with a gateway before vLLM and the backend."""
    monkeypatch.setenv("CHECKS_HOME", str(tmp_path))
    (tmp_path / "services").mkdir()

    def measured(service: str = "vllm", **options: str) -> dict[str, float]:
        told = {"gateway-status": server.url, "leads-to": "vllm backend"} | {
            name.replace("_", "-"): value for name, value in options.items()
        }
        for name in ("vllm", "further", "gateway"):
            row = {"name": name, "manager": "systemd", "options": told if name == "gateway" else {}}
            (tmp_path / f"services/{name}.json").write_text(json.dumps(row))
        return {each.name: each.value for each in door.figures(registry.one(service))}

    return measured


def test_a_gateway_that_leads_requests_on_and_one_that_holds_them(figures: Figures, server: Server) -> None:
    server.answers["/alive"] = 200, {"vllm": 1, "backend": 0}
    assert figures() == {"gateway_answers": 1, "gateway_holds": 0}
    server.answers["/alive"] = 200, {"vllm": 0, "backend": 1}
    assert figures() == {"gateway_answers": 1, "gateway_holds": 1}


def test_the_certificate_that_is_shown(figures: Figures, server: Server, tmp_path: Path) -> None:
    server.answers["/alive"] = 200, {"vllm": 1}
    with shown(*certificate(tmp_path, "own", days=10)) as place:
        found = figures(gateway_tls=place)
    assert found.pop("certificate_left") == pytest.approx(10 * 86400, abs=60)
    assert found == {"gateway_answers": 1, "gateway_holds": 0}
    # Programs of the host would be served, and nobody from outside.
    assert figures(gateway_tls=place) == {"gateway_answers": 0, "gateway_holds": 0}


def test_one_that_does_not_run(figures: Figures, server: Server) -> None:
    assert figures(gateway_status="http://127.0.0.1:9") == {"gateway_answers": 0}
    server.answers["/alive"] = 200, "another server"
    assert figures() == {"gateway_answers": 0}


def test_services_that_no_gateway_leads_to(figures: Figures, server: Server) -> None:
    assert figures("further") == {} and figures(leads_to="backend") == {}
    assert server.requests == []
