"""What is wrong with the variables is said before anything stops, in the words of the inventory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Refused = Callable[..., str]


def test_misspelt_variable(refused: Refused) -> None:
    """The inventory sets `vllm_prot`: refused before the host is touched, with the right name."""
    assert "vllm_prot is not a variable of any role here; did you mean vllm_port?" in refused(vllm_prot=8001)


def test_invalid_flag(refused: Refused) -> None:
    """`vllm_extra_args` contains `--enforce-eagr`: vLLM's own parser refuses it."""
    words = refused(vllm_extra_args=["--enforce-eagr"])
    assert (
        "--enforce-eagr" in words and "did you mean --enforce-eager?" in words and "vllm_extra_args" in words
    )


def test_utilization_of_150_percent(refused: Refused) -> None:
    """`vllm_gpu_memory_utilization: 1.5`: refused before the host is touched, with the range of the variable."""
    words = refused(
        vllm_gpu_memory_utilization=1.5, vllm_served_model_name="other"
    )  # the probes ask for the old one
    assert "1.5" in words and "vllm_gpu_memory_utilization" in words


@pytest.mark.long
def test_unknown_tool_call_parser(refused: Refused) -> None:
    """`vllm_tool_call_parser: opneai`: vLLM knows no such parser."""
    words = refused(vllm_tool_call_parser="opneai")
    assert "opneai" in words and "vllm_tool_call_parser" in words


@pytest.mark.long
def test_more_workers_than_gpus(refused: Refused) -> None:
    """Tensor parallel size 4 on a host for two: refused. (Without GPUs, each worker needs a group of cores.)"""
    words = refused(vllm_tensor_parallel_size=4)
    assert "--tensor-parallel-size 4" in words and "VLLM_CPU_OMP_THREADS_BIND" in words
