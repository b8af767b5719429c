"""The Python of vLLM's environment: the host's own, one that is named, or one that uv fetches where that is allowed."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest
from loading import load
from mirror import HERE, mirror
from playbooks import Playbook, programs

inspect_host = load("modules/inspect_host")
OTHER = "3.12" if HERE == "3.13" else "3.13"


@pytest.fixture
def lock(tmp_path: Path) -> str:
    """Give a lock for a Python that is not on PATH, and not for GPUs."""
    path = tmp_path / "other.txt"
    path.write_text(f"# python: {OTHER}\nvllm==1.0 --hash=sha256:{'0' * 64}\n")
    return f"vllm_lock={path}"


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave one Python on PATH."""
    monkeypatch.setenv("PATH", programs(tmp_path / "bin"))


def said(run: subprocess.CompletedProcess[str]) -> str:
    """Return what a playbook said, in one line."""
    return " ".join(run.stdout.split())


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_none_that_fits(prepared: Playbook, lock: str) -> None:
    run = prepared("ansible/check.yml", "-e", lock)
    assert run.returncode != 0
    assert f"has no Python {OTHER} with its headers" in said(run) and f"It has {HERE} (" in said(run)
    for way in (f"apt-get install -y python{OTHER} python{OTHER}-venv", "vllm_python", "host_fetch_python"):
        assert way in said(run)


@pytest.mark.usefixtures("alone")
@pytest.mark.slow
def test_one_that_is_named_and_does_not_fit(prepared: Playbook, lock: str) -> None:
    run = prepared("ansible/check.yml", "-e", lock, "-e", f"vllm_python={sys.executable}")
    assert run.returncode != 0
    assert f"vllm_python there is {HERE} ({sys.executable})" in said(run)


@pytest.mark.usefixtures("alone")
@pytest.mark.slow
def test_fetch_that_fails_leaves_nothing(
    prepared: Playbook, prepared_directory: Path, lock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_PYTHON_INSTALL_MIRROR", (tmp_path / "nowhere").as_uri())
    run = prepared("ansible/check.yml", "-e", lock, "-e", "host_fetch_python=true")
    assert run.returncode != 0
    assert f"uv could not fetch Python {OTHER}" in said(run) and f"{tmp_path}/nowhere" in said(run)
    assert "python-install-mirror in /etc/uv/uv.toml" in said(run)
    assert not list((prepared_directory / "python").rglob("*"))


@pytest.mark.slow
def test_fetched_one_runs_and_is_found_again(
    prepared: Playbook, prepared_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = mirror(tmp_path)
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS_JSON_URL", str(listed))
    run = prepared("tests/ansible/python.yml", "-v", "-e", f"test_version={HERE}")
    assert run.returncode == 0 and "changed=1" in run.stdout, run.stdout
    place = f"python/{HERE}/cpython-{platform.python_version()}-linux-x86_64-gnu"
    program = prepared_directory / place / f"bin/python{HERE}"
    assert f"{HERE} ({program})" in said(run)  # with its headers
    code = "import ssl, sys; print(sys.prefix)"
    prefix = subprocess.run([program, "-c", code], capture_output=True, text=True, check=True).stdout
    assert prefix.strip() == str(program.parents[1])
    listed.unlink()
    again = prepared("tests/ansible/python.yml", "-v", "-e", f"test_version={HERE}")
    assert again.returncode == 0 and "changed=0" in again.stdout, again.stdout


def test_half_fetched_one_is_none(tmp_path: Path) -> None:
    """uv unpacks below .temp and moves the whole; it also makes a link for the minor version."""
    for folder in ("python/3.12/.temp/x", "python/3.12/cpython-3.12.1-linux-x86_64-gnu"):
        (tmp_path / folder / "bin").mkdir(parents=True)
        (tmp_path / folder / f"bin/python{HERE}").symlink_to(Path(sys.executable).resolve())
    (tmp_path / "python/3.12/cpython-3.12").symlink_to(
        tmp_path / "python/3.12/cpython-3.12.1-linux-x86_64-gnu"
    )
    found = [
        each["path"] for each in inspect_host.pythons(tmp_path) if each["path"].startswith(str(tmp_path))
    ]
    assert found == [str(tmp_path / f"python/3.12/cpython-3.12.1-linux-x86_64-gnu/bin/python{HERE}")]
