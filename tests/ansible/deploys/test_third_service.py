"""A service that no program here knows, by a role of a few lines: deployed under supervisord, in status, probed, removed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playbooks import run_playbook

from tests.ports import free_port


class Third:
    """This machine as a host with that service alone."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.files = folder, folder / "h", folder / "files"
        self.files.mkdir()
        for name in ("up", "health"):
            (self.files / name).touch()
        host = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": str(folder / "tmp"),
            "host_directory": str(self.home),
            "service_manager": "supervisor",
            "ranker_port": str(free_port()),
            "ranker_kind": "reranker",
            "ranker_files": str(self.files),
        }
        (folder / "hosts.json").write_text(json.dumps({"ranker": {"hosts": {"host": host}}}))
        (folder / "vllm.json").write_text(json.dumps({"vllm": {"hosts": {"host": host}}}))

    def play(self, entry: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Run the role with an entry point of roles/service."""
        inventory = str(self.folder / "hosts.json")
        words = ("-e", f"ranker_entry={entry}", *more)
        return run_playbook("tests/ansible/third.yml", self.home, *words, inventory=inventory)

    def remove(self, name: str) -> subprocess.CompletedProcess[str]:
        """Remove a further vLLM."""
        inventory = str(self.folder / "vllm.json")
        return run_playbook("ansible/remove.yml", self.home, "-e", f"service={name}", inventory=inventory)

    def checks(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a check on the host."""
        command = [self.home / "bin/checks", *words]
        return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def third(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Third]:
    own = Third(tmp_path_factory.mktemp("t"))
    run = own.play("main")
    assert run.returncode == 0, run.stdout
    yield own
    stop = [
        *own.home.glob("venvs/supervisor-*/bin/supervisorctl"),
        "-c",
        own.home / "supervisor/supervisord.conf",
    ]
    subprocess.run([*stop, "shutdown"], timeout=60, check=False)


@pytest.mark.slow
def test_it_is_in_status_and_probed(third: Third) -> None:
    result = json.loads(third.checks("status", "--format", "json").stdout)["results"][0]
    facts = result["evidence"]["services"]
    assert list(facts) == ["ranker"] and facts["ranker"]["state"] == "running"
    assert "   ranker     running for " in third.checks("status").stdout
    for words in (["health"], ["all"], ["all", "--service", "ranker"]):
        done = third.checks(*words)
        assert done.returncode == 0 and done.stdout.startswith("health OK: "), done.stdout
    (third.files / "health").unlink()
    assert third.checks("health").returncode == 2
    (third.files / "health").touch()
    assert "changed=0" in (again := third.play("main").stdout), again


@pytest.mark.slow
def test_a_typed_restart_is_one(third: Third) -> None:
    before = json.loads(third.checks("status", "--format", "json").stdout)["results"][0]["evidence"][
        "services"
    ]
    done = third.checks("restart", "ranker")
    assert done.returncode == 0 and "restart OK: ranker answers after " in done.stdout, (
        done.stdout + done.stderr
    )
    after = json.loads(third.checks("status", "--format", "json").stdout)["results"][0]["evidence"][
        "services"
    ]
    assert after["ranker"]["pid"] not in (0, before["ranker"]["pid"])


@pytest.mark.slow
def test_it_is_removed(third: Third) -> None:
    run = third.play("remove")
    assert run.returncode == 0, run.stdout
    assert list((third.home / "services").iterdir()) == [] == list((third.home / "releases").glob("ranker*"))
    done = third.checks("status")
    assert done.returncode == 3 and "no service is deployed on this host" in done.stdout


@pytest.mark.slow
def test_a_further_vllm_is_removed_alone_by_its_name(third: Third) -> None:
    """One that no inventory names any more: the registry knows it."""
    assert third.play("main", "-e", "ranker_kind=embed").returncode == 0
    for name in ("nope", "vllm", ""):
        run = third.remove(name)
        said = " ".join(run.stdout.split())
        assert run.returncode == 2 and "beside the first one; it has ranker. Nothing was touched." in said, (
            run.stdout
        )
    assert third.checks("health").returncode == 0
    run = third.remove("ranker")
    assert run.returncode == 0 and "ranker is removed." in run.stdout, run.stdout
    assert list((third.home / "services").iterdir()) == [] and third.checks("health").returncode == 3
    assert not (third.home / "deploy.lock").exists()
