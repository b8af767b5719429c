"""A run that could not do what it was called for ends before a play begins, in one sentence with what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from playbooks import REPOSITORY

BAD_OPTIONS = 5
PARTS = ("ansible", "roles", "inventory", "ansible.cfg", "deploy.yml")


def call(
    *arguments: str | Path, repository: Path = REPOSITORY, directory: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Call ansible-playbook as a person does, in the repository unless a directory is given."""
    inherited = {name: value for name, value in os.environ.items() if name != "ANSIBLE_CONFIG"}
    program = Path(sys.executable).with_name("ansible-playbook")
    with tempfile.TemporaryDirectory() as empty:
        return subprocess.run(
            [program, "-i", repository / "inventory/demo", *arguments],
            cwd=directory or repository,
            env=inherited | {"ANSIBLE_NOCOLOR": "1", "DEMO_DIRECTORY": f"{empty}/demo"} | environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )


def refused(run: subprocess.CompletedProcess[str], *words: str) -> None:
    """Assert that a run was refused with these words, before a play began."""
    assert run.returncode == BAD_OPTIONS, run.stdout
    assert "PLAY [" not in run.stdout and "Traceback" not in run.stdout
    for word in words:
        assert word in run.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--tags", "vllm"), "--tags vllm would run nothing"),
        (("-t", "backend,always"), "--tags always,backend would run nothing"),
        (("--skip-tags", "backend"), "--skip-tags backend would skip nothing"),
        (("--start-at-task", "Deploy vLLM"), "--start-at-task cannot be used"),
    ],
)
def test_options_that_would_do_nothing_or_break(options: tuple[str, ...], words: str) -> None:
    refused(call("deploy.yml", *options), words, "Run it whole")


@pytest.mark.parametrize(
    ("playbook", "given", "near"),
    [
        ("ansible/rollback.yml", "relase=abc", "release"),
        ("ansible/uninstall.yml", '{"uninstal_logs": true}', "uninstall_logs"),
        ("ansible/maintenance.yml", "maintenence=on reason=disks", "maintenance"),
    ],
)
def test_a_misspelt_variable_of_a_playbook(playbook: str, given: str, near: str) -> None:
    refused(call(playbook, "-e", given), f"did you mean {near}?")


def test_tags_of_everything_and_of_molecule_are_no_reason() -> None:
    run = call(
        "ansible/status.yml",
        "--tags",
        "all",
        "--skip-tags",
        "molecule-notest,notest,molecule-idempotence-notest",
    )
    assert run.returncode == 2 and "Nothing is deployed on demo" in run.stdout


def test_a_run_without_a_host_fails() -> None:
    run = call("ansible/drain.yml", "-i", "other,", "--limit", "other")
    assert run.returncode == BAD_OPTIONS
    assert "Nothing was done: no host of the inventory within --limit other is in a group" in run.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what an operator runs."""
    for name in PARTS:
        source, target = REPOSITORY / name, tmp_path / "checkout" / name
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy(source, target)
    return tmp_path / "checkout"


@pytest.mark.parametrize("playbook", ["deploy.yml", "ansible/demo.yml", "ansible/uninstall.yml"])
def test_a_checkout_that_others_may_write_to(checkout: Path, playbook: str) -> None:
    checkout.chmod(0o777)
    refused(
        call(playbook, repository=checkout), f"every user may write to {checkout}", f"chmod o-w {checkout}"
    )


def test_it_works_by_naming_the_configuration(checkout: Path) -> None:
    checkout.chmod(0o777)
    run = call("ansible/status.yml", repository=checkout, ANSIBLE_CONFIG="ansible.cfg")
    assert run.returncode == 2 and "Nothing is deployed on demo" in run.stdout


def test_called_from_elsewhere(tmp_path: Path) -> None:
    run = call(REPOSITORY / "deploy.yml", directory=tmp_path)
    refused(
        run, f"it was called in {tmp_path}: cd {REPOSITORY}, or set ANSIBLE_CONFIG={REPOSITORY}/ansible.cfg"
    )


def test_another_configuration(tmp_path: Path) -> None:
    other = tmp_path / "ansible.cfg"
    other.write_text("[defaults]\n")
    refused(call("deploy.yml", ANSIBLE_CONFIG=str(other)), f"ANSIBLE_CONFIG names another one ({other})")
    other.write_text(f"[defaults]\nroles_path = {REPOSITORY}/roles\nforce_handlers = true\n")
    assert "Nothing is deployed" in call("ansible/status.yml", ANSIBLE_CONFIG=str(other)).stdout
