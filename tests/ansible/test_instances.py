"""Rows of vllm_extra_instances: what is refused before a host is touched, and what each further vLLM is made of."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from loading import load
from playbooks import REPOSITORY, Playbook, run_playbook

check_variables = load("action/check_variables")
check_secrets = load("action/check_secrets")
instances = load("module_utils/instances")
SPECS, DEFAULTS = check_variables.read_specs(REPOSITORY / "roles")
ROW = {"vllm_name": "embeddings", "vllm_port": 8002, "vllm_model": "/srv/e", "vllm_kind": "embed"}
CARDS = {"vllm_lock": "vllm-cuda", "vllm_gpu_memory_utilization": 0.6, "vllm_cuda_visible_devices": "0,1"}


def faults(*rows: Any, **values: Any) -> list[str]:
    return list(instances.faults(list(rows), DEFAULTS | values, DEFAULTS, SPECS["vllm"]))


def test_a_row_that_is_meant() -> None:
    assert faults(ROW) == []
    second = ROW | {"vllm_name": "small", "vllm_port": 8003, "vllm_kind": "chat", "vllm_api_key": "sk-x"}
    assert faults(ROW, second) == []
    share = {"vllm_gpu_memory_utilization": 0.4, "vllm_tensor_parallel_size": 1}
    assert faults(ROW | share, **CARDS) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vllm_prot": 1}, "embeddings: vllm_prot is not a variable of a vLLM; did you mean vllm_port?"),
        ({"vllm_extra_instances": []}, "vllm_extra_instances is not a variable of a vLLM"),
        ({"backend_port": 1}, "backend_port is not a variable of a vLLM"),
        ({"vllm_lock": "vllm-cuda"}, "vllm_lock is the host's, for all of its vLLMs"),
        ({"vllm_port": 0}, "vllm_port is 0; give a number from 1 to 65535"),
        ({"vllm_kind": "chatty"}, "vllm_kind"),
        ({"vllm_name": "vllm"}, "vllm_name is 'vllm'; give a name"),
        ({"vllm_name": "backend"}, "vllm_name is 'backend'"),
        ({"vllm_name": "canary-x"}, "vllm_name is 'canary-x'"),
        ({"vllm_name": "../x"}, "vllm_name is '../x'"),
        ({"vllm_name": "a" * 17}, "vllm_name is 'aaaa"),
        ({"vllm_port": 8000}, "vllm_port is 8000, as vllm_port is"),
        ({"vllm_port": "8080"}, "vllm_port is 8080, as backend_port is"),
        ({"vllm_secrets": ["sk-secret"]}, "vllm_secrets is not what it takes"),
    ],
)
def test_a_row_that_cannot_be_meant(change: dict[str, Any], words: str) -> None:
    found = faults(ROW | change)
    assert found and all(line.startswith("vllm_extra_instances, ") for line in found)
    assert any(words in line for line in found), found
    assert "sk-secret" not in str(found)


def test_rows_beside_each_other() -> None:
    assert "two rows have this vllm_name" in faults(ROW, ROW | {"vllm_port": 8003})[0]
    assert (
        "vllm_port is 8002, as vllm_extra_instances, embeddings is"
        in faults(ROW, ROW | {"vllm_name": "b"})[0]
    )
    for name in ("vllm_name", "vllm_port", "vllm_model"):
        [line] = faults({key: value for key, value in ROW.items() if key != name})
        assert f"{name} is not set: " in line
    [line] = faults(ROW | {"vllm_gpu_memory_utilization": 0.5, "vllm_tensor_parallel_size": 1}, **CARDS)
    assert line.startswith("GPU 0 is given away more than whole") and "the first vLLM 0.6" in line


def test_secrets_of_a_row_are_judged_as_the_hosts() -> None:
    row = {"vllm_environment": {"HF_TOKEN": "x"}, "vllm_secrets": {"A B": "c"}, "vllm_api_key": "two words"}
    found, warnings = check_secrets.of_variables(lambda name, default: row.get(name, default), ("vllm",))
    assert (
        len(found) == 2 and "no name of an environment variable" in found[0] and "holds a blank" in found[1]
    )
    assert "HF_TOKEN looks like a secret" in warnings[0]


def test_all_is_refused_before_a_host_is_touched(playbook: Playbook, tmp_path: Path) -> None:
    rows = [ROW | {"vllm_prot": 1, "vllm_api_key": "sk-9f3 of a row", "vllm_secrets": {"TOKEN": 5}}]
    run = playbook("deploy.yml", "-vvv", "-e", json.dumps({"vllm_extra_instances": rows}))
    said = " ".join(run.stdout.split())
    assert run.returncode == 2 and "vllm_extra_instances, embeddings: " in said, run.stdout
    assert "sk-9f3" not in run.stdout and not (tmp_path / "demo").exists()


def test_a_row_begins_with_the_roles_defaults_and_what_is_the_hosts(tmp_path: Path) -> None:
    """Shown by a task in place of one of the role: names, places, jobs and flags are its own."""
    host: dict[str, Any] = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "host_directory": "/opt/x",
        "service_manager": "systemd",
        "vllm_model": "/srv/first",
        "vllm_user": "kim",
        "vllm_lock": "vllm-cuda",
        "vllm_max_model_len": 7,
        "vllm_environment": {"A": "1"},
        "vllm_api_key": "sk-first",
        "vllm_extra_instances": [
            ROW,
            ROW | {"vllm_name": "small", "vllm_port": 8003, "vllm_kind": "chat", "vllm_host": "::1"},
        ],
    }
    (tmp_path / "hosts.json").write_text(json.dumps({"vllm": {"hosts": {"host": host}}}))
    shown = tmp_path / "shown"
    run = run_playbook(
        "tests/ansible/instances.yml",
        tmp_path,
        "-e",
        f"test_shown={shown}",
        inventory=str(tmp_path / "hosts.json"),
    )
    assert run.returncode == 0 and "WARNING" not in run.stdout, run.stdout
    embeddings, small = (json.loads(line) for line in shown.read_text().splitlines())
    assert embeddings["variables"] == [
        "embeddings",
        8002,
        "/srv/e",
        "kim",
        131072,
        {},
        "",
        "/opt/x/logs/embeddings.log",
    ]
    assert small["variables"][:4] == ["small", 8003, "/srv/e", "kim"]
    assert embeddings["watch"] == "/opt/x/watch/embeddings"
    assert embeddings["key"] == "/opt/x/secrets/embeddings/current/VLLM_API_KEY"
    assert [job["name"] for job in embeddings["jobs"]] == ["canary-embeddings"]
    assert [(job["name"], job["user"]) for job in small["jobs"]] == [
        ("canary-small", "vllm-canary-small"),
        ("deep-probe-small", "vllm-deep-probe-small"),
    ]
    assert all(len(job["user"]) <= 32 for job in small["jobs"])
    command = embeddings["jobs"][0]["command"]
    assert command[2:4] == ["--service", "embeddings"] and "/opt/x/metrics/canary-embeddings.prom" in command
    assert embeddings["flags"][-4:] == ["--runner", "pooling", "--shutdown-timeout", "30"]
    assert (
        not [flag for flag in embeddings["flags"] if "tool" in flag]
        and "--tool-call-parser" in small["flags"]
    )
