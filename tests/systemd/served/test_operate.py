"""status, doctor and drain under systemd."""

from __future__ import annotations

import re
import subprocess
import threading
from pathlib import Path

import pytest
import requests

from tests.systemd.deployed import START, Host
from tests.systemd.play import said

TOKENS = 1500  # a request of half a minute


def test_status_and_doctor(host: Host) -> None:
    status = host.playbook("ansible/status.yml")
    assert status.returncode == 0, status.stdout
    assert f"pid {host.pid('vllm')}," in said(status)
    assert f"  release  {host.told('cat /run/vllm-deploy/vllm')}\n" in status.stdout
    assert re.search(r"(no|1) request running, none waiting", said(status))  # the canary asks, too
    doctor = host.playbook("ansible/doctor.yml")
    assert doctor.returncode == 0, doctor.stdout


@pytest.mark.skipif(
    not Path("/usr/share/i18n/locales/ko_KR").exists(), reason="NOT TESTED: no Korean locale to make"
)
def test_doctor_speaks_the_operators_language(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ansible itself refuses a locale that the controller lacks."""
    make = ["localedef", "-i", "ko_KR", "-f", "UTF-8", tmp_path / "ko_KR.UTF-8"]
    subprocess.run(make, check=True, timeout=60)
    for name, value in {"LOCPATH": str(tmp_path), "LANG": "ko_KR.UTF-8"}.items():
        monkeypatch.setenv(name, value)
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    doctor = host.playbook("ansible/doctor.yml")
    assert doctor.returncode == 0 and "vllm 포트" in doctor.stdout, doctor.stdout


def test_drain_lets_a_request_end_and_the_unit_stays_stopped(host: Host) -> None:
    replies: list[requests.Response] = []
    request = threading.Thread(
        target=lambda: replies.append(host.chat(seconds=300, max_tokens=TOKENS, ignore_eos=True)), daemon=True
    )
    request.start()
    gauge = "vllm:num_requests_running{"
    host.until(
        lambda: any(
            line.startswith(gauge) and float(line.split()[-1]) == 1
            for line in requests.get(f"{host.vllm}/metrics", timeout=10).text.splitlines()
        ),
        30,
        "the request is under way",
    )
    drain = host.playbook("ansible/drain.yml")
    assert drain.returncode == 0, drain.stdout
    assert "1 request running, none waiting" in drain.stdout
    request.join(10)
    assert replies[0].json()["usage"]["completion_tokens"] == TOKENS
    assert (host.show("vllm", "ActiveState"), host.show("vllm", "UnitFileState")) == ("inactive", "enabled")
    assert host.ask("Hello", "drained").status_code == 503
    doctor = host.playbook("ansible/doctor.yml")
    assert doctor.returncode == 2, doctor.stdout
    assert "cause somebody stopped it (drain.yml, an operator); it did not fail" in said(doctor)
    assert "remedy systemctl start vllm " in said(doctor)
    host.told("systemctl start vllm", seconds=START)
    assert host.serves()
