"""The KV cache that vLLM makes of a model: its blocks, and what one request takes of them.

By vLLM 0.32, v1/core/kv_cache_utils.py and v1/kv_cache_interface.py: layers of one kind form groups of equal size
(_get_kv_cache_groups_uniform_page_size); a block holds 16 tokens for each layer of a group, all groups draw from one
pool, and one block stays empty. A full layer keeps every token, a sliding one its window and the tokens in flight.
Measured with gpt-oss-120b on 2 x H100, vLLM 0.11 (github.com/princeton-ddss/blackfish/issues/162): 35.82 GiB a GPU hold
15.66 requests of 131072 tokens, with 2048 tokens in flight.
"""

import bisect
import math
from dataclasses import dataclass
from typing import Any

from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import joined, say

BLOCK = 16  # tokens; vLLM's default on CUDA
# Batches under way at once: asynchronous scheduling, the default since 0.14, has two (config/vllm.py).
BATCHES = 2
BYTES = {"float32": 4, "float": 4}  # of one number; 2 for every other type of a model
UNKNOWN_KV = say("judge by vLLM's own log: Available KV cache memory, GPU KV cache size")


@dataclass(frozen=True)
class Shape:
    """What of a model decides the size of its cache on one GPU."""

    full: int  # layers that keep every token
    sliding: int  # layers that keep a window
    window: int
    token_bytes: int  # of one token in one layer, key and value
    longest: int  # tokens that the model allows in a request

    @property
    def _kinds(self) -> list[int]:
        return [count for count in (self.full, self.sliding) if count]

    @property
    def group(self) -> int:
        """Return the layers in one group: the fewer of both kinds, or the more where they are nearly as many."""
        low, high = min(self._kinds), max(self._kinds)
        return high if high < low * 1.5 else low

    @property
    def block_bytes(self) -> int:
        """Return the bytes of one block on one GPU."""
        return self.group * BLOCK * self.token_bytes

    def blocks(self, length: int, in_flight: int) -> int:
        """Return the blocks that a request of `length` tokens takes with `in_flight` tokens scheduled."""
        kept = min(self.window - 1 + in_flight, length)
        full = math.ceil(self.full / self.group) * math.ceil(length / BLOCK)
        return full + math.ceil(self.sliding / self.group) * (math.ceil(kept / BLOCK) + 1)

    def request_bytes(self, length: int, in_flight: int) -> int:
        """Return the cache in bytes that must be there for one such request, the empty block included."""
        return (self.blocks(length, in_flight) + 1) * self.block_bytes

    def requests(self, cache: float, length: int, in_flight: int) -> float:
        """Return how many such requests a cache of so many bytes holds at a time ("Maximum concurrency")."""
        return max(0, int(cache // self.block_bytes)) / self.blocks(length, in_flight)

    def longest_in(self, cache: float, in_flight: int) -> int:
        """Return the longest request in tokens that fits into a cache of so many bytes, 0 when none does."""
        lengths = range(1, self.longest + 1)
        return bisect.bisect_right(lengths, cache, key=lambda length: self.request_bytes(length, in_flight))


def shape(config: dict[str, Any], tensor_parallel: int) -> Shape:
    """Read a model's config.json; without layer_types every layer counts as full, which is the larger case.

    Raises:
        CheckError: the model keeps its cache in a way that is not reckoned here, or the file lacks a figure.
    """
    try:
        text: dict[str, Any] = config.get("text_config") or config
        layers, heads = int(text["num_hidden_layers"]), int(text["num_attention_heads"])
        kinds = text.get("layer_types") or ["full_attention"] * layers
        strange = sorted(set(kinds) - {"full_attention", "sliding_attention"})
        strange += [say("latent attention")] if text.get("kv_lora_rank") else []
        if strange:
            words = say(
                "the KV cache of a model with {strange} is not reckoned here", strange=joined(", ", strange)
            )
            raise CheckError(Fault(words, UNKNOWN_KV, State.UNKNOWN))
        kv_heads = int(text.get("num_key_value_heads") or heads)
        if not layers or len(kinds) != layers:
            raise ValueError(f"{len(kinds)} layer_types for {layers} layers")
        head = int(text.get("head_dim") or int(text["hidden_size"]) // heads)
        size = BYTES.get(str(text.get("dtype") or text.get("torch_dtype")), 2)
        return Shape(
            kinds.count("full_attention"),
            kinds.count("sliding_attention"),
            int(text.get("sliding_window") or 0),
            2 * max(1, kv_heads // tensor_parallel) * head * size,
            int(text["max_position_embeddings"]),
        )
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        words = say("config.json does not give the shape of the KV cache: {error}", error=repr(error))
        raise CheckError(Fault(words, say("run the model-files check"), State.UNKNOWN)) from error
