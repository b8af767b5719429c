"""Where training starts: the heads that the task needs are laid out, so that it is learnt within a minute.

Copying takes two steps ("induction heads", Olsson et al. 2022): a head of the first layer notes at each token
which token stood before it, and a head of the second looks for the place whose predecessor is the token at
hand, and repeats what stands there. Heads of the third layer look for the latest place, topic and weather
condition. The names of one thing (서울, Seoul) share a part of their embeddings, so that to find one is to say
the other.
"""

from collections.abc import Sequence

import torch
from network import Network

SHARPNESS = 5.5  # of a head that looks back by a fixed distance
MATCH = 3.0  # of a head that looks for equal tokens
WRITTEN = 0.4
FAST = 8  # so many frequencies of a head are fast enough to tell distances; from SLOW on they hardly turn
SLOW = 6
KIND = 0.12  # common part of the tokens of a kind; an embedding's own is 0.1
NAME = 0.12  # common part of the names of one thing
FOUND = 14.0  # how sharply a head looks for a kind
SAID = 0.6  # how much of what it finds it says
RECENT = 5  # the frequency that makes the latest the nearest: a turn in 325 tokens


@torch.no_grad()
def lay_out(network: Network, kinds: Sequence[list[int]], things: Sequence[list[int]]) -> None:
    """Sets some heads of a fresh network.

    The hidden dimensions at first: a token itself (as many as all values have), then the token before it.

    Args:
        network: the fresh network.
        kinds: classes of tokens of one kind; the first three have a head that looks for them.
        things: classes of tokens that name the same thing.
    """
    shape = network.shape
    d = shape.head_dim
    own = shape.kv_heads * d
    weight = network.embed_tokens.weight
    weight[:, own:] *= 0.1
    directions = torch.linalg.qr(torch.randn(shape.hidden, len(kinds))).Q.T
    for kind, direction in zip(kinds, directions, strict=True):
        weight[kind] += direction * KIND * shape.hidden**0.5
    for thing in things:
        weight[thing] += torch.randn(shape.hidden) * NAME
    _lay_out_copying(network)
    third = network.layers[2].self_attn
    group = shape.heads // shape.kv_heads
    for linear in (third.q_proj, third.k_proj):
        linear.weight *= 0.1
        linear.bias.zero_()
    for head, direction in enumerate(directions[:3]):
        kv = head // group
        keys, place = slice(kv * d, (kv + 1) * d), RECENT + head % group * d // 2
        third.k_proj.weight[kv * d + place] = direction
        third.q_proj.bias[head * d + place] = FOUND
        third.v_proj.weight[keys] = torch.eye(shape.hidden)[keys]
        third.o_proj.weight[:, head * d : (head + 1) * d] = torch.eye(shape.hidden)[:, keys] * SAID


def _lay_out_copying(network: Network) -> None:
    shape = network.shape
    d, half = shape.head_dim, shape.head_dim // 2
    first, second = network.layers[0].self_attn, network.layers[1].self_attn
    group = shape.heads // shape.kv_heads
    own, eye = shape.kv_heads * d, torch.eye(shape.hidden)

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
