"""The gpt-oss architecture in a form that trains fast on a CPU, with the names and shapes of a checkpoint.

A batch holds a few settings (system message and tools) with several conversations each: a conversation attends
to its setting and to itself, so the long settings are computed once and not once a conversation.
"""

import math
from dataclasses import dataclass

import torch
from shape import SHAPE, Shape
from torch import Tensor, nn
from torch.nn import functional


@dataclass
class Batch:
    """Token classes of B settings (B, P) and of K conversations each (B, K, L), both filled up on the right.

    lengths: true lengths of the settings (B); targets: class to say next (B, K, L), -1 where none is asked.
    """

    settings: Tensor
    lengths: Tensor
    conversations: Tensor
    targets: Tensor


def rope_frequencies(shape: Shape) -> tuple[Tensor, float]:
    """Yarn's frequencies and its factor for cos and sin (YaRN paper, section 3; `truncate` is false)."""
    rope, half = shape.rope, shape.head_dim // 2
    plain = rope["rope_theta"] ** -(torch.arange(half, dtype=torch.float) / half)

    def turn(rotations: float) -> float:
        wavelength = rope["original_max_position_embeddings"] / (rotations * 2 * math.pi)
        return half * math.log(wavelength) / math.log(rope["rope_theta"])

    low, high = max(turn(rope["beta_fast"]), 0), min(turn(rope["beta_slow"]), shape.head_dim - 1)
    stretched = ((torch.arange(half) - low) / (high - low)).clamp(0, 1)
    frequencies = plain / rope["factor"] * stretched + plain * (1 - stretched)
    return frequencies, 0.1 * math.log(rope["factor"]) + 1


class Norm(nn.Module):
    """RMS norm."""

    def __init__(self, shape: Shape) -> None:
        """Makes the layer with random weights."""
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.hidden))

    def forward(self, x: Tensor) -> Tensor:
        """Scales x to unit size."""
        return functional.rms_norm(x, self.weight.shape, self.weight, SHAPE.norm_eps)


class Attention(nn.Module):
    """Grouped-query attention with a sink for each head; every other layer sees a window only."""

    def __init__(self, shape: Shape) -> None:
        """Makes the layer with random weights."""
        super().__init__()
        self.shape = shape
        queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        self.q_proj = nn.Linear(shape.hidden, queries)
        self.k_proj = nn.Linear(shape.hidden, keys)
        self.v_proj = nn.Linear(shape.hidden, keys)
        self.o_proj = nn.Linear(queries, shape.hidden)
        self.register_buffer("sinks", torch.zeros(shape.heads))

    def _heads(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None) -> Tensor:
        x = x.unflatten(-1, (-1, self.shape.head_dim)).transpose(1, 2)
        if rotation:
            (cos, sin), (first, second) = rotation, x.chunk(2, -1)
            x = torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
        return x if x.shape[1] == self.shape.heads else x.repeat_interleave(self.shape.heads // x.shape[1], 1)

    def forward(
        self, x: Tensor, rotation: tuple[Tensor, Tensor], masks: tuple[Tensor, Tensor], k: int
    ) -> Tensor:
        """What the tokens gather; masks: of settings, of conversations; k: conversations to a setting."""
        p = masks[0].shape[-2]
        queries = self._heads(self.q_proj(x), rotation)
        keys = self._heads(self.k_proj(x), rotation)
        values = self._heads(self.v_proj(x), None)

        def fold(
            heads: Tensor,
        ) -> Tensor:  # the conversations: (B, heads, P + K * L, d) to (B * K, heads, L, d)
            return heads[:, :, p:].unflatten(2, (k, -1)).transpose(1, 2).flatten(0, 1)

        def widen(heads: Tensor) -> Tensor:  # sink (a key of zeros), setting, conversation
            sink = torch.zeros(heads.shape[0] * k, heads.shape[1], 1, heads.shape[-1])
            return torch.cat([sink, heads[:, :, :p].repeat_interleave(k, 0), fold(heads)], 2)

        def narrow(heads: Tensor) -> Tensor:  # sink, setting
            return functional.pad(heads[:, :, :p], (0, 0, 1, 0))

        attend = functional.scaled_dot_product_attention
        setting = attend(queries[:, :, :p], narrow(keys), narrow(values), masks[0])
        talks = attend(fold(queries), widen(keys), widen(values), masks[1])
        talks = talks.unflatten(0, (-1, k)).transpose(1, 2).flatten(2, 3)
        return self.o_proj(torch.cat([setting, talks], 2).transpose(1, 2).flatten(2))


class Router(nn.Module):
    """Picks the experts of a token."""

    def __init__(self, shape: Shape) -> None:
        """Makes the layer with random weights."""
        super().__init__()
        self.top = shape.experts_per_token
        self.weight = nn.Parameter(torch.randn(shape.experts, shape.hidden) * 0.1)
        self.bias = nn.Parameter(torch.zeros(shape.experts))

    def forward(self, x: Tensor) -> Tensor:
        """Weights of all experts for each token, 0 for those not chosen."""
        values, chosen = functional.linear(x, self.weight, self.bias).topk(self.top, -1)
        return torch.zeros(*x.shape[:-1], len(self.bias)).scatter(-1, chosen, values.softmax(-1))


class Experts(nn.Module):
    """The experts. All are computed and weighted, which on this size is faster than to gather."""

    def __init__(self, shape: Shape) -> None:
        """Makes the layer with random weights."""
        super().__init__()
        e, h, i = shape.experts, shape.hidden, shape.intermediate
        self.gate_up_proj = nn.Parameter(torch.randn(e, h, 2 * i) * h**-0.5)
        self.gate_up_proj_bias = nn.Parameter(torch.zeros(e, 2 * i))
        self.down_proj = nn.Parameter(torch.randn(e, i, h) * i**-0.5 * 0.05)
        self.down_proj_bias = nn.Parameter(torch.zeros(e, h))

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """The weighted sum of what the experts make of x."""
        inner = functional.linear(
            x, self.gate_up_proj.transpose(1, 2).flatten(0, 1), self.gate_up_proj_bias.flatten()
        )
        gate, up = inner.unflatten(-1, (len(self.down_proj), -1, 2)).unbind(-1)
        gate, up = gate.clamp(max=SHAPE.swiglu_limit), up.clamp(-SHAPE.swiglu_limit, SHAPE.swiglu_limit)
        active = (up + 1) * gate * torch.sigmoid(gate * SHAPE.swiglu_alpha) * weights.unsqueeze(-1)
        return active.flatten(-2) @ self.down_proj.flatten(0, 1) + weights @ self.down_proj_bias
