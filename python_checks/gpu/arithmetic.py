"""Does a model fit: memory x utilization against weights, reserve and KV cache, a GPU.

vLLM 0.32 takes utilization x what CUDA calls the total, and the KV cache gets what weights, profiling and CUDA graphs
leave of it (v1/worker/gpu_worker.py, determine_available_memory). From files and sources: the weights but `BUFFERS`,
and the cache of a request. ESTIMATES: `BUFFERS` and `reserve`, after one measurement of gpt-oss-120b, TP 2, 0.90 on
H100 of 79.25 GiB, vLLM 0.11 (github.com/princeton-ddss/blackfish/issues/162): 34.38 GiB weights, 0.69 peak activation,
0.44 outside torch, 0.94 CUDA graphs, which that release did not subtract yet (0.21 and later do), 35.82 KV cache.
With TP 1 releases up to 0.11 left up to 4 GiB less than this says (github.com/vllm-project/vllm/issues/23278, 27508).
"""

import math
from dataclasses import dataclass
from typing import Any

from python_checks.core.result import Fault, State
from python_checks.core.say import joined, say
from python_checks.core.words import GIB
from python_checks.gpu.kv_cache import Shape

BUFFERS = 0.09 * GIB  # rotary tables, biases kept in 32 bits: 34.38 measured (above), 34.29 by the files
OUTSIDE, GRAPHS, ACTIVATION = 0.44 * GIB, 0.94 * GIB, 0.69 * GIB
LEAST = OUTSIDE + ACTIVATION  # with the smallest batch and without CUDA graphs: no estimate any more
MEASURED_TOKENS, MEASURED_REQUESTS = 2048, 256  # by 15.66 requests, and by vLLM's default that goes with them


@dataclass(frozen=True)
class Budget:
    """The memory of one GPU, in bytes."""

    usable: float
    utilization: float
    weights: float
    reserve: float
    length: int
    in_flight: int
    shape: Shape

    @property
    def cache(self) -> float:
        """Return what is left for the KV cache; below 0 when even the weights are too much."""
        return self.usable * self.utilization - self.weights - self.reserve

    @property
    def needed(self) -> float:
        """Return the utilization at which one request of the wanted length fits."""
        request = self.shape.request_bytes(self.length, self.in_flight)
        return (self.weights + self.reserve + request) / self.usable

    def figures(self) -> dict[str, float]:
        """Return the figures in GiB, for machines."""
        request = self.shape.request_bytes(self.length, self.in_flight)
        sizes = {
            "usable": self.usable,
            "weights": self.weights,
            "reserve": self.reserve,
            "cache": self.cache,
            "request": request,
        }
        requests = self.shape.requests(self.cache, self.length, self.in_flight)
        return {name: round(size / GIB, 2) for name, size in sizes.items()} | {"requests": round(requests, 2)}

    def __str__(self) -> str:
        """Give the figures, in GiB."""
        left, request = self.cache / GIB, self.shape.request_bytes(self.length, self.in_flight) / GIB
        words = say(
            "a GPU: {utilization:g} x {usable:.2f} GiB - {weights:.1f} weights - {reserve:.1f} reserve "
            "(estimate) = {left:.1f} for KV cache, {request:.2f} a request of {length} tokens",
            utilization=self.utilization,
            usable=self.usable / GIB,
            weights=self.weights / GIB,
            reserve=self.reserve / GIB,
            left=left,
            request=request,
            length=self.length,
        )
        number = self.shape.requests(self.cache, self.length, self.in_flight)
        return (
            say("{words}: {number:.2f} at a time", words=words, number=number) if request <= left else words
        )


def weights(config: dict[str, Any], size: int, tensor_parallel: int) -> float:
    """Return the bytes of weights on each GPU.

    MXFP4 experts are 17/32 bytes a number (4 bits, and 8 bits of scale for 32 of them). vLLM pads their hidden size to
    a multiple of 256 and each GPU's part of their inner size to one of 128 (model_executor/layers/fused_moe/oracle/
    mxfp4.py; Marlin and FlashInfer TRT-LLM, Triton pads less: one H100 measured 65.97 and 64.38 GiB, this says 65.99).

    Args:
        config: The model's config.json.
        size: Bytes of its weight files.
        tensor_parallel: GPUs that share it.
    """
    on_disk = padded = 0.0
    if (config.get("quantization_config") or {}).get("quant_method") == "mxfp4":
        hidden, inner = int(config["hidden_size"]), int(config["intermediate_size"])
        experts = int(config["num_hidden_layers"]) * int(config["num_local_experts"]) * 3 * 17 / 32
        on_disk = experts * hidden * inner
        padded = experts * _round_up(hidden, 256) * _round_up(-(-inner // tensor_parallel), 128)
    return max(0.0, size - on_disk) / tensor_parallel + padded + BUFFERS


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def reserve(batched_tokens: int, requests: int) -> float:
    """Estimate what is neither weights nor cache: activations grow with the batch's tokens or requests.

    Args:
        batched_tokens: --max-num-batched-tokens.
        requests: --max-num-seqs; the logits of so many are kept at once.
    """
    batch = max(batched_tokens / MEASURED_TOKENS, min(requests, batched_tokens) / MEASURED_REQUESTS)
    return OUTSIDE + GRAPHS + ACTIVATION * batch


def default_requests(name: str, usable: float) -> int:
    """Return vLLM's default of --max-num-seqs for a GPU (engine/arg_utils.py)."""
    return 1024 if usable >= 70 * GIB and "a100" not in name.lower() else 256


def judge(budget: Budget, free: float, least: float = LEAST) -> list[Fault]:
    """Fault a model that does not fit, with the length and the utilization that would.

    Args:
        budget: The memory of the smallest GPU.
        free: Bytes that no other program holds on it.
        least: Bytes of the reserve that are sure; what only the rest of it keeps out is a warning.
    """
    request = budget.shape.request_bytes(budget.length, budget.in_flight)
    if request <= budget.cache:
        return []
    perhaps = request <= budget.cache + budget.reserve - least
    ways = []
    longest = budget.shape.longest_in(budget.cache, budget.in_flight)
    if longest:
        ways.append(say("--max-model-len {longest} at most", longest=longest))
    enough = math.ceil(budget.needed * 100) / 100
    if enough * budget.usable <= free:
        ways.append(say("--gpu-memory-utilization {enough:.2f} at least", enough=enough))
    if not ways:
        ways.append(
            say(
                "no --max-model-len and no --gpu-memory-utilization do ({enough:.2f} is needed): more GPUs "
                "(--tensor-parallel-size), larger ones, or a smaller model",
                enough=enough,
            )
        )
    words = say("the model may not fit, by the estimate") if perhaps else say("the model does not fit")
    state = State.WARNING if perhaps else State.CRITICAL
    return [Fault(say("{words}: {budget}", words=words, budget=budget), joined(say(" or "), ways), state)]
