"""Backends that users bring, deployed for real: a checkout with its own environment, and versions of a git repository."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playbooks import REPOSITORY, run_playbook

pytestmark = pytest.mark.slow

APP = '''
"""A backend of a user's own; its version is in its source."""

import os
import sys

from fastapi import FastAPI

app = FastAPI()


@app.get("/about")
def about():
    return {"version": "1", "pid": os.getpid(), "cwd": os.getcwd(), "prefix": sys.prefix, "environment": dict(os.environ)}


@app.post("/v1/chat")
def chat():
    return {"answer": "네"}
'''
PACKAGES = """
annotated-doc annotated-types anyio click fastapi h11 idna opentelemetry-api pydantic pydantic-core starlette typing-extensions
typing-inspection uvicorn
"""


def git(directory: Path, *arguments: str) -> str:
    """Run git in a directory and return what it said."""
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    run = subprocess.run(
        ["git", "-C", directory, *identity, "-c", "init.defaultBranch=main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return run.stdout.strip()


def commit(directory: Path, version: str) -> str:
    """Write the application, commit it, and return the commit."""
    (directory / "src/api").mkdir(parents=True, exist_ok=True)
    (directory / "src/api/main.py").write_text(APP.replace('"1"', json.dumps(version)))
    git(directory, "add", ".")
    git(directory, "commit", "--quiet", "--message", version)
    return git(directory, "rev-parse", "HEAD")


class Host:
    """This machine as a host with a backend and no vLLM, under a directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.directory = folder, folder / "h"
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        host = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": str(folder / "tmp"),
            "host_directory": str(self.directory),
            "service_manager": "supervisor",
            "backend_port": self.port,
            "backend_health_path": "/openapi.json",
            "backend_expect_tool": "",
            "backend_vllm_url": "http://127.0.0.1:1/v1",  # none is asked
            "backend_model": "none",
        }
        (folder / "inventory").mkdir()
        (folder / "inventory/hosts.yml").write_text(
            json.dumps({"backend": {"hosts": {"host": host}}, "vllm": {}})
        )

    def run(
        self, name: str, *arguments: str, umask: int = -1, **variables: object
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook with further variables."""
        extra = ("-e", json.dumps(variables), *arguments)
        return run_playbook(
            name, self.directory, *extra, inventory=str(self.folder / "inventory"), umask=umask
        )

    def deploy(self, *arguments: str, umask: int = -1, **variables: object) -> str:
        """Deploy; it must succeed. Return what it said."""
        run = self.run("deploy.yml", *arguments, umask=umask, **variables)
        assert run.returncode == 0, run.stdout
        assert not re.search(r"\[(DEPRECATION )?WARNING\]", run.stdout), run.stdout
        return run.stdout

    def refused(self, name: str = "ansible/check.yml", **variables: object) -> str:
        """Check as a deploy does first; it must fail. Return what it said, in one line."""
        run = self.run(name, **variables)
        assert run.returncode != 0, run.stdout
        return " ".join(run.stdout.split())

    def about(self) -> dict[str, Any]:
        """Return what the backend says about itself."""
        found: dict[str, Any] = requests.get(f"http://127.0.0.1:{self.port}/about", timeout=10).json()
        return found


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The host, whose services end after the last test."""
    host = Host(tmp_path_factory.mktemp("b"))
    yield host
    assert host.run("ansible/demo_stop.yml").returncode == 0


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with its own .venv: the environment of these tests, which has uvicorn and FastAPI."""
    directory = tmp_path_factory.mktemp("c") / "checkout"
    directory.mkdir()
    git(directory, "init", "--quiet")
    (directory / ".gitignore").write_text(".venv\n.env\n")
    (directory / ".env").write_text("VLLM_BASE_URL=http://mine:1/v1\n")
    (directory / ".venv").symlink_to(sys.prefix)
    commit(directory, "1")
    return directory


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with its own lock, which is smaller than ours."""
    directory = tmp_path_factory.mktemp("g") / "repository"
    directory.mkdir()
    git(directory, "init", "--quiet")
    entries = re.findall(r"(?m)^\S+==.*\n(?: .*\n)+", (REPOSITORY / "locks/backend.txt").read_text())
    lock = [entry for entry in entries if re.split(r"==|\[", entry)[0] in PACKAGES.split()]
    assert len(lock) == len(PACKAGES.split())
    (directory / "requirements.txt").write_text("".join(lock))
    commit(directory, "1")
    return directory


def content(directory: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of all files and folders of a checkout."""
    paths = [directory, *(path for path in directory.rglob("*") if ".git" not in path.parts)]
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths}


def test_checkout_runs_as_it_is(host: Host, checkout: Path) -> None:
    existing = {"backend_source": "existing", "backend_directory": str(checkout)}
    before = content(checkout)
    host.deploy(**existing)
    about = host.about()
    assert about["version"] == "1"
    assert (about["cwd"], about["prefix"]) == (str(checkout), f"{checkout}/.venv")
    assert not {"VLLM_BASE_URL", "MODEL_NAME", "SESSIONS_DB"} & about["environment"].keys()
    assert about["environment"]["PATH"].startswith(f"{checkout}/.venv/bin:")
    assert content(checkout) == before
    assert not list((host.directory / "venvs").glob("backend-*"))

    assert "changed=0" in host.deploy(**existing)
    assert host.about()["pid"] == about["pid"]

    commit(checkout, "2")  # as after a pull
    host.deploy(umask=0o077, **existing)
    assert host.about()["version"] == "2"
    releases = host.directory / "releases/backend"
    folders = [releases, *(path for path in releases.iterdir() if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o755}


def test_checkout_that_cannot_run_is_refused_while_the_old_one_serves(
    host: Host, checkout: Path, tmp_path: Path
) -> None:
    before = host.about()["pid"]
    with (checkout / "src/api/main.py").open("a") as file:
        file.write("import missing_one\n")
    said = host.refused("deploy.yml", backend_source="existing", backend_directory=str(checkout))
    assert "No module named 'missing_one'" in said
    assert f"src.api.main:app of {checkout} cannot be loaded. What serves was not touched" in said
    assert not list(checkout.rglob("src/**/__pycache__"))
    said = host.refused(backend_source="existing", backend_directory=str(tmp_path))
    assert f"{tmp_path}/src/api/main.py is not there" in said
    assert f"{tmp_path}/.venv/bin/python is not there" in said
    assert "Nothing that serves was touched, nor the checkout" in said
    assert host.about()["pid"] == before


def test_versions_of_a_repository(host: Host, repository: Path) -> None:
    source = {"backend_source": "git", "backend_git_url": f"file://{repository}"}
    first = git(repository, "rev-parse", "HEAD")
    host.deploy(**source)
    about = host.about()
    assert about["version"] == "1"
    assert about["cwd"] == f"{host.directory}/backend/{first[:12]}"
    assert Path(about["prefix"]).parent == host.directory / "venvs"
    installed = Path(about["prefix"]).glob("lib/python*/site-packages/*.dist-info")
    assert sorted(path.name.rsplit("-", 2)[0].replace("_", "-") for path in installed) == PACKAGES.split()
    assert about["environment"]["VLLM_BASE_URL"] == "http://127.0.0.1:1/v1"
    assert "changed=0" in host.deploy(**source)
    assert host.about()["pid"] == about["pid"]

    commit(repository, "2")
    host.deploy("--check", **source)
    assert host.about()["pid"] == about["pid"]
    host.deploy(**source)
    assert host.about()["version"] == "2"


def test_version_that_cannot_be_deployed_is_refused_while_the_old_one_serves(
    host: Host, repository: Path
) -> None:
    before = host.about()["pid"]
    source = {"backend_source": "git", "backend_git_url": f"file://{repository}"}
    said = host.refused(**source, backend_git_version="v9")
    assert "has no branch, tag or commit v9: correct backend_git_version" in said
    (repository / "requirements.txt").write_text("fastapi\nuvicorn\n")
    commit(repository, "3")
    said = host.refused(**source)
    assert "requirements.txt of " in said and "is no lock with hashes that holds uvicorn" in said
    assert "uv pip compile --universal --generate-hashes" in said
    assert host.about()["pid"] == before


def test_a_run_that_is_refused_does_not_start_the_manager(host: Host, checkout: Path) -> None:
    git(checkout, "checkout", "--quiet", ".")  # an earlier test spoilt it
    assert host.run("ansible/demo_stop.yml").returncode == 0
    with socket.create_server(("127.0.0.1", host.port)):
        said = host.refused("deploy.yml", backend_source="existing", backend_directory=str(checkout))
    assert str(os.getpid()) in said
    assert not (host.directory / "supervisor/supervisord.pid").exists()
