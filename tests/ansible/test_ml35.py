"""inventory/ml35 against the guide: the units that a deploy writes hold every value of its commands; what they add is named."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from playbooks import REPOSITORY, run_playbook

INVENTORY = "inventory/ml35"
ADDED = {"--shutdown-timeout": "30"}  # the guide ends vLLM with kill (G6.5), which cuts off running answers
GUIDE = (REPOSITORY / "tests/ansible/guide.sh").read_text().replace("\\\n", " ")
Words = list[str]


def guide(start: str) -> list[Words]:
    """Return the commands of the guide that start with a word."""
    return [
        words for line in GUIDE.splitlines() if (words := shlex.split(line, comments=True))[:1] == [start]
    ]


def options(words: Words) -> dict[str, str | bool]:
    """Return flags and their values; a word without a flag before it is an error."""
    found: dict[str, str | bool] = {}
    flag = ""
    for word in words:
        if word.startswith("--"):
            flag = word
            found[flag] = True
        else:
            assert found[flag] is True, f"{word} is a second value of {flag}"
            found[flag] = word
    return found


def service_variables(role: str) -> dict[str, Any]:
    """Return what a role hands to roles/service."""
    tasks = yaml.safe_load((REPOSITORY / f"roles/{role}/tasks/service.yml").read_text())
    [found] = [task["vars"] for task in tasks if "service_name" in task.get("vars", {})]
    return dict(found)


def render(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Check the variables of the inventory and write its units below a directory, as roles/service would; no host is asked."""

    def role(name: str, tasks: str, **more: object) -> dict[str, object]:
        return {"ansible.builtin.import_role": {"name": name, "tasks_from": tasks}, **more}

    def unit(name: str, lock: str = "vllm-cuda") -> dict[str, object]:
        return {
            "ansible.builtin.template": {
                "src": str(REPOSITORY / "templates/systemd/service.service.j2"),
                "dest": str(directory / f"{name}-{lock}.service"),
                "mode": "0644",
            },
            "vars": {
                **service_variables(name),
                "service_manager": "systemd",
                "role_path": str(REPOSITORY / "roles" / name),
                "vllm_lock": lock,
                "__vllm_choice": {"torch": "cpu"},
                "host_engine_lock": {"name": lock, "path": "", "builds": lock == "vllm-cpu"},
                "__service_kept": {"skipped": True},
                "vllm_engine": "/opt/vllm/venvs/vllm/bin/python",
                "__backend_checkout": {"commit": "", "id": "0123456789ab", "home": "/home/vrsoft"},
            },
        }

    exposure = yaml.safe_load((REPOSITORY / "roles/vllm/tasks/preflight.yml").read_text())[0]
    tasks = [
        role("vllm", "preflight", when=False),
        exposure,
        role("backend", "preflight", when=False),
        role("service", "preflight", when=False),
        unit("vllm"),
        unit("vllm", "vllm-cpu"),
        unit("backend"),
    ]
    directory.mkdir(exist_ok=True)
    play = directory / "play.yml"
    check = {"check_variables": {"roles": str(REPOSITORY / "roles")}}
    plays = [{"hosts": "all", "gather_facts": False, "tasks": each} for each in ([check], tasks)]
    play.write_text(json.dumps(plays))
    local = {"ansible_become": False, "ansible_python_interpreter": sys.executable}
    local["ansible_remote_tmp"] = str(directory / "tmp")
    arguments = ("--connection", "local", "-e", json.dumps(local), *arguments)
    return run_playbook(str(play), directory, *arguments, inventory=INVENTORY)


def unit(path: Path) -> dict[str, list[str]]:
    """Return the settings of a unit, each with its values."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        name, mark, value = line.partition("=")
        if mark and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def command(setting: dict[str, list[str]]) -> Words:
    """Return the words of the command of a unit."""
    [line] = setting["ExecStart"]
    return shlex.split(line.replace("%%", "%").replace("$$", "$"))


def environment(setting: dict[str, list[str]]) -> dict[str, str]:
    """Return the environment of a unit."""
    return dict(shlex.split(line)[0].split("=", 1) for line in setting["Environment"])


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the rendered units."""
    directory = tmp_path_factory.mktemp("ml35") / "u"
    run = render(directory)
    assert run.returncode == 0, run.stdout
    return directory


def test_command_of_vllm_is_the_guides(units: Path) -> None:
    [words] = guide("nohup")
    wanted = options(words[words.index("-m") + 2 : words.index(">")])
    program, serve, model, *rest = command(unit(units / "vllm-vllm-cuda.service"))
    assert (program, serve) == ("/opt/vllm/venvs/vllm/bin/vllm", "serve")
    assert len(wanted) == 12
    assert {"--model": model, **options(rest)} == wanted | ADDED


def test_without_gpus_it_is_the_guides_to_the_word(units: Path) -> None:
    [words] = guide("nohup")
    program, *rest = command(unit(units / "vllm-vllm-cpu.service"))
    assert program == "/opt/vllm/venvs/vllm/bin/python"
    assert rest == words[words.index("-m") : words.index(">")] + [
        word for pair in ADDED.items() for word in pair
    ]


