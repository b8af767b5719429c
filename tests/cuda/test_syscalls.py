"""The sandbox of vLLM lets through what the libraries of the lock for GPUs are seen to call, as far as their files tell."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from test_ml35 import render, unit

NUMBERS = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
# What stays refused, and why nothing is lost.
REFUSED = {
    "bpf": "LLVM asks which BPF machine this is, when it compiles for one; refused, it takes the generic one",
    "perf_event_open": "profilers of torch, which a served model does not start",
    "chown": "of libuv's and the archives' callers; vLLM owns what it writes, and without privileges it may give nothing away",
    "fchown": "as chown",
    "lchown": "as chown",
    "setuid": "libuv, for children of another user; the unit says who runs them",
    "setgroups": "as setuid",
    "chroot": "Rust's library for children, in vLLM's frontend in Rust, which is not started",
}


@cache
def groups() -> dict[str, list[str]]:
    """Return systemd's groups of system calls, as this machine's systemd knows them."""
    if not shutil.which("systemd-analyze"):
        pytest.skip(
            "NOT TESTED without systemd-analyze: that the sandbox lets the libraries of the lock for GPUs make their system calls"
        )
    done = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True, check=True
    )
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        if line.startswith("@"):
            members = found.setdefault(line.strip(), [])
        elif line.strip() and not line.strip().startswith("#"):
            members.append(line.strip())
    return found


def members(name: str) -> set[str]:
    """Return the calls of a group, or the one that is named."""
    return set().union(*map(members, groups()[name])) if name.startswith("@") else {name}


def allowed(settings: list[str]) -> set[str]:
    """Return what the lines of a unit's SystemCallFilter let through, the first of which names what is allowed."""
    found: set[str] = set()
    for line in settings:
        calls = set().union(*map(members, line.removeprefix("~").split()))
        found = found - calls if line.startswith("~") else found | calls
    return found


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The system call filter of vLLM's unit on a GPU host."""
    directory = tmp_path_factory.mktemp("units") / "u"
    run = render(directory)
    assert run.returncode == 0, run.stdout
    return unit(directory / "vllm-vllm-cuda.service")["SystemCallFilter"]


@pytest.fixture(scope="module")
def called(engine: Path, libraries: dict[Path, set[str]]) -> set[str]:
    """The system calls that the libraries make, by libc's functions of their names or by number."""
    known = set(re.findall(r"#define __NR_(\w+)", NUMBERS.read_text()))
    by_number = [path for path, names in libraries.items() if "syscall" in names]
    assert len(by_number) > 50
    program = Path(__file__).with_name("raw_calls.py")
    done = subprocess.run(
        [engine, program, *by_number], capture_output=True, text=True, timeout=900, check=True
    )
    numbered = {line.split()[0] for line in done.stdout.splitlines()} - {"unknown"}
    assert {"futex", "gettid", "mbind"} <= numbered <= known  # what many of them call
    return numbered | known.intersection(*[set().union(*libraries.values())])


def test_what_the_libraries_call_is_let_through_or_refused_for_a_reason(
    settings: list[str], called: set[str]
) -> None:
    assert called - allowed(settings) == REFUSED.keys()


def test_what_is_let_through_by_name_is_called(settings: list[str], called: set[str]) -> None:
    named = {word for line in settings for word in line.removeprefix("~").split() if not word.startswith("@")}
    assert named and named <= called


def test_the_other_units_have_no_more_than_they_need(tmp_path: Path) -> None:
    run = render(tmp_path / "u")
    assert run.returncode == 0, run.stdout
    assert "pidfd_getfd" not in allowed(unit(tmp_path / "u/backend-vllm-cuda.service")["SystemCallFilter"])
