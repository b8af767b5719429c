"""The KV cache's blocks, against vLLM 0.32's own functions and against starts that were measured."""

from dataclasses import replace
from typing import Any

import pytest

from python_checks.core.result import CheckError, State
from python_checks.core.words import GIB
from python_checks.gpu import arithmetic
from python_checks.gpu.arithmetic import Budget
from python_checks.gpu.kv_cache import Shape, shape
from tests.python_checks.gpu_support import DISK, GPT_OSS


# Figures of vLLM 0.32: _get_kv_cache_groups_uniform_page_size and max_memory_usage_bytes of layers of so many full and
# sliding (window 128) layers, KV heads and head size; blocks of a request, concurrency and longest request in a cache.
@pytest.mark.parametrize(
    ("layers", "heads", "head", "length", "in_flight", "cache", "block", "blocks", "requests", "longest"),
    [
        ((18, 18), 4, 64, 131072, 2048, 35.82, 294912, 8329, 15.658062, 131072),
        ((18, 18), 4, 64, 131072, 8192, 35.82, 294912, 8713, 14.967978, 131072),
        ((18, 18), 8, 64, 131072, 8192, 2.5, 589824, 8713, 0.522323, 64464),
        ((13, 12), 8, 64, 131072, 4096, 2, 425984, 8457, 0.596074, 76400),
        ((10, 20), 8, 128, 32768, 4096, 3, 655360, 2578, 1.906517, 32768),
        ((32, 0), 8, 128, 32768, 4096, 3, 2097152, 2048, 0.75, 24560),
        ((18, 18), 4, 64, 131072, 8192, 0.3, 294912, 8713, 0.125330, 9120),
    ],
)
def test_blocks_are_those_of_vllm(
    layers: tuple[int, int],
    heads: int,
    head: int,
    length: int,
    in_flight: int,
    cache: float,
    block: int,
    blocks: int,
    requests: float,
    longest: int,
) -> None:
    model = Shape(*layers, 128, 2 * heads * head * 2, length)
    size = int(cache * GIB)
    assert (model.block_bytes, model.blocks(length, in_flight)) == (block, blocks)
    assert model.requests(size, length, in_flight) == pytest.approx(requests, abs=1e-6)
    assert model.longest_in(size, in_flight) == longest


def test_two_h100_as_measured() -> None:
    """github.com/princeton-ddss/blackfish/issues/162; reserve: 0.69 activation and 0.44 outside torch."""
    weights = arithmetic.weights(GPT_OSS, DISK, 2)
    budget = Budget(79.25 * GIB, 0.90, weights, 1.13 * GIB, 131072, 2048, shape(GPT_OSS, 2))
    assert weights / GIB == pytest.approx(34.38, abs=0.02)
    assert budget.cache / GIB == pytest.approx(35.82, abs=0.02)
    assert budget.figures()["requests"] == 15.66
    assert arithmetic.judge(budget, budget.usable) == []


def test_one_h100_as_measured() -> None:
    """github.com/vllm-project/vllm/issues/23278, with Marlin: Model loading took 65.9651 GiB."""
    assert arithmetic.weights(GPT_OSS, DISK, 1) / GIB == pytest.approx(65.9651, abs=0.05)


def test_weights_that_are_not_mxfp4_are_shared_evenly() -> None:
    assert arithmetic.weights({}, 8 * GIB, 4) / GIB == pytest.approx(2 + 0.09)


def test_what_does_not_fit_gets_the_length_and_the_utilization_that_do() -> None:
    """2.5 GiB of cache for a request of 8713 blocks and the empty one (vLLM's figures above): 4.7867 GiB."""
    budget = Budget(80 * GIB, 0.90, 66 * GIB, 3.5 * GIB, 131072, 8192, shape(GPT_OSS, 1))
    (fault,) = arithmetic.judge(budget, 79.9 * GIB)
    assert (
        "0.9 x 80.00 GiB - 66.0 weights - 3.5 reserve (estimate) = 2.5 for KV cache, 4.79 a request"
        in str(fault)
    )
    # (66 + 3.5 + 4.7867) / 80 = 0.9286
    assert fault.remedy == "--max-model-len 64464 at most or --gpu-memory-utilization 0.93 at least"
    (fault,) = arithmetic.judge(budget, 74 * GIB)
    assert fault.remedy == "--max-model-len 64464 at most"


def test_what_only_the_estimate_keeps_out_is_a_warning() -> None:
    """A request takes 4.79 GiB; with the measured 1.13 GiB alone 80 x 0.9 - 66 - 1.13 = 4.87 are left."""
    budget = Budget(80 * GIB, 0.90, 66 * GIB, 3.5 * GIB, 131072, 8192, shape(GPT_OSS, 1))
    (fault,) = arithmetic.judge(budget, 79.9 * GIB)
    assert fault.state is State.WARNING and "may not fit, by the estimate" in fault.reason
    (fault,) = arithmetic.judge(budget, 79.9 * GIB, least=budget.reserve)  # the user gave it
    assert fault.state is State.CRITICAL and "does not fit" in fault.reason
    (fault,) = arithmetic.judge(replace(budget, weights=66.1 * GIB), 79.9 * GIB)
    assert fault.state is State.CRITICAL


def test_what_cannot_fit_needs_more_gpus() -> None:
    budget = Budget(39.4 * GIB, 0.90, 34.4 * GIB, 2.8 * GIB, 131072, 8192, shape(GPT_OSS, 2))
    (fault,) = arithmetic.judge(budget, 39.4 * GIB)
    assert "-1.7 for KV cache" in fault.reason
    assert "1.01 is needed" in fault.remedy and "more GPUs (--tensor-parallel-size)" in fault.remedy


def test_the_reserve_grows_with_the_batch() -> None:
    assert arithmetic.reserve(2048, 256) / GIB == pytest.approx(0.44 + 0.94 + 0.69)
    assert arithmetic.reserve(8192, 256) / GIB == pytest.approx(0.44 + 0.94 + 4 * 0.69)
    assert arithmetic.reserve(2048, 1024) / GIB == pytest.approx(0.44 + 0.94 + 4 * 0.69)
    assert arithmetic.default_requests("NVIDIA H100 80GB HBM3", 79.25 * GIB) == 1024
    assert arithmetic.default_requests("NVIDIA A100-SXM4-80GB", 79.3 * GIB) == 256


def test_the_shape_of_gpt_oss_and_of_others() -> None:
    assert shape(GPT_OSS, 2) == Shape(18, 18, 128, 2 * 4 * 64 * 2, 131072)
    assert shape(GPT_OSS, 16).token_bytes == 2 * 1 * 64 * 2  # heads are not cut: GPUs hold the same
    llama: dict[str, Any] = {"hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 2}
    llama |= {"max_position_embeddings": 4096, "num_key_value_heads": None}
    assert shape(llama | {"torch_dtype": "float32"}, 1) == Shape(2, 0, 0, 2 * 32 * 128 * 4, 4096)


@pytest.mark.parametrize(
    "change",
    [
        {"kv_lora_rank": 512},
        {"layer_types": ["mamba"] * 36},
        {"layer_types": ["full_attention"]},
        {"num_hidden_layers": None},
        {"num_attention_heads": 0, "head_dim": None},
        {"max_position_embeddings": "long"},
    ],
)
def test_a_shape_that_is_not_known_is_unknown_and_never_fits(change: dict[str, Any]) -> None:
    with pytest.raises(CheckError) as caught:
        shape(GPT_OSS | change, 2)
    assert caught.value.fault.state is State.UNKNOWN
