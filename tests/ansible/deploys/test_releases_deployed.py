"""Which release serves after deploys that fail, are killed, or are rolled back: a backend of a user's own, deployed for real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playbooks import REPOSITORY

from tests.ansible.deploys.test_backend_sources import Host, git

pytestmark = pytest.mark.slow

# Release "bad" chats badly; one in the file `hang` keeps its probe waiting.
APP = """
import os, time
from pathlib import Path

from fastapi import FastAPI, HTTPException

app = FastAPI()
RELEASE = os.environ["RELEASE"]


@app.get("/about")
def about():
    return {"release": RELEASE, "pid": os.getpid()}


@app.post("/v1/chat")
def chat():
    hang = Path(__file__).parents[2] / "hang"
    while hang.exists():
        time.sleep(0.1)
    if RELEASE.startswith("bad"):
        raise HTTPException(500, "this release is bad")
    return {"answer": "네"}
"""


class Releases(Host):
    """A host whose backend has a release by each name."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.checkout = folder / "checkout"
        (self.checkout / "src/api").mkdir(parents=True)
        (self.checkout / "src/api/main.py").write_text(APP)
        (self.checkout / ".gitignore").write_text(".venv\nhang\n")
        (self.checkout / ".venv").symlink_to(sys.prefix)
        git(self.checkout, "init", "--quiet")
        git(self.checkout, "add", ".")
        git(self.checkout, "commit", "--quiet", "--message", "1")
        self.ids: dict[str, str] = {}

    def variables(self, name: str) -> dict[str, object]:
        source = {"backend_source": "existing", "backend_directory": str(self.checkout)}
        return {**source, "backend_environment": {"RELEASE": name}}

    def release(self, name: str) -> subprocess.CompletedProcess[str]:
        """Deploy the release of a name, and note its id if it stays."""
        run = self.run("deploy.yml", "-v", **self.variables(name))
        if run.returncode == 0:
            self.ids[name] = self.current
        return run

    def rollback(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Roll back."""
        return self.run("ansible/rollback.yml", *arguments, **self.variables("a"), service="backend")

    @property
    def folder_of_releases(self) -> Path:
        return self.directory / "releases/backend"

    @property
    def current(self) -> str:
        return os.readlink(self.folder_of_releases / "current")

    def serves(self, name: str) -> bool:
        """Tell whether a release serves, is the activated one, and is proven; and nothing is locked."""
        activated = self.current == self.ids[name] and not (self.folder_of_releases / "trial").exists()
        return activated and self.about()["release"] == name and not (self.directory / "deploy.lock").exists()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Releases]:
    """A host with the releases a and b proven, and then a deployed again."""
    host = Releases(tmp_path_factory.mktemp("r"))
    for name in ("a", "b", "a"):
        run = host.release(name)
        assert run.returncode == 0, run.stdout
    yield host
    assert host.run("ansible/demo_stop.yml").returncode == 0


def words(run: subprocess.CompletedProcess[str]) -> str:
    return " ".join(run.stdout.split())


def test_a_failed_deploy_returns_to_the_release_that_served_before(host: Releases) -> None:
    """Not to the one that was proven last for the first time."""
    assert host.serves("a") and host.ids["a"] != host.ids["b"]
    run = host.release("bad")
    assert run.returncode == 2 and f"and {host.ids['a']} serves again" in words(run), run.stdout
    assert host.serves("a")
    again = host.release("a")
    assert "changed=0" in again.stdout and host.serves("a"), again.stdout


def test_a_run_after_a_killed_one_proves_what_that_activated_or_takes_it_back(host: Releases) -> None:
    """It serves by itself and nothing else changes; it was never probed."""
    hang = host.checkout / "hang"
    hang.touch()
    program = Path(sys.executable).with_name("ansible-playbook")
    command = [
        program,
        "-i",
        host.folder / "inventory",
        "deploy.yml",
        "-v",
        "-e",
        json.dumps(host.variables("bad 2")),
    ]
    environment = os.environ | {"ANSIBLE_HOME": f"{host.directory}-ansible", "ANSIBLE_NOCOLOR": "1"}
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True
    ) as play:
        assert play.stdout
        said = ""
        while "HANDLER [service : Probe backend]" not in said:
            line = play.stdout.readline()
            assert line, said
            said += line
        play.send_signal(signal.SIGKILL)
    hang.unlink()
    assert host.about()["release"] == "bad 2"
    assert json.loads((host.folder_of_releases / "trial").read_text())["before"] == host.ids["a"]
    until = time.monotonic() + 60
    while (host.directory / "deploy.lock").exists():
        assert time.monotonic() < until, "the keeper gives the lock back"
        time.sleep(0.1)
    bad, pid = host.current, host.about()["pid"]
    status = host.run("ansible/status.yml", **host.variables("a"))
    assert f"proof    {bad}, activated" in status.stdout and "was not proven by any probe since" in words(
        status
    )
    run = host.release("bad 2")
    assert run.returncode == 2 and "HANDLER [service : Restart backend]" not in run.stdout, run.stdout
    assert f"Release {bad} is taken back, and {host.ids['a']} serves again" in words(run)
    assert host.serves("a") and host.about()["pid"] != pid


def test_rollbacks_go_further_back_and_never_to_what_they_left(host: Releases) -> None:
    assert host.serves("a")
    first = host.rollback()
    assert first.returncode == 0 and host.serves("b"), first.stdout
    second = host.rollback()
    assert second.returncode == 2 and "Nothing was touched." in words(second), second.stdout
    assert f"{host.ids['a']}: left by a rollback or taken back since it was proven" in words(second)
    assert host.serves("b")
    chosen = host.rollback("-e", f"release={host.ids['a']}")
    assert chosen.returncode == 0 and host.serves("a"), chosen.stdout
    assert not (host.folder_of_releases / host.ids["a"] / ".left").exists()
    assert (host.folder_of_releases / host.ids["b"] / ".left").exists()


@pytest.mark.long
def test_a_host_of_an_earlier_version_is_brought_up_to_date(host: Releases) -> None:
    """It has no registry; its releases keep options for probes instead, also the one that a way back leads to."""
    registered, stale = host.directory / "services/backend.json", host.directory / "checks/backend.args"
    for row in host.folder_of_releases.glob("*/service.json"):
        if not row.parent.is_symlink():
            row.rename(row.with_name("probe.args"))
    registered.unlink()
    stale.symlink_to(host.folder_of_releases / "current/probe.args")
    refused = host.rollback("-e", f"release={host.ids['b']}")
    assert refused.returncode == 2 and "deploy.yml brings it up to date. Nothing was touched." in words(
        refused
    )
    assert host.serves("a")
    run = host.release("bad 3")
    assert run.returncode == 2 and f"and {host.ids['a']} serves again" in words(run), run.stdout
    assert host.serves("a") and not stale.is_symlink() and registered.is_symlink()
    assert not list(host.folder_of_releases.glob("*/probe.args"))
    again = host.release("a")
    assert again.returncode == 0 and "changed=0" in again.stdout, again.stdout
