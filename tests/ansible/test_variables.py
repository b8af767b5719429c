"""What the variables of an inventory may hold: each value by the variable's name, all faults at once, before a host is touched."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from loading import load
from playbooks import REPOSITORY, Playbook, run_playbook

from python_checks.core.options import port, seconds
from python_checks.steps.compare import percent

check_variables = load("action/check_variables")
relations = load("module_utils/variable_relations")
SPECS, DEFAULTS = check_variables.read_specs(REPOSITORY / "roles")
OPTIONS = {name: option for options in SPECS.values() for name, option in options.items()}
FLAGS = relations.rendered_flags(REPOSITORY / "roles")

GOOD: dict[str, list[Any]] = {
    "vllm_port": [1, 8000, 65535, "8000"],
    "vllm_gpu_memory_utilization": [0.01, 0.9, 1, 1.0, "0.925"],
    "vllm_tensor_parallel_size": [1, 8],
    "vllm_shutdown_timeout": [0, 86400],
    "vllm_start_seconds": [1, 86400],
    "vllm_upgrade_slower_percent": [0, 999999],
    "vllm_memory_gib": [0],
    "vllm_deep_probe_time": ["00:00", "23:59"],
    "vllm_stop_at": ["", "*-*-* 23:00", "Mon..Fri 23:00:00", "Mon,Tue *-*~01 23:00 Asia/Seoul"],
    "vllm_host": ["127.0.0.1", "0.0.0.0", "::", "::1", "localhost", "ml-35.example"],
    "vllm_user": ["vllm", "vrsoft", "John.Doe", "svc@corp"],
    "vllm_cuda_visible_devices": ["", "0", "0,1", "GPU-6a5c", "MIG-GPU-6a5c/1/0,MIG-1"],
    "vllm_environment": [{}, {"A": "false", "_B1": 1}, {"A": "two\nlines\tand a tab"}],
    "vllm_served_model_name": ["gpt-oss-120b", "한국어 모델", "a/b"],
    "vllm_model": ["/srv/my models/한국어"],
    "vllm_python": ["", "/usr/bin/python3.12"],
    "gateway_plain_ports": [{"vllm": 1, "backend": "65535"}],
    "gateway_key_parallel": [0],
    "gateway_open_routes": [[], ["GET /", "DELETE /v1/sessions/*"], ["GET /v1/a-b_c.d~e:f@g"]],
    "gateway_cors_origins": [[], ["https://chat.example.com", "http://10.0.0.1:8080", "http://[::1]:80"]],
    "gateway_self_signed": [[], ["ml35.example", "10.0.0.1", "::1"]],
    "monitoring_retention": ["30d", "1h30m"],
    "monitoring_retention_size": ["10GB", "512MB"],
    "monitoring_webhooks": [[], ["https://chat.example.com/a?b=c"]],
    "backend_app": ["src.api.main:app", "main:api.app"],
    "backend_health_path": ["/health", "/openapi.json"],
    "backend_vllm_url": ["", "https://gateway.example/a/v1", "http://[::1]:8000/v1"],
    "backend_writable": [[], ["/srv/a b"]],
    "backend_directory": ["", "/mnt/data1/work"],
    "host_directory": ["/opt/vllm", "/srv/a.b_c-d+e@f=g", "/opt/" + 61 * "x"],
}
BAD: dict[str, list[Any]] = {
    "vllm_port": [0, -5, 65536, "8000 ", " 8000", "8_000", "8000.0", 8000.0, "8000x", True, "", "٨٠٠٠"],
    "backend_port": ["http", 1e9],
    "vllm_gpu_memory_utilization": [0, 1.01, 90, "90%", -0.5, "nan", "inf", 0.001],
    "vllm_tensor_parallel_size": [0, -1, "2 "],
    "vllm_max_model_len": [0, -1, "128k"],
    "vllm_max_num_batched_tokens": [0],
    "vllm_shutdown_timeout": [-1, 86401],
    "vllm_start_seconds": [0, -1, "900s", 86401],
    "vllm_upgrade_slower_percent": [-1, 1000000],
    "vllm_canary_seconds": [0],
    "vllm_memory_gib": [-1],
    "vllm_deep_probe_time": ["3:30", 1410, "24:00", "03:30:00", "03:30\n"],
    "vllm_stop_at": ["23:00\n", "23:00\nUnit=x", "%H", "$(id)"],
    "vllm_host": ["", ["a"], "http://127.0.0.1", "127.0.0.1:8000", "127.0.0.1 ", "[::1]", "-x", "a b", "1.2.3.4.5"],
    "vllm_user": ["", "a b", "-v", "vllm\n"],
    "vllm_cuda_visible_devices": ["0, 1", "0;1", "all", "0,", "cuda:0"],
    "backend_environment": [{"A": "\x1b[2J"}, {"A\n": "1"}, {"A": "\x00"}],
    "vllm_environment": [{"A": False}, {"A": None}, {"A B": "1"}, {"1A": "1"}, {"A": ["1"]}, "A=1", {"Ä": "1"}],
    "vllm_extra_args": ["--seed 1", "--seed,1", {"--seed": 1}, ["--note", "a\nb"]],
    "vllm_served_model_name": ["", "-x", "@file", " x", "a\nExecStartPre=+/bin/sh", "a\x1b]0;x", "a\x9b31m", "a\u2028b", "a\u202eb"],
    "vllm_model": ["", "models/x", "~/model", "/srv/x\ny"],
    "vllm_log_file": ["vllm.log", ""],
    "vllm_python": ["python3.12", "~/bin/python"],
    "gateway_plain_ports": [{}, {"vllm": 8002}, {"vllm": 8002, "backend": 0}, [8002, 8082]],
    "gateway_hold_requests": [-1],
    "gateway_connections": [0],
    "gateway_vllm_routes": [["/v1/models"], ["GET  /"], ["get /"], ["GET /a b"], ["GET /'"], ["GET /x }"], ["GET /$HOME"],
                            ["GET /\n"], "GET /"],
    "gateway_cors_origins": [["*"], ["https://x'y z {"], ["https://x/"], ["x"], ["https://x y"], ["https://"], ["https://x\n"]],
    "gateway_self_signed": [["a b"], ["a,IP:1.2.3.4"], [""], ["https://x"]],
    "gateway_log_file": ["gateway.log"],
    "monitoring_retention": ["30", "30 days", ""],
    "monitoring_retention_size": ["10", "10 GB", "10GiB"],
    "monitoring_webhooks": [["chat.example.com"]],
    "backend_app": ["src/api/main.py", "main", "main:", "main:app --reload"],
    "backend_health_path": ["health", "", "/a b"],
    "backend_vllm_url": ["127.0.0.1:8000/v1", "ftp://x/v1", "http://", "http://x:99999/v1", "http://x /v1"],
    "backend_writable": ["/srv", ["srv"]],
    "backend_directory": ["checkout"],
    "host_directory": ["/", "opt/vllm", "~/vllm", "/opt/a b", "/opt/a\tb", "/opt/'a'", "/opt/$HOME", "/opt/a:b", "/opt/a%b", "/opt/",
                       "/opt/" + 62 * "x", "/opt/" + 21 * "한"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in GOOD for value in GOOD[name]])
def test_values_that_are_meant(name: str, value: Any) -> None:
    assert check_variables.own_fault(name, value, OPTIONS[name]) == ""


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in BAD for value in BAD[name]])
def test_values_that_cannot_be_meant(name: str, value: Any) -> None:
    assert name in check_variables.own_fault(name, value, OPTIONS[name])


@pytest.mark.parametrize("value", ["hunter2\n", ["hunter2"]])
def test_a_secret_is_not_shown(value: Any) -> None:
    said = check_variables.own_fault(
        "vllm_key", value, {"type": "int" if value is list else "str", "no_log": True}
    )
    assert "hunter2" not in said and ("vllm_key is not what it takes" in said or not said)
    assert "vllm_key is not what it takes" in check_variables.own_fault(
        "vllm_key", "hunter2", {"type": "int", "no_log": True}
    )


def test_every_number_has_its_range() -> None:
    for name, option in OPTIONS.items():
        if option["type"] in ("int", "float"):
            assert check_variables.own_fault(name, -1, option), name


def test_what_stands_in_the_configuration_of_the_gateway_is_no_text_of_that() -> None:
    """HAProxy would refuse it, or read it as its own words, once vLLM has made room for the gateway."""
    texts = (path.read_text(encoding="utf-8") for path in (REPOSITORY / "templates/gateway").glob("*.j2"))
    names = {name for text in texts for name in re.findall(r"\bgateway_\w+", text)}
    assert len(names & OPTIONS.keys()) > 5
    for name in names & OPTIONS.keys():
        assert check_variables.own_fault(
            name, ["x'y {"] if OPTIONS[name]["type"] == "list" else "x'y {", OPTIONS[name]
        ), name


@pytest.mark.parametrize(
    ("ending", "taken"),
    [("_port", port), ("_seconds", seconds), ("_timeout", seconds), ("_percent", percent)],
)
def test_what_a_variable_may_hold_the_probes_take(ending: str, taken: Callable[[str], float]) -> None:
    """What they refuse on a host is refused before anything is deployed there; a role may add a minute to it."""
    names = [name for name in OPTIONS if name.endswith(ending)]
    for name, power in product(names, range(10)):
        if not check_variables.own_fault(name, 10**power, OPTIONS[name]):
            assert taken(str(10**power + 60)) == 10**power + 60, name
    assert names


def test_defaults_are_meant() -> None:
    for name, value in DEFAULTS.items():
        assert name.startswith("service_") or check_variables.own_fault(name, value, OPTIONS[name]) == "", (
            name
        )
    assert list(relations.contradictions(DEFAULTS, ["vllm", "backend"], {"gpt-oss-120b"})) == []


def said(
    groups: tuple[str, ...] = ("vllm", "backend"), served: tuple[str, ...] = ("a",), **values: Any
) -> str:
    """Return what contradicts in the defaults with these values."""
    return "\n".join(relations.contradictions(DEFAULTS | values, list(groups), set(served)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"backend_port": "8000"}, "vllm_port and backend_port are both 8000"),
        ({"backend_port": 8000, "backend_host": "0.0.0.0"}, "vllm_port and backend_port are both 8000"),
        ({"vllm_port": 8001, "backend_vllm_url": "http://127.0.0.1:8000/v1"}, "backend_vllm_url is http://127.0.0.1:8000/v1"),
        ({"vllm_port": 8001, "backend_vllm_url": "http://localhost:8000/v1"}, "vLLM will listen on 127.0.0.1:8001"),
        ({"vllm_host": "10.0.0.5", "backend_vllm_url": "http://127.0.0.1:8000/v1"}, "Leave it out, and it follows them"),
        ({"vllm_host": "10.0.0.5", "vllm_port": 8001, "backend_vllm_url": "http://10.0.0.5:8000/v1"}, "backend_vllm_url"),
        ({"backend_vllm_url": "http://127.0.0.1:8000"}, "backend_vllm_url"),
        ({"backend_vllm_url": "https://127.0.0.1:8000/v1"}, "backend_vllm_url"),
        ({"vllm_port": 8001, "backend_environment": {"VLLM_BASE_URL": "http://[::1]:8000/v1"}}, "VLLM_BASE_URL of backend_environment"),
        ({"vllm_served_model_name": "b", "backend_model": "gpt-oss-120b"}, "backend_model is gpt-oss-120b"),
        ({"backend_environment": {"MODEL_NAME": "x"}}, "MODEL_NAME of backend_environment is x"),
        ({"vllm_lock": "vllm-cuda", "vllm_tensor_parallel_size": 4}, "vllm_cuda_visible_devices (0,1) has 2"),
        ({"vllm_lock": "/srv/own.txt", "vllm_cuda_visible_devices": ""}, "vllm_cuda_visible_devices (empty) has 0"),
        ({"vllm_stop_at": "23:00"}, "vllm_stop_at is set, and vllm_start_at is not. Set both, or neither."),
        ({"vllm_start_at": "07:00"}, "vllm_start_at is set, and vllm_stop_at is not. Set both, or neither."),
        ({"vllm_stop_at": "23:00", "vllm_start_at": "07:00", "service_manager": "supervisor"},
         "service_manager is supervisor. Take them out, or run vLLM under systemd."),
        ({"vllm_environment": {"CUDA_VISIBLE_DEVICES": "1"}}, "vllm_environment has CUDA_VISIBLE_DEVICES"),
        ({"host_directory": "/opt/vllm", "vllm_model": "/opt/vllm/cache/gpt"}, "/opt/vllm/cache is made by deploys"),
        ({"host_directory": "/opt/vllm", "backend_directory": "/opt/vllm/tmp"}, "backend_directory is /opt/vllm/tmp"),
    ],
)  # fmt: skip
def test_contradictions(values: dict[str, Any], words: str) -> None:
    assert words in said(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"vllm_port": 8001, "vllm_served_model_name": "b"},
        {
            "host_directory": "/opt/vllm",
            "vllm_model": "/opt/vllm/models/gpt",
            "backend_directory": "/opt/vllm/backend/own",
        },
        {"vllm_port": 8001, "backend_vllm_url": "http://localhost:8001/v1/"},
        {"backend_port": 8000, "vllm_host": "10.0.0.5"},
        {"backend_vllm_url": "https://gateway.example/v1", "backend_model": "other"},
        {"backend_model": "adapter", "vllm_extra_args": ["--lora-modules", "adapter=/srv/a"]},
        {"backend_source": "existing", "backend_model": "unused"},
        {"vllm_tensor_parallel_size": 8},  # without GPUs the devices mean nothing
    ],
)
def test_no_contradictions(values: dict[str, Any]) -> None:
    assert said(**values) == ""


def test_a_backend_on_another_host_is_told_where_vllm_is() -> None:
    assert "backend_vllm_url is not set, and this host runs no vLLM" in said(("backend",))
    assert said(("backend",), backend_vllm_url="http://a:8000/v1") == ""
    assert "the inventory serves a, b" in said(("backend",), ("b", "a"), backend_vllm_url="http://a:8000/v1")
    assert said(("backend",), ("b", "a"), backend_vllm_url="http://a:8000/v1", backend_model="b") == ""
    assert said(("backend",), (), backend_source="existing") == ""


def test_flags_are_those_of_the_command() -> None:
    assert FLAGS["--tokenizer"] == FLAGS["--model"] == "vllm_model"
    assert FLAGS["--enable-auto-tool-choice"] == FLAGS["--tool-call-parser"] == "vllm_tool_call_parser"
    assert FLAGS["--gpu-memory-utilization"] == "vllm_gpu_memory_utilization"
    assert all(name in OPTIONS for name in FLAGS.values())


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("--max-model-len", "vllm_max_model_len"),
        ("--max-model-len=4096", "vllm_max_model_len"),
        ("--max_model_len", "vllm_max_model_len"),
        ("--max-model", "vllm_max_model_len"),
        ("--no-enable-auto-tool-choice", "vllm_tool_call_parser"),
        ("--no-disable-custom-all-reduce", "vllm_disable_custom_all_reduce"),
        ("--gpu_memory_utilization=0.5", "vllm_gpu_memory_utilization"),
    ],
)
def test_a_flag_of_a_variable_is_no_extra_one(word: str, name: str) -> None:
    [line] = relations.repeated(["--seed", "1", word], FLAGS)
    assert word in line and name in line


def test_other_flags_are() -> None:
    words = [
        "--enforce-eager",
        "--max-num-seqs",
        "64",
        "--tokenizer-mode=auto",
        "--no-enable-prefix-caching",
        "-O3",
        "--",
        "-1",
    ]
    assert list(relations.repeated(words, FLAGS)) == []


def test_all_faults_are_told_at_once_and_nothing_is_touched(playbook: Playbook, tmp_path: Path) -> None:
    values = {
        "vllm_tp": 2,
        "vllm_port": "8000 ",
        "vllm_max_model_len": "long",
        "backend_model": "x",
        "vllm_extra_args": ["--host=::"],
        "host_found": {},
    }
    run = playbook("deploy.yml", "-e", json.dumps(values))
    said = " ".join(run.stdout.split())
    assert run.returncode != 0
    for words in (
        "vllm_tp is not a variable of any role here",
        "vllm_port is '8000 '; give a number from 1 to 65535.",
        "vllm_max_model_len",
        "backend_model is x",
        "vllm_extra_args has --host=::, a flag that vllm_host sets",
        "host_found is what the role host tells other roles: leave it out of -e.",
    ):
        assert words in said
    assert not (tmp_path / "demo").exists()


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """An inventory with four hosts that are all this machine: vLLM with a backend, vLLM alone, two backends alone."""
    hosts = {
        "both": {"vllm_port": 8001, "vllm_host": "0.0.0.0", "vllm_served_model_name": "b"},
        "alone": {"vllm_served_model_name": "b", "vllm_model": "/srv/m"},
        "near": {"backend_vllm_url": "http://alone:8000/v1"},
        "low": {"vllm_port": 81, "vllm_user": "nobody", "backend_port": 82, "backend_user": "root"},
    }
    every = {
        "ansible_connection": "local",
        "host_directory": str(tmp_path / "h"),
        "vllm_model": "/srv/m",
        "service_manager": "systemd",
    }
    groups = {"vllm": ["both", "alone", "low"], "backend": ["both", "near", "low"]}
    children = {group: {"hosts": {name: {} for name in names}} for group, names in groups.items()}
    path = tmp_path / "hosts.yml"
    path.write_text(yaml.safe_dump({"all": {"vars": every, "hosts": hosts, "children": children}}))
    return path


def test_a_backend_follows_the_vllm_of_its_host(fleet: Path, tmp_path: Path) -> None:
    told = "{{ inventory_hostname }} {{ __backend_environment.VLLM_BASE_URL }} {{ __backend_environment.MODEL_NAME }}"
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.import_role": {"name": name, "tasks_from": "preflight"}, "when": False}
        for name in ("service", "backend")
    ]
    tasks.append({"show": {"text": told}, "vars": {"role_path": str(REPOSITORY / "roles/backend")}})
    play = [{"hosts": "backend:!low", "gather_facts": False, "tasks": tasks}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    run = run_playbook(
        str(tmp_path / "play.yml"), tmp_path / "d", "-e", "service_name=backend", inventory=str(fleet)
    )
    assert "both http://127.0.0.1:8001/v1 b\n" in run.stdout, run.stdout
    assert "near http://alone:8000/v1 b\n" in run.stdout


@pytest.mark.parametrize(
    ("kernel", "given", "refused"),
    [
        ("1024\n0\n", {}, ["vllm", "backend"]),
        ("1024\n0\n", {"vllm_user": "root"}, ["backend"]),
        ("1024\n0\n", {"backend_port": 8080}, ["vllm"]),
        ("81\n0\n", {}, ["vllm"]),
        ("0\n0\n", {}, []),
        ("1024\n0\n", {"service_manager": "supervisor"}, []),
        ("1024\n1000\n", {"service_manager": "supervisor"}, ["vllm", "backend"]),
    ],
)
def test_ports_below_those_that_the_kernel_lets_everyone_bind(
    monkeypatch: pytest.MonkeyPatch, kernel: str, given: dict[str, Any], refused: list[str]
) -> None:
    action = check_variables.ActionModule.__new__(check_variables.ActionModule)
    monkeypatch.setattr(
        action, "_low_level_execute_command", lambda command: {"stdout": kernel}, raising=False
    )
    values = {
        "vllm_port": 80,
        "backend_port": 81,
        "vllm_user": "vllm",
        "backend_user": "backend",
        "service_manager": "systemd",
    }
    told = list(action.privileged(values | given, ["vllm", "backend"]))
    assert [line.split("_port is ")[0] for line in told] == refused


@pytest.mark.parametrize(
    ("manager", "host", "told"),
    [
        ("systemd", "0\nby systemd\n", []),
        ("systemd", "1000\nby systemd\n", ["the tasks run as user 1000. Set ansible_become: true"]),
        ("systemd", "0\n", ["systemd, which did not boot this host"]),
        ("supervisor", "1000\n", []),
        ("systemd", "", []),
        ("systemd", "This account is currently not available.\n", []),
    ],
)
def test_systemd_where_it_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, manager: str, host: str, told: list[str]
) -> None:
    action = check_variables.ActionModule.__new__(check_variables.ActionModule)
    monkeypatch.setattr(action, "_low_level_execute_command", lambda command: {"stdout": host}, raising=False)
    said = list(action.unmanageable({"service_manager": manager}))
    assert len(said) == len(told) and all(words in line for words, line in zip(told, said, strict=True))


def test_a_port_that_the_user_of_the_service_may_not_bind(fleet: Path, tmp_path: Path) -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    run = run_playbook("ansible/check.yml", tmp_path / "d", "--limit", "low", inventory=str(fleet))
    assert run.returncode != 0
    words = f"vllm_port is 81: ports below {first} are for root, and vllm runs as nobody."
    assert (words in " ".join(run.stdout.split())) == (first > 81)
    assert "backend_port is 82" not in run.stdout  # it runs as root
