"""vLLM's CUDA build takes each argument of inventory/ml35 for gpt-oss-120b's own configuration, and our check says what it would refuse."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from test_ml35 import command, environment, render, unit

from python_checks.config import refusals
from python_checks.core.result import Result, State
from tests.cuda.environment import REPOSITORY

HERE = Path(__file__).parent
MINUTES = 45 * 60  # a stage takes minutes on a busy machine
# The tokenizer of gpt-oss, from the vocabulary that the lock's own openai_harmony carries.
TOKENIZER = (
    "import pathlib, sys; from tokenizer import write_tokenizer; write_tokenizer(pathlib.Path(sys.argv[1]))"
)
# Asks several times in one process: nearly all of the time is the import, and looking at the model's class.
MANY = """
import json, os, sys
from python_checks.config.vllm_stages import examine
cases = json.load(sys.stdin)
json.dump([examine(case, lambda stage: None, extra) for case, extra in cases], open(sys.argv[1], "w"))
os._exit(0)
"""
# What is changed in ML35's command, what the reason and the remedy must then say.
REFUSED = {
    "parser": (
        ("--tool-call-parser", "nope"),
        "--tool-call-parser nope: invalid tool call parser",
        "openai for gpt-oss",
    ),
    "more than GPUs": (
        ("--tensor-parallel-size", "3"),
        "--tensor-parallel-size 3: World size (3) is larger",
        "vllm_tensor_parallel_size to 2 at most",
    ),
    "stages": (
        ("--pipeline-parallel-size", "3"),
        "--pipeline-parallel-size 3: World size (6) is larger",
        "--pipeline-parallel-size",
    ),
    "length": (
        ("--max-model-len", "131073"),
        "--max-model-len 131073: ",
        "vllm_max_model_len (--max-model-len) to 131072 at most",
    ),
    "unknown flag": (
        ("--max-model-length", "5"),
        "--max-model-length 5: unrecognized",
        "did you mean --max-model-len?",
    ),
    "share": (
        ("--gpu-memory-utilization", "1.5"),
        "--gpu-memory-utilization 1.5: ",
        "vllm_gpu_memory_utilization",
    ),
    "tokens": (
        ("--max-num-batched-tokens", "0"),
        "--max-num-batched-tokens 0: ",
        "vllm_max_num_batched_tokens",
    ),
    "type": (
        ("--dtype", "float16"),
        "--dtype float16: torch.float16 is not supported for",
        "vllm_extra_args",
    ),
    "kernels": (("--moe-backend", "nope"), "--moe-backend nope: invalid choice", "vllm_extra_args"),
    "attention": (("--attention-backend", "NOPE"), "--attention-backend NOPE: Unknown", "vllm_extra_args"),
}
ACCEPTED = {
    "as it is": (),
    "for Blackwell": ("--kv-cache-dtype", "fp8"),
    "without fused all-reduce": ("--compilation-config.pass_config.fuse_allreduce_rms", "false"),
    "one GPU": ("--tensor-parallel-size", "1"),
}


@pytest.fixture(scope="module")
def model(engine: Path, driven: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with gpt-oss-120b's config.json and tokenizer; the weights are not read."""
    directory = tmp_path_factory.mktemp("model")
    shutil.copy(HERE / "gpt_oss_120b/config.json", directory)
    path = {"PYTHONPATH": str(REPOSITORY / "examples/nano_model")}
    subprocess.run([engine, "-c", TOKENIZER, directory], env=driven | path, timeout=900, check=True)
    return directory


@pytest.fixture(scope="module")
def setting(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The unit that a deploy of inventory/ml35 writes, with another model's directory."""
    directory = tmp_path_factory.mktemp("units") / "u"
    run = render(directory, "-e", f"vllm_model={model}")
    assert run.returncode == 0, run.stdout
    return unit(directory / "vllm-vllm-cuda.service")


@pytest.fixture(scope="module")
def surroundings(setting: dict[str, list[str]], driven: dict[str, str]) -> dict[str, str]:
    """The unit's environment, with places of the test's to write and a driver without a GPU."""
    return environment(setting) | driven | {"PYTHONPATH": str(REPOSITORY)}


def changed(arguments: list[str], change: tuple[str, ...]) -> list[str]:
    """Return the arguments with one flag set to another value, or added."""
    if not change or change[0] not in arguments:
        return [*arguments, *change]
    place = arguments.index(change[0]) + 1
    return [*arguments[:place], change[1], *arguments[place + 1 :]]


@pytest.fixture(scope="module")
def answers(
    engine: Path,
    setting: dict[str, list[str]],
    surroundings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Result]:
    """What is made of each case; one process asks vLLM all of them."""
    _, serve, *arguments = command(setting)
    assert serve == "serve"
    names = [*ACCEPTED, *REFUSED]
    changes = [*ACCEPTED.values(), *(change for change, *_ in REFUSED.values())]
    cases = [["serve", *changed(arguments, change)] for change in changes]
    added = [len(case) - len(arguments) - 1 for case in cases]  # words of vllm_extra_args
    found = tmp_path_factory.mktemp("answers") / "answers"
    subprocess.run(
        [engine, "-c", MANY, found],
        env=surroundings,
        input=json.dumps(list(zip(cases, added, strict=True))),
        text=True,
        timeout=MINUTES,
        check=True,
    )
    ends = json.loads(found.read_text())
    return {
        name: refusals.judge(*pair) for name, pair in zip(names, zip(ends, cases, strict=True), strict=True)
    }


@pytest.mark.parametrize("name", ACCEPTED)
def test_it_is_accepted(answers: dict[str, Result], version: str, name: str) -> None:
    size = 1 if name == "one GPU" else 2
    assert answers[name].reason == (
        f"vLLM {version} accepts the arguments: cuda, world size {size}, 131072 tokens, torch.bfloat16"
    )


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_its_reason_and_remedy(answers: dict[str, Result], name: str) -> None:
    _, words, advice = REFUSED[name]
    assert answers[name].state is State.CRITICAL, answers[name]
    assert answers[name].reason.startswith(f"vLLM refuses {words}"), answers[name]
    assert advice in answers[name].remedy


def test_the_check_as_a_deploy_runs_it(
    engine: Path,
    setting: dict[str, list[str]],
    surroundings: dict[str, str],
    answers: dict[str, Result],
    version: str,
    tmp_path: Path,
) -> None:
    # After `answers`, whose process has looked at the model's class: the check copies what is known of it.
    program = [engine, "-m", "python_checks", "config", "--deadline", str(MINUTES // 3), "--"]
    done = subprocess.run(
        [*program, *command(setting)[1:]],
        env=surroundings | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=MINUTES,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    words = f"config OK: vLLM {version} accepts the arguments: cuda, world size 2, 131072 tokens"
    assert words in done.stdout
    assert not list(tmp_path.iterdir())
