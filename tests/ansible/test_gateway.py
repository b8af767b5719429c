"""The switch of the gateway is a group: in inventory/ml35 a line of the user's, in inventory/demo an environment variable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from playbooks import REPOSITORY

NAMES = ("vllm_host", "vllm_port", "backend_host", "backend_port", "vllm_allow_unauthenticated")
GATEWAY = ("gateway_host", "gateway_vllm_port", "gateway_backend_port", "gateway_keys")


def values(host: str, *inventories: str | Path, **environment: str) -> dict[str, Any]:
    """Return these variables of a host, None where it has none, and its groups."""
    program = Path(sys.executable).with_name("ansible")
    wanted = ", ".join(f"'{name}': {name} | default(none)" for name in (*NAMES, *GATEWAY))
    given = [word for each in inventories for word in ("-i", str(each))]
    shown = f"msg={{{{ {{'groups': group_names, {wanted}}} | to_json }}}}"
    done = subprocess.run(
        [program, host, *given, "-c", "local", "-m", "ansible.builtin.debug", "-a", shown],
        cwd=REPOSITORY,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "0"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 and "WARN" not in done.stderr, done.stdout + done.stderr
    return dict(json.loads(done.stdout[done.stdout.index('{"groups') : done.stdout.rindex("}") + 1]))


def test_in_the_guides_inventory_the_gateway_takes_the_guides_ports(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"ML35": {}}}}))
    off = values("ML35", "inventory/ml35", inventory)
    assert (off["vllm_host"], off["vllm_port"], off["backend_port"]) == ("0.0.0.0", 8000, 8080)
    inventory.write_text(yaml.safe_dump({"all": {"children": {"gateway": {"hosts": {"ML35": {}}}}}}))
    on = values("ML35", "inventory/ml35", inventory)
    assert [on[name] for name in GATEWAY] == ["0.0.0.0", 8000, 8080, []]
    assert [on[name] for name in NAMES] == ["127.0.0.1", 8001, "127.0.0.1", 8081, False]


@pytest.mark.parametrize("switch", ["", "0"])
def test_the_demo_has_none_unless_it_is_asked_for(switch: str) -> None:
    found = values("demo", "inventory/demo", DEMO_GATEWAY=switch)
    assert "gateway" not in found["groups"] and (found["vllm_port"], found["backend_port"]) == (8000, 8080)
    assert found["gateway_vllm_port"] is None


def test_the_demos_gateway_takes_the_demos_ports() -> None:
    found = values("demo", "inventory/demo", DEMO_GATEWAY="1", DEMO_VLLM_PORT="18000")
    assert "gateway" in found["groups"]
    assert (found["gateway_vllm_port"], found["gateway_backend_port"]) == (18000, 8080)
    assert (found["vllm_port"], found["backend_port"]) == (18001, 8081)
