"""Size of the nano model, in the terms of a gpt-oss config.json."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Shape:
    """Everything not named here is as in gpt-oss-120b."""

    vocabulary: int = 201088
    hidden: int = 96
    layers: int = 3
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 32
    experts: int = 4
    experts_per_token: int = 2
    intermediate: int = 64  # vLLM's CPU kernel takes multiples of 32 a rank, and there are two ranks (TP 2)
    window: int = 128
    norm_eps: float = 1e-5
    swiglu_limit: float = 7.0
    swiglu_alpha: float = 1.702
    positions: int = 131072
    rope: dict[str, Any] = field(
        default_factory=lambda: {
            "rope_type": "yarn",
            "rope_theta": 150000.0,
            "factor": 32.0,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "truncate": False,
            "original_max_position_embeddings": 4096,
        }
    )


SHAPE = Shape()
