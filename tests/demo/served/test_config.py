"""The check of vLLM's arguments, asked of the vLLM that is deployed, with the command line that it runs with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from deployed import REPOSITORY, api_server

from python_checks.config import refusals
from python_checks.core.result import State

MINUTES = 5 * 60
# Asks several times in one process: nearly all of the time is the import.
MANY = """
import json, sys
from python_checks.config.vllm_stages import examine
cases = json.load(sys.stdin)
json.dump([examine(case, lambda stage: None, extra) for case, extra in cases], open(sys.argv[1], "w"))
"""
# What is changed in the command line, and what the reason and the remedy must then say.
CASES = {
    "length": (("--max-model-len", "131073"), "--max-model-len 131073", "vllm_max_model_len"),
    "parser": (("--tool-call-parser", "nope"), "--tool-call-parser nope", "vllm_tool_call_parser"),
    "no parser": (("--tool-call-parser", ""), "--tool-call-parser", "vllm_tool_call_parser"),
    "heads": (("--tensor-parallel-size", "3"), "--tensor-parallel-size 3", "vllm_tensor_parallel_size"),
    "groups": (("--tensor-parallel-size", "4"), "--tensor-parallel-size 4", "VLLM_CPU_OMP_THREADS_BIND"),
    "directory": (("--model", "/nonesuch"), "--model /nonesuch", "vllm_model"),
    "unknown flag": (("--max-model-length", "5"), "--max-model-length 5", "did you mean --max-model-len?"),
}

# Of the extra arguments: two that variables set, by an abbreviation and a spelling of vLLM's own, and one that none does.
AGAIN = ("-tp", "2", "--max-model", "4096", "--seed", "1")


def deployed() -> tuple[str, list[str], dict[str, str]]:
    """Return the interpreter, the arguments and the environment of the running server."""
    pid, command = api_server()
    raw = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    environment = dict(word.split("=", 1) for word in raw if "=" in word)
    environment |= {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    start = command.index("--model")
    return command[0], command[start:], environment


def changed(arguments: list[str], flag: str, value: str) -> list[str]:
    """Return the arguments with one flag set to another value, or added."""
    if flag not in arguments:
        return [*arguments, flag, value]
    place = arguments.index(flag) + 1
    return [*arguments[:place], value, *arguments[place + 1 :]]


def check(directory: Path, *change: str) -> subprocess.CompletedProcess[str]:
    """Run the check as a deploy does; what it writes could only be in `directory`."""
    engine, arguments, environment = deployed()
    return subprocess.run(
        [
            engine,
            "-m",
            "python_checks",
            "config",
            "--",
            *(changed(arguments, *change) if change else arguments),
        ],
        env={**environment, "TMPDIR": str(directory)},
        capture_output=True,
        text=True,
        timeout=MINUTES,
        check=False,
    )


def written(directory: Path) -> dict[str, float]:
    """Return the files below a directory with the time of their last change; other tests may compile modules meanwhile."""
    files = [path for path in directory.rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
    return {str(path): path.stat().st_mtime for path in files}


def test_the_deployed_arguments_are_accepted_and_nothing_is_left(tmp_path: Path) -> None:
    _, _, environment = deployed()
    places = [Path(environment["XDG_CACHE_HOME"]), REPOSITORY / "python_checks"]
    before = [written(place) for place in places]
    shared = set(os.listdir("/dev/shm"))
    done = check(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "config OK: vLLM" in done.stdout and "world size 2, 131072 tokens" in done.stdout
    for stage in ("importing vLLM", "building the configuration"):
        assert stage in done.stderr
    assert [written(place) for place in places] == before
    assert set(os.listdir("/dev/shm")) <= shared
    assert not list(tmp_path.iterdir())
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and lives_in(pid, tmp_path)]


def lives_in(pid: str, directory: Path) -> bool:
    """Tell whether a process has `directory` in its environment."""
    try:
        return str(directory).encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def test_a_share_of_memory_above_one_is_refused(tmp_path: Path) -> None:
    done = check(tmp_path, "--gpu-memory-utilization", "1.5")
    assert done.returncode == 2, done.stdout + done.stderr
    first, second = done.stdout.splitlines()
    assert "config CRITICAL: vLLM refuses --gpu-memory-utilization 1.5: Input should be less than" in first
    assert second == "remedy: correct vllm_gpu_memory_utilization (--gpu-memory-utilization)"
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, refusals.Result]:
    """Return what is made of each case; one process asks vLLM all of them."""
    engine, arguments, environment = deployed()
    home = tmp_path_factory.mktemp("home")
    places = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "TMPDIR", "TORCHINDUCTOR_CACHE_DIR"), str(home))
    # What the server found out about the model's class, as the check copies it: looking again takes 10 s.
    shutil.copytree(Path(environment["XDG_CACHE_HOME"], "vllm"), home / "vllm")
    cases = [changed(arguments, *change) for change, _, _ in CASES.values()] + [[*arguments, *AGAIN]]
    extra = [0] * len(CASES) + [len(AGAIN)]
    subprocess.run(
        [engine, "-c", MANY, home / "answers"],
        env={**environment, **places},
        input=json.dumps([*zip(cases, extra, strict=True)]),
        stdout=subprocess.DEVNULL,
        text=True,
        timeout=MINUTES,
        check=True,
    )
    ends = json.loads((home / "answers").read_text())
    names = [*CASES, "again"]
    return {
        name: refusals.judge(*pair) for name, pair in zip(names, zip(ends, cases, strict=True), strict=True)
    }


@pytest.mark.parametrize("name", CASES)
def test_a_refused_argument_is_named(answers: dict[str, refusals.Result], name: str) -> None:
    _, words, advice = CASES[name]
    assert answers[name].state is State.CRITICAL, answers[name]
    assert answers[name].reason.startswith(f"vLLM refuses {words}: ")
    assert advice in answers[name].remedy


def test_extra_arguments_repeat_no_flag_of_a_variable(answers: dict[str, refusals.Result]) -> None:
    assert answers["again"].state is State.CRITICAL
    assert "vllm_extra_args gives vLLM --max-model-len, --tensor-parallel-size" in answers["again"].reason
    assert "vllm_max_model_len, vllm_tensor_parallel_size" in answers["again"].remedy
