"""Where training starts: the heads that copying needs are laid out, so that it is learnt within a minute.

Copying takes two steps ("induction heads", Olsson et al. 2022): a head of the first layer notes at each token
which token stood before it, and a head of the second looks for the place whose predecessor is the token at
hand, and repeats what stands there.
"""

from collections.abc import Sequence

import torch
from network import Network

SHARPNESS = 5.5  # of a head that looks back by a fixed distance
MATCH = 3.0  # of a head that looks for equal tokens
WRITTEN = 0.4
KIND = 0.06  # common part of tokens of a kind; an embedding's own is 0.1
FAST = 8  # so many frequencies of a head are fast enough to tell distances; from SLOW on they hardly turn
SLOW = 6


@torch.no_grad()
def lay_out(network: Network, kinds: Sequence[list[int]]) -> None:
    """Sets some heads of the first two layers of a fresh network.

    The hidden dimensions at first: a token itself (as many as all values have), then the token before it.

    Args:
        network: the fresh network.
        kinds: classes of tokens of one kind (numbers, places); they get a common part, so that a head that
            looks for the kind learns from each of them.
    """
    shape = network.shape
    d, half = shape.head_dim, shape.head_dim // 2
    first, second = network.layers[0].self_attn, network.layers[1].self_attn
    group = shape.heads // shape.kv_heads
    own, eye = shape.kv_heads * d, torch.eye(shape.hidden)
    network.embed_tokens.weight[:, own:] *= 0.1

    for kind in kinds:
        network.embed_tokens.weight[kind] += torch.randn(shape.hidden) * KIND

    place = torch.zeros(d)  # a key and a query of which only the positions count
    place[:FAST] = SHARPNESS
    turn = network.frequencies
    first.k_proj.bias[:d] = place
    first.q_proj.bias[:d] = torch.cat([place[:half] * turn.cos(), -place[:half] * turn.sin()])
    first.k_proj.weight[:d] *= 0.1
    first.q_proj.weight[:d] *= 0.1
    first.v_proj.weight[:d] = eye[:d]
    first.o_proj.weight[:, :d] = eye[:, own : own + d] * WRITTEN

    slow = torch.cat([torch.arange(SLOW, half), torch.arange(SLOW, half) + half])
    for kv in range(shape.kv_heads):
        keys, queries = slice(kv * d, (kv + 1) * d), slice(kv * group * d, (kv * group + 1) * d)
        second.k_proj.weight[keys] *= 0.1
        second.q_proj.weight[queries] *= 0.1
        second.k_proj.weight[keys][slow] = eye[own + slow] * MATCH
        second.q_proj.weight[queries][slow] = eye[slow] * MATCH
        second.v_proj.weight[keys] = eye[keys]
        second.o_proj.weight[:, queries] = eye[:, keys] * WRITTEN
