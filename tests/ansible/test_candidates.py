"""What the variables of roles/vllm come to: which of a host's Pythons may run it, and how it is checked."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template
from playbooks import REPOSITORY

init_plugin_loader()


def value(name: str, **given: Any) -> Any:
    """Return a variable of the role where others are as given."""
    variables = {
        each: trust_as_template(text) if isinstance(text, str) else text
        for each, text in DataLoader().load_from_file(str(REPOSITORY / "roles/vllm/vars/main.yml")).items()
    } | {"ansible_check_mode": False, **given}
    return Templar(DataLoader(), variables=variables).template(trust_as_template(f"{{{{ {name} }}}}"))


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
    wanted = "__vllm_bundled_python" if bundled else "__vllm_candidates"
    variables = {
        "service_manager": manager,
        "vllm_python": given,
        "host_found": {"pythons": found, "given": [each for each in found if each["path"] == given]},
        "host_engine_lock": {"pythons": ["3.12"]},
        "host_bundle_used": {"python": bundled},
    }
    assert value(wanted, **variables) == chosen


def test_the_check_of_arguments_has_the_seconds_of_its_variable() -> None:
    names = ("vllm_engine", "__vllm_checks", "vllm_model")
    given: dict[str, Any] = {name: name for name in names} | {"vllm_extra_args": [], "__vllm_arguments": []}
    command = value("__vllm_validate", vllm_config_seconds=7, **given)
    assert command[command.index("--deadline") + 1] == "7"
