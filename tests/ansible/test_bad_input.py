"""Bad input stops before anything that serves is touched, with what, where and the remedy."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest
from playbooks import REPOSITORY, Playbook, programs


def test_misspelt_variable(playbook: Playbook, tmp_path: Path) -> None:
    run = playbook("deploy.yml", "-e", "vllm_prot=8001")
    assert run.returncode != 0
    assert "vllm_prot is not a variable of any role here; did you mean vllm_port?" in " ".join(
        run.stdout.split()
    )
    assert not (tmp_path / "demo/venvs").exists()


def test_wrong_type_of_a_role_that_comes_late(playbook: Playbook, tmp_path: Path) -> None:
    run = playbook("deploy.yml", "-e", "backend_start_seconds=soon")
    assert run.returncode != 0
    assert "backend_start_seconds" in run.stdout and "int" in run.stdout
    assert not (tmp_path / "demo/venvs").exists()


@pytest.mark.parametrize(
    "dry", [pytest.param([], id="run", marks=pytest.mark.slow), pytest.param(["--check"], id="dry")]
)
def test_busy_port_names_its_holder(prepared: Playbook, dry: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        run = prepared("ansible/check.yml", "-e", f"vllm_port={port}", *dry)
    assert run.returncode != 0
    assert str(port) in run.stdout and str(os.getpid()) in run.stdout


def test_a_dry_run_fails_on_a_model_that_is_not_whole(prepared: Playbook, tmp_path: Path) -> None:
    run = prepared("deploy.yml", "--check", "-e", f"vllm_model={tmp_path}")
    assert run.returncode != 0 and "config.json is missing" in " ".join(run.stdout.split()), run.stdout


def test_too_little_memory(prepared: Playbook) -> None:
    run = prepared("ansible/check.yml", "-e", "vllm_memory_gib=100000")
    assert run.returncode != 0
    assert "a start of vLLM needs 100000" in " ".join(run.stdout.split())


@pytest.mark.slow
def test_too_little_disk(prepared: Playbook, tmp_path: Path) -> None:
    run = prepared("ansible/demo.yml", "-e", "vllm_disk_gib=1000000")
    assert run.returncode != 0
    assert "installing vLLM needs 1000000" in " ".join(run.stdout.split())


@pytest.mark.parametrize(
    ("pattern", "replacement", "said"),
    [("sha256:.{4}", "sha256:0000", "hash"), ("==4", "==400", "no solution")],
    ids=["hash", "version"],
)
def test_lock_that_does_not_fit(
    prepared: Playbook, tmp_path: Path, pattern: str, replacement: str, said: str
) -> None:
    lock, environment = tmp_path / "wrong.txt", tmp_path / "venv"
    lock.write_text(re.sub(pattern, replacement, (REPOSITORY / "locks/supervisor.txt").read_text()))
    run = prepared("tests/ansible/venv.yml", "-e", f"test_lock={lock}", "-e", f"test_venv={environment}")
    assert run.returncode != 0
    shown = " ".join(run.stdout.lower().split())
    assert "nothing that serves was touched" in shown
    assert said in shown
    assert not environment.exists()


def test_no_compiler(prepared: Playbook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", programs(tmp_path / "bin", "g++", "c++"))
    run = prepared("ansible/check.yml", "-e", "host_install_packages=false")
    assert run.returncode != 0
    assert "sudo apt-get install -y g++" in " ".join(run.stdout.split())


def bin_demo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run bin/demo with a changed environment."""
    return subprocess.run(
        [REPOSITORY / "bin/demo", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_unknown_subcommand() -> None:
    run = bin_demo("strat")
    assert run.returncode == 2
    assert "unknown subcommand 'strat'" in run.stderr and "status" in run.stderr


def test_no_fitting_python(tmp_path: Path) -> None:
    run = bin_demo(PYTHON="/usr/bin/false", DEMO_DIRECTORY=str(tmp_path / "none"))
    assert run.returncode == 1
    assert "No Python >= 3.11" in run.stderr and "apt-get install" in run.stderr


def test_stop_where_nothing_is(tmp_path: Path) -> None:
    run = bin_demo("stop", DEMO_DIRECTORY=str(tmp_path / "none"))
    assert run.returncode == 0
    assert "nothing is deployed" in " ".join(run.stdout.split())
