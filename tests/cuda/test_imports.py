"""What a start of gpt-oss imports on a GPU host can be imported from the lock, as far as no GPU is asked."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

# From the command to the kernels of gpt-oss on Hopper, with and without tool calls.
STARTED = (
    "vllm.entrypoints.cli.main",
    "vllm.entrypoints.launchers.api_server.entry",
    "vllm.v1.engine.async_llm",
    "vllm.v1.engine.core",
    "vllm.v1.executor.multiproc_executor",
    "vllm.v1.worker.gpu_worker",
    "vllm.v1.worker.gpu_model_runner",
    "vllm.v1.worker.gpu.model_runner",
    "vllm.distributed.device_communicators.cuda_communicator",
    "vllm.distributed.device_communicators.pynccl",
    "vllm.distributed.device_communicators.symm_mem",
    "vllm.distributed.device_communicators.flashinfer_all_reduce",
    "vllm.compilation.backends",
    "vllm.compilation.passes.pass_manager",
    "vllm.model_executor.models.gpt_oss",
    "vllm.model_executor.layers.quantization.mxfp4",
    "vllm.model_executor.layers.fused_moe.oracle.mxfp4",
    "vllm.model_executor.layers.fused_moe.experts.gpt_oss_triton_kernels_moe",
    "vllm.model_executor.layers.fused_moe.experts.marlin_moe",
    "vllm.model_executor.layers.fused_moe.experts.trtllm_mxfp4_moe",
    "vllm.third_party.triton_kernels.matmul_ogs",
    "vllm.v1.attention.backends.flash_attn",
    "vllm.v1.attention.backends.triton_attn",
    "vllm.v1.attention.backends.flashinfer",
    "vllm.vllm_flash_attn",
    "vllm.parser.harmony",
    "vllm.reasoning.gptoss_reasoning_parser",
    "openai_harmony",
    "flashinfer.comm",
    "flashinfer.fused_moe",
    "cuda.bindings.driver",
    "cuda.bindings.runtime",
)
# What vLLM imports only for other models and ways to serve, and why it cannot be here.
CANNOT = {
    "PyNvVideoCodec": "libnvidia-encode.so.1",  # of the driver
    "lmformatenforcer.integrations.vllm": "vllm is not installed",  # it looks for a module of an older vLLM
    "quack": "Found no NVIDIA driver",  # it asks the GPU as it is imported
    "quack.activation": "Found no NVIDIA driver",
    "quack.sm90_utils": "Found no NVIDIA driver",
}


@pytest.fixture(scope="module")
def answers(engine: Path, driven: dict[str, str]) -> dict[str, Any]:
    """What was imported, and what not with its words."""
    program = Path(__file__).with_name("import_all.py")
    done = subprocess.run(
        [engine, program, *STARTED], env=driven, stdout=subprocess.PIPE, text=True, timeout=1800, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_a_start_imports(answers: dict[str, Any]) -> None:
    assert {name: answers["failed"].get(name, "") for name in STARTED} == dict.fromkeys(STARTED, "")
    assert set(STARTED) <= set(answers["imported"])


def test_what_vllm_imports_of_the_lock(answers: dict[str, Any]) -> None:
    assert len(answers["imported"]) > 300
    assert answers["failed"].keys() == CANNOT.keys(), answers["failed"]
    for name, words in CANNOT.items():
        assert words in answers["failed"][name]


def test_the_command_of_the_unit_is_there(engine: Path) -> None:
    assert "from vllm.entrypoints.cli.main import main" in engine.with_name("vllm").read_text()
