"""The environments of the locks for GPUs, installed as on a host; 4 GB to fetch each, so they are kept in the user's cache, by content."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.hosts.waiting import locked

REPOSITORY = Path(__file__).resolve().parents[2]
LOCKS = [
    path
    for path in sorted((REPOSITORY / "locks").glob("vllm-cuda*.txt"))
    if not path.stem.endswith("aarch64")
]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vllm-deploy/cuda"
UV = Path(sys.executable).with_name("uv")
SECONDS = 1800  # for an installation, this one or another run's
PYTHON = "3.12"


def uv(*arguments: str | Path) -> str:
    """Run uv with what an installation from the package index needs, and return what it printed."""
    done = subprocess.run(
        [UV, *arguments],
        env=os.environ | {"UV_FIND_LINKS": "", "UV_PYTHON_DOWNLOADS": "never"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    return done.stdout.strip()


@contextmanager
def installed(lock: Path) -> Iterator[Path]:
    """Give the interpreter of a lock's environment; nobody removes it meanwhile. Those of other content than `LOCKS` go."""
    try:
        interpreter = uv("python", "find", "--system", "--no-project", PYTHON)
    except subprocess.CalledProcessError:
        pytest.skip(
            f"NOT TESTED without Python {PYTHON}: that the lock of the GPU hosts installs, is imported and takes its arguments"
        )
    names = {
        each: hashlib.sha256(each.read_bytes() + interpreter.encode()).hexdigest()[:12] for each in LOCKS
    }
    wanted = names[lock]
    CACHE.mkdir(parents=True, exist_ok=True)
    with ExitStack() as use:
        with locked(CACHE, SECONDS, "the environment for GPUs"):
            for other in CACHE.iterdir():
                if other.name not in names.values() and unused(other):
                    shutil.rmtree(other)
            if not (CACHE / wanted).exists():
                install(lock, CACHE / wanted, interpreter)
            use.enter_context(held(CACHE / wanted, fcntl.LOCK_SH))
        yield CACHE / wanted / "bin/python"


def install(lock: Path, target: Path, interpreter: str) -> None:
    """Install a lock; the directory gets its name when all is there."""
    started = time.monotonic()
    print(f"Installing {lock.name} into {target} (once; 4 GB to fetch)", flush=True)
    partial = target.with_name(f"{target.name}.partial")
    try:
        uv("venv", "--quiet", "--relocatable", "--no-project", "--python", interpreter, partial)
        uv(
            "pip",
            "sync",
            "--quiet",
            "--python",
            partial / "bin/python",
            "--require-hashes",
            "--no-build",
            lock,
        )
        partial.rename(target)
    except BaseException:  # an interrupt, too; what a killed run left, the next one removes
        shutil.rmtree(partial, ignore_errors=True)
        raise
    print(f"Installed in {time.monotonic() - started:.0f} s", flush=True)


@contextmanager
def held(directory: Path, how: int) -> Iterator[None]:
    """Hold the lock of a directory."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def unused(directory: Path) -> bool:
    """Tell whether no run uses an environment."""
    try:
        with held(directory, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return True
    except BlockingIOError:
        return False
