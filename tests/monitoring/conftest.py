"""This machine as a host of the group monitoring, under supervisord: the real programs, deployed by deploy.yml itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.watched import TOKEN, Watched
from tests.ports import free_port
from tests.prometheus import all_programs

TEMPLATES = "/usr/share/prometheus/alertmanager/default.tmpl"  # built into the program


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Deploy it, and remove it in the end."""
    if not Path(TEMPLATES).exists():
        pytest.skip(
            f"Alertmanager of Debian needs {TEMPLATES}: apt-get install prometheus-alertmanager, or run tox's environment as root"
        )
    folder = tmp_path_factory.mktemp("m")
    prometheus, alertmanager, exporter, receiver = (free_port() for _ in range(4))
    host: dict[str, Any] = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_remote_tmp": str(folder / "tmp"),
        "host_directory": str(folder / "h"),
        "service_manager": "supervisor",
        "monitoring_port": prometheus,
        "monitoring_alertmanager_port": alertmanager,
        "monitoring_exporter_port": exporter,
        "monitoring_programs": str(all_programs(folder / "programs")),
        "monitoring_webhooks": [f"http://127.0.0.1:{receiver}/"],
        "monitoring_secrets": {"WEBHOOK_TOKEN": TOKEN},
    }
    (folder / "hosts.json").write_text(json.dumps({"monitoring": {"hosts": {"ml35": host}}}))
    here = Watched(folder, host, receiver)
    try:
        with here.receiving():
            here.first = here.play("deploy.yml", "-v", "--diff")
            assert here.first.returncode == 0, here.first.stdout[-6000:]
            yield here
    finally:
        done = here.play("ansible/uninstall.yml")
    assert done.returncode == 0, done.stdout[-6000:]