def test_environment_and_log_of_vllm_are_the_guides(units: Path) -> None:
    setting = unit(units / "vllm-vllm-cuda.service")
    [words] = guide("nohup")
    wanted = dict(word.split("=") for _, word in guide("export"))
    assert len(wanted) == 2
    assert wanted.items() <= environment(setting).items()
    # Its directory is a login user's: the log lies where only root makes files, and the guide's place is a link to it.
    assert setting["StandardOutput"] == ["append:/opt/vllm/logs/vllm.log"]
    inventory = yaml.safe_load((REPOSITORY / INVENTORY / "group_vars/all.yml").read_text())
    assert inventory["vllm_log_file"] == words[words.index(">") + 1]


@pytest.mark.parametrize("name", ["vllm", "backend"])
def test_what_runs_is_told_by_root_where_only_root_writes(units: Path, name: str) -> None:
    """A deploy reads it as root, so it may be no link or FIFO of the service's user."""
    setting = unit(units / f"{name}-vllm-cuda.service")
    [told] = [line for line in setting["ExecStartPre"] if "@RELEASE@" in line]
    assert told.startswith("+") and f">/run/vllm-deploy/{name}" in told
    assert "vllm-deploy" not in setting.get("RuntimeDirectory", [])


def test_all_reduce_is_nccls_as_the_guides_flag_says(units: Path, tmp_path: Path) -> None:
    names = (
        "VLLM_ALLREDUCE_USE_SYMM_MEM",
        "VLLM_ALLREDUCE_USE_FLASHINFER",
    )  # other ways past it, which vLLM tries
    found = environment(unit(units / "vllm-vllm-cuda.service"))
    assert [found[name] for name in names] == ["0", "0"]
    run = render(tmp_path / "u", "-e", "vllm_disable_custom_all_reduce=false")
    assert run.returncode == 0, run.stdout
    setting = unit(tmp_path / "u/vllm-vllm-cuda.service")
    assert [environment(setting)[name] for name in names] == ["1", "1"]
    assert "--disable-custom-all-reduce" not in command(setting)


def test_backend_is_the_guides(units: Path) -> None:
    setting = unit(units / "backend-vllm-cuda.service")
    [[_, login]], [[_, directory]], [words] = guide("ssh"), guide("cd"), guide("uvicorn")
    words.remove("--reload")  # a deploy restarts it
    assert command(setting) == [f"{directory}/.venv/bin/python", "-m", *words]
    assert setting["WorkingDirectory"] == [directory]
    assert f"{login.split('@')[0]}" in setting["User"]
    assert json.dumps(directory) in setting["ReadWritePaths"]
    assert json.dumps("-/home/vrsoft/.cache") in setting["ReadWritePaths"]  # libraries write there
    assert setting["ProtectHome"] == ["read-only"]  # its user's home is not under the checkout
    assert setting["PrivateDevices"] == ["yes"]


def test_backend_that_uses_gpus_sees_them(tmp_path: Path) -> None:
    run = render(tmp_path / "u", "-e", "backend_gpu=true")
    assert run.returncode == 0, run.stdout
    assert "PrivateDevices" not in unit(tmp_path / "u/backend-vllm-cuda.service")


def test_vllm_may_drain_before_it_is_killed(units: Path) -> None:
    setting = unit(units / "vllm-vllm-cuda.service")
    words = command(setting)
    drain = int(words[words.index("--shutdown-timeout") + 1])
    assert drain < int(setting["TimeoutStopSec"][0]) < drain + 30
    assert setting["KillMode"] == ["mixed"]


def test_settings_of_the_checkout_are_its_own(units: Path) -> None:
    found = environment(unit(units / "backend-vllm-cuda.service"))
    assert not {"VLLM_BASE_URL", "MODEL_NAME", "SESSIONS_DB", "OPENAI_API_KEY"} & found.keys()
    assert found["HOME"] == "/home/vrsoft"
    assert found["PATH"].startswith("/mnt/data1/work/sm-ai-v2/sm-ai-v2-backend/.venv/bin:")


def test_open_port_must_be_meant(tmp_path: Path) -> None:
    run = render(tmp_path / "u", "-e", "vllm_allow_unauthenticated=false")
    assert run.returncode != 0
    said = " ".join(run.stdout.split())
    assert "vllm_host 0.0.0.0 opens port 8000 of ML35 to everyone" in said
    assert "vllm_host: 127.0.0.1" in said and "vllm_allow_unauthenticated: true" in said
    assert not list((tmp_path / "u").glob("*.service"))


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("10.1.2.3", False), ("::", False)],
)
def test_which_addresses_are_open(host: str, local: bool) -> None:
    variables = yaml.safe_load((REPOSITORY / "roles/vllm/vars/main.yml").read_text())
    templar = Templar(DataLoader(), variables={"vllm_host": host})
    assert templar.template(trust_as_template(variables["__vllm_local"])) is local


def ansible(program: str, *arguments: str) -> str:
    """Run a command of Ansible on the inventory and return what it said."""
    run = subprocess.run(
        [Path(sys.executable).with_name(program), "-i", INVENTORY, *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return run.stdout


def test_inventory_names_the_guides_host_and_user() -> None:
    [[_, login]] = guide("ssh")
    user, host = login.split("@")
    found = json.loads(ansible("ansible-inventory", "--list"))
    assert found["vllm"]["hosts"] == found["backend"]["hosts"] == [host]
    about = found["_meta"]["hostvars"][host]
    assert about["ansible_user"] == user and about["ansible_become"] is True
    assert f"--{host}" in ansible("ansible-inventory", "--graph")


def test_deploy_is_well_formed() -> None:
    assert "playbook: ansible/deploy.yml" in ansible(
        "ansible-playbook", "ansible/deploy.yml", "--syntax-check"
    )
