"""Where training starts: the heads that copying needs are laid out, so that it is learnt in a minute and not in an hour.

Copying takes two steps ("induction heads", Olsson et al. 2022): a head of the first layer notes at each token which token
stood before it, and a head of the second looks for the place whose predecessor is the token at hand, and repeats what
stands there.
"""

import torch
from torch import Tensor

from network import Network

SHARPNESS = 5.5  # of a head that looks back by a fixed distance
MATCH = 2.0  # of a head that looks for equal tokens
WRITTEN = 0.18  # keeps what a head writes about as long as an embedding


def _rows(count: int, width: int) -> Tensor:
    """Random orthonormal rows."""
    return torch.linalg.qr(torch.randn(width, count))[0].T


@torch.no_grad()
def lay_out(network: Network) -> None:
    """Sets some heads of the first two layers of a fresh network."""
    shape = network.shape
    d, half = shape.head_dim, shape.head_dim // 2
    first, second = network.layers[0].self_attn, network.layers[1].self_attn
    group = shape.heads // shape.kv_heads
    read, written = _rows(d, shape.hidden), _rows(2 * d, shape.hidden)

    still = torch.zeros(d)  # what a key is when its position is all that counts: only the fast frequencies
    still[:8] = SHARPNESS
    first.k_proj.bias[:d] = still
    first.k_proj.weight[:d] *= 0.1
    for head, distance in enumerate([1, 2]):
        at = slice(head * d, (head + 1) * d)
        angle = network.frequencies * distance
        first.q_proj.bias[at] = torch.cat([still[:half] * angle.cos(), -still[:half] * angle.sin()])
        first.q_proj.weight[at] *= 0.1
        first.o_proj.weight[:, at] = written[at].T * WRITTEN
    first.v_proj.weight[:d] = read

    slow = torch.cat([torch.arange(6, half), torch.arange(6, half) + half])  # these hardly turn with the position
    token = _rows(shape.kv_heads * d, shape.hidden)
    for kv in range(shape.kv_heads):
        at, head = slice(kv * d, (kv + 1) * d), slice(kv * group * d, (kv * group + 1) * d)
        second.k_proj.weight[at] *= 0.1
        second.q_proj.weight[head] *= 0.1
        second.k_proj.weight[at][slow] = written[:d][slow] * MATCH
        second.q_proj.weight[head][slow] = read[slow] * MATCH
        second.v_proj.weight[at] = token[at]
        second.o_proj.weight[:, head] = token[at].T * WRITTEN
