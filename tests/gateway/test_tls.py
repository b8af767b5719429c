"""TLS, its renewal, and the probe that a host makes of its gateway."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import requests

from python_checks.canary import door as canary
from python_checks.service.registry import Row
from tests.gateway.door import KEY, Door, opened, until
from tests.gateway.test_keys import checks, deploy
from tests.ports import free_port
from tests.tls import NAME, certificate


def give(door: Door, pem: Path, key: Path) -> subprocess.CompletedProcess[str]:
    """Give it to the gateway as the role does."""
    joined = door.state / "tls/gateway.pem"
    places = ("--joined", joined, "--group", str(os.getgid()), "--socket", door.state / "admin.sock")
    return checks("gateway-certificate", "--certificate", pem, "--key", key, *places)


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Door, int, Path]]:
    """A door with TLS, the port without it for programs of the host, and its certificate."""
    home, plain = tmp_path_factory.mktemp("t"), free_port()
    with opened(
        home,
        run=False,
        gateway_self_signed=[NAME, "127.0.0.1"],
        gateway_plain_ports={"vllm": plain, "backend": free_port()},
    ) as door:
        (door.state / "tls").mkdir()
        pem, key = certificate(home, "first")
        done = give(door, pem, key)
        assert done.returncode == 0 and "from now on" in done.stdout, done.stdout + done.stderr
        door.engine.start()
        door.start()
        until(door.up, 10, "the engine is up")
        yield door, plain, pem


def test_what_is_only_looked_at(tmp_path: Path) -> None:
    """As before a deploy: nothing is written."""
    pem, key = certificate(tmp_path, "one")
    other = certificate(tmp_path, "two")[1]
    before = sorted(tmp_path.iterdir())
    done = checks("gateway-certificate", "--certificate", pem, "--key", key)
    assert done.returncode == 0 and "valid for 82" in done.stdout, done.stdout
    done = checks("gateway-certificate", "--certificate", pem, "--key", other)
    assert done.returncode == 2 and "are not a certificate and its key" in done.stdout, done.stdout
    assert sorted(tmp_path.iterdir()) == before


def ask(door: Door, pem: Path, **body: object) -> requests.Response:
    """Ask by TLS, and trust this certificate alone."""
    url = f"https://127.0.0.1:{door.port}/v1/chat/completions"
    return requests.post(
        url, json=body, headers={"Authorization": f"Bearer {KEY}"}, verify=str(pem), timeout=30
    )


def test_a_client_that_trusts_it_is_served(closed: tuple[Door, int, Path]) -> None:
    door, plain, pem = closed
    assert ask(door, pem).status_code == 200
    assert requests.get(f"http://127.0.0.1:{plain}/health", timeout=5).status_code == 200
    with pytest.raises(requests.RequestException):
        requests.get(f"http://127.0.0.1:{door.port}/health", timeout=5)


def test_its_key_is_for_the_gateway_alone(closed: tuple[Door, int, Path]) -> None:
    assert (closed[0].state / "tls/gateway.pem").stat().st_mode & 0o777 == 0o640


def test_old_protocols_are_refused(closed: tuple[Door, int, Path]) -> None:
    ssl.get_server_certificate(("127.0.0.1", closed[0].port))
    with pytest.raises(OSError), pytest.warns(DeprecationWarning):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        with context.wrap_socket(socket.create_connection(("127.0.0.1", closed[0].port), 5)):
            pass


def test_what_is_no_certificate_is_refused_and_the_old_one_stays(
    closed: tuple[Door, int, Path], tmp_path: Path
) -> None:
    door, _, pem = closed
    other, _ = certificate(tmp_path, "other")
    _, key = certificate(tmp_path, "another")
    for bad in ((other, key), (tmp_path / "none", key), (key, key)):
        done = give(door, *bad)
        assert done.returncode == 2 and "remedy" in done.stdout, done.stdout
    assert ask(door, pem).status_code == 200


def test_a_renewal_is_taken_up_without_a_cut_stream(closed: tuple[Door, int, Path], tmp_path: Path) -> None:
    door, _, pem = closed
    new, key = certificate(tmp_path, "second", days=10)
    with door.streaming(partial(ask, door, pem)):
        assert give(door, new, key).returncode == 0
        assert ask(door, new).status_code == 200
    assert "as before" in give(door, new, key).stdout
    assert ssl.get_server_certificate(("127.0.0.1", door.port)).split() == new.read_text().split()


def test_the_probe(closed: tuple[Door, int, Path]) -> None:
    """Its certificate, renewed before, ends in ten days."""
    door, plain, _ = closed
    deploy(door)
    given = [
        "gateway",
        "--gateway-url",
        f"http://127.0.0.1:{plain}",
        "--gateway-status",
        f"http://127.0.0.1:{door.status}",
        "--format",
        "json",
    ]
    given += ["--gateway-key-file", str(door.state / "probe.key"), "--timeout", "20"]
    done = checks(*given)
    [result] = json.loads(done.stdout)["results"]
    # Of the two services only one runs here.
    assert (
        result["state"] == "warning"
        and result["reason"] == "requests for backend wait: it is drained or down"
    ), result
    assert result["evidence"]["servers"] == {"vllm": 1, "backend": 0}
    done = checks(*given, "--gateway-tls", f"127.0.0.1:{door.port}")
    assert "the certificate ends in 10 days" in done.stdout and '"certificate_left"' in done.stdout
    (door.home / "wrong.key").write_text("sk-wrong")
    done = checks(*given, "--gateway-key-file", door.home / "wrong.key")
    assert done.returncode == 2 and "the probes' own key gets 401" in done.stdout.replace("\\u2019", "'")


def test_the_canary_measures_it(closed: tuple[Door, int, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every ten seconds, of which the log says nothing."""
    gateway = closed[0]
    options = {
        "gateway-status": f"http://127.0.0.1:{gateway.status}",
        "gateway-tls": f"127.0.0.1:{gateway.port}",
        "leads-to": "vllm backend",
    }
    (gateway.home / "services").mkdir()
    row = {"name": "gateway", "manager": "systemd", "options": options}
    (gateway.home / "services/gateway.json").write_text(json.dumps(row))
    monkeypatch.setenv("CHECKS_HOME", str(gateway.home))

    def figures() -> dict[str, float]:
        return {figure.name: figure.value for figure in canary.figures(Row("vllm"))}

    before = gateway.log
    found = figures()
    assert 0 < found.pop("certificate_left") <= 825 * 86400
    assert found == {"gateway_answers": 1, "gateway_holds": 0}
    assert gateway.log == before
    gateway.command("set server vllm/main state drain")
    assert figures()["gateway_holds"] == 1
    gateway.command("set server vllm/main state ready")
    assert figures()["gateway_holds"] == 0


def test_the_probe_sees_a_door_that_is_open(closed: tuple[Door, int, Path]) -> None:
    """Asked of the engine itself, which asks for no key and refuses no route."""
    door, _, _ = closed
    done = checks(
        "gateway",
        "--gateway-url",
        door.engine.url,
        "--gateway-key-file",
        door.state / "probe.key",
        "--timeout",
        "10",
    )
    assert (
        done.returncode == 2
        and "without a key gets 200, not 401" in done.stdout
        and "GET /metrics gets 200" in done.stdout
    )
