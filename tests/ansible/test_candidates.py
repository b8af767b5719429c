"""Which of a host's Pythons may run vLLM, by the variables of roles/vllm."""

from __future__ import annotations

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template
from playbooks import REPOSITORY

init_plugin_loader()


@pytest.mark.parametrize(
    ("manager", "given", "bundled", "chosen"),
    [
        ("systemd", "", "", ["/usr/bin/python3.12", "/opt/python/bin/python3.12"]),  # no service sees homes
        ("supervisor", "", "", ["/root/py/python3.12", "/usr/bin/python3.12", "/opt/python/bin/python3.12"]),
        ("systemd", "/opt/python/bin/python3.12", "", ["/opt/python/bin/python3.12"]),
        ("systemd", "/root/py/python3.12", "", []),
        ("systemd", "", "3.12", "/usr/bin/python3.12"),
        ("systemd", "/opt/python/bin/python3.12", "3.12", "/opt/python/bin/python3.12"),
    ],
)
def test_those_that_fit(manager: str, given: str, bundled: str, chosen: str | list[str]) -> None:
    paths = (
        "/usr/bin/python3.13",
        "/root/py/python3.12",
        "/usr/bin/python3.12",
        "/opt/python/bin/python3.12",
    )
    found = [{"path": path, "version": path[-4:], "headers": True} for path in paths]
    found.insert(2, {"path": "/bin/python3.12", "version": "3.12", "headers": False})
    variables = {
        name: trust_as_template(value) if isinstance(value, str) else value
        for name, value in DataLoader().load_from_file(str(REPOSITORY / "roles/vllm/vars/main.yml")).items()
    } | {
        "service_manager": manager,
        "vllm_python": given,
        "__host_found": {"pythons": found, "given": [each for each in found if each["path"] == given]},
        "__host_engine_lock": {"pythons": ["3.12"]},
        "__host_bundle": {"python": bundled},
    }
    wanted = "__vllm_bundled_python" if bundled else "__vllm_candidates"
    assert (
        Templar(DataLoader(), variables=variables).template(trust_as_template(f"{{{{ {wanted} }}}}"))
        == chosen
    )
