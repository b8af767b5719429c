"""What vLLM 0.32 really said of its arguments (recorded/config.json), and what is made of it."""

import json
from typing import Any

import pytest
import yaml

from python_checks.config import refusals
from python_checks.core.result import State
from tests.python_checks.support import RECORDED, ROOT

OUTCOMES: dict[str, Any] = json.loads((RECORDED / "config.json").read_text(encoding="utf-8"))
ARGUMENTS: list[str] = OUTCOMES["good"]["arguments"]

# Name of the recording: what the reason begins with, a part of it, and a part of the remedy.
CASES = {
    "unknown_flag": (
        "--enable-auto-tool-choise:",
        "unrecognized arguments",
        "did you mean --enable-auto-tool-choice? correct vllm_extra_args",
    ),
    "mistyped_value": ("--max-model-len 13x:", "'13x'", "correct vllm_max_model_len (--max-model-len)"),
    "missing_value": ("--seed:", "expected one argument", "vllm_extra_args"),
    "utilization": (
        "--gpu-memory-utilization 1.5: Input",
        "less than or equal to 1",
        "correct vllm_gpu_memory_utilization (--gpu-memory-utilization)",
    ),
    "parser": ("--tool-call-parser nope:", "invalid tool call parser: nope", "vllm_tool_call_parser"),
    "no_parser": ("--tool-call-parser:", "requires --tool-call-parser", "vllm_tool_call_parser"),
    "length": ("--max-model-len 999999999:", "greater than the derived", "vllm_max_model_len"),
    "heads": ("--tensor-parallel-size 3:", "attention heads (4)", "vllm_tensor_parallel_size"),
    "tp4": ("--tensor-parallel-size 4:", "['0', '1']", "VLLM_CPU_OMP_THREADS_BIND (vllm_environment)"),
    "auto": ("--tensor-parallel-size 2:", "Not enough allowed NUMA nodes", "VLLM_CPU_OMP_THREADS_BIND"),
    "missing_directory": ("--model /srv/nonesuch:", "/srv/nonesuch", "no such directory"),
    "notoken": ("--tokenizer /srv/nonesuch:", "/srv/nonesuch", "correct vllm_model"),
    "empty_directory": ("--model /srv/empty:", "Invalid repository ID", "model-files check"),
    "broken_config": ("--model /srv/bad:", "not a valid JSON file", "model-files check"),
    "noarch": ("--model /srv/noarch:", "['NoSuchForCausalLM'] are not supported", "vllm_model"),
    "batched0": ("--max-num-batched-tokens 0: Input", "max_num_seqs", "vllm_max_num_batched_tokens"),
    "dtype": ("--dtype float7:", "choose from 'auto', 'bfloat16'", "vllm_extra_args"),
    "quant": ("--quantization nope:", "Unknown quantization method: nope", "vllm_extra_args"),
    "reasoning": ("--reasoning-parser nope:", "not found", "vllm_extra_args"),
    "template": ("--chat-template /srv/none.jinja:", "doesn't exist", "vllm_extra_args"),
    "json": ("--compilation-config {nope:", "Invalid JSON", "vllm_extra_args"),
    "shutdown": ("--shutdown-timeout -5: Input", "or equal to 0", "correct vllm_shutdown_timeout"),
    "attention": ("--attention-backend NOPE:", "Unknown attention backend", "vllm_extra_args"),
    "envopt": ("--max-num-seqs 0: Input", "or equal to 1", "vllm_extra_args"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_refusal_names_its_flag_and_variable(name: str) -> None:
    start, words, advice = CASES[name]
    result = refusals.judge(OUTCOMES[name]["end"], OUTCOMES[name]["arguments"])
    assert result.state is State.CRITICAL
    assert result.reason.startswith(f"vLLM refuses {start}") and words in result.reason
    assert len(result.reason) < 320 and "chose from {" not in result.reason
    assert advice in result.remedy


def test_the_remedy_gives_the_models_own_limit() -> None:
    length, heads = OUTCOMES["length"], OUTCOMES["heads"]
    assert " to 131072 at most" in refusals.judge(length["end"], length["arguments"]).remedy
    assert refusals.judge(heads["end"], heads["arguments"]).remedy.endswith("to a divisor of 4")


def test_every_recording_is_judged() -> None:
    assert OUTCOMES.keys() == CASES.keys() | {"good", "backend"}


def test_accepted() -> None:
    result = refusals.judge(OUTCOMES["good"]["end"], ARGUMENTS)
    assert result.state is State.OK
    assert "vLLM 0.32.0 accepts" in result.reason and "world size 2, 131072 tokens" in result.reason


def test_without_a_flag_it_is_unknown() -> None:
    result = refusals.judge(OUTCOMES["backend"]["end"], OUTCOMES["backend"]["arguments"])
    assert result.state is State.UNKNOWN and "not enough values to unpack" in result.reason


def told(error: str, words: str, **more: Any) -> dict[str, Any]:
    """Return an end with an error, as vllm_stages tells it."""
    empty = {"bases": [error, "Exception"], "fields": [], "module": None, "similar": {}}
    return {"error": error, "words": words, **empty, **more}


def test_more_workers_than_gpus() -> None:
    # Not recorded: there was no GPU. The words are those of vLLM 0.32's config/parallel.py.
    words = (
        "World size (2) is larger than the number of available GPUs (1) in this node. If this is intentional and you are using:\n"
        "- ray, set '--distributed-executor-backend ray'.\n- multiprocessing, set '--nnodes' appropriately."
    )
    result = refusals.judge(told("ValidationError", words), ARGUMENTS)
    assert result.state is State.CRITICAL
    assert result.reason == (
        "vLLM refuses --tensor-parallel-size 2: "
        "World size (2) is larger than the number of available GPUs (1) in this node"
    )
    assert "vllm_tensor_parallel_size to 1 at most" in result.remedy
    staged = refusals.judge(told("ValidationError", words), [*ARGUMENTS, "--pipeline-parallel-size", "2"])
    assert staged.reason.startswith("vLLM refuses --pipeline-parallel-size 2: World size (2) is larger")


@pytest.mark.parametrize(
    ("module", "state", "words"),
    [
        ("vllm", State.UNKNOWN, "there is no vLLM"),
        ("vllm.entrypoints.openai.cli_args", State.UNKNOWN, "keeps its parser elsewhere"),
        ("uvloop", State.CRITICAL, "vLLM cannot be imported: No module named"),
        (None, State.CRITICAL, "vLLM cannot be imported"),
    ],
)
def test_what_cannot_be_imported(module: str | None, state: State, words: str) -> None:
    end = told("ImportError", f"No module named {module!r}", module=module, bases=["ImportError"])
    result = refusals.judge(end, ARGUMENTS)
    assert result.state is state and words in result.reason and result.remedy


def test_a_word_that_is_also_a_flag_accuses_nobody() -> None:
    result = refusals.judge(
        told("RuntimeError", "the model and its port are of no use to this host"), ARGUMENTS
    )
    assert result.state is State.UNKNOWN


def test_flags_as_vllm_spells_them() -> None:
    arguments = ["--max_model_len=5", "--model", "/srv/m", "--enforce-eager", "--seed", "-1", "--port"]
    wanted = {
        "--max-model-len": "5",
        "--model": "/srv/m",
        "--enforce-eager": "",
        "--seed": "-1",
        "--port": "",
    }
    assert refusals.given(arguments) == wanted


def test_the_flags_of_the_role_are_known_with_their_variables() -> None:
    role = ROOT / "roles/vllm"
    variables = yaml.safe_load((role / "vars/main.yml").read_text())
    command = f"{variables['__vllm_command']} {variables['__vllm_arguments']}"
    flags = {word.strip("'[],+(\n ") for word in command.split() if word.strip("[(").startswith("'--")}
    assert flags == refusals.VARIABLES.keys()
    options = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]
    assert {*refusals.VARIABLES.values(), refusals.EXTRA} <= options["options"].keys()
    named = {
        word.strip("():;,") for _, _, advice in refusals.RULES for word in advice.split() if "vllm_" in word
    }
    assert named <= options["options"].keys()
