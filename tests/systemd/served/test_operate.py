"""status and doctor under systemd. (drain: test_start.py, for a start is to come after it.)"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.systemd.deployed import Host
from tests.systemd.play import said


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
