"""Trains the network to hold the conversations that the writer makes up."""

import sys
import time

import torch
from network import Network
from shape import SHAPE
from start import lay_out
from torch import Tensor

from examples import batches, kinds, vocabulary, write

SEED = 20
STEPS = 1000
RATE = 5e-3  # embedding, norms, biases, experts
MATRIX_RATE = 1.5e-3  # the attention's matrices: faster, and what start.py laid out is lost
SPEAK_EVERY = 2.0  # seconds between two lines of progress


def train() -> tuple[Network, list[int]]:
    """Trains the network on the recipe's conversations.

    Returns:
        The network and the token ids of its classes 1, 2, ...
    """
    begun = spoken = time.monotonic()
    torch.manual_seed(SEED)
    written = write(STEPS, SEED)
    ids = vocabulary(written)
    network = Network(SHAPE, len(ids) + 1)
    place = {token: number for number, token in enumerate(ids, start=1)}
    lay_out(network, *([[place[t] for t in group if t in place] for group in groups] for groups in kinds()))
    optimizer = _optimizer(network)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate)
    losses: list[float] = []
    for step, batch in enumerate(batches(written, ids), start=1):
        loss = network.loss(batch)
        network.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses = [*losses[-19:], loss.item()]
        if time.monotonic() - spoken > SPEAK_EVERY or step == STEPS:
            spoken = time.monotonic()
            _speak(step, sum(losses) / len(losses), spoken - begun)
    return network, ids


def _optimizer(network: Network) -> torch.optim.Optimizer:
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    for name, parameter in network.named_parameters():
        (matrices if name.endswith("proj.weight") else others).append(parameter)
    groups = [{"params": matrices, "lr": MATRIX_RATE}, {"params": others, "lr": RATE}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0)


def _rate(step: int) -> float:
    """Share of the full rate: up within 20 steps, down to 0 over the last 60 %."""
    return min(1.0, (step + 1) / 20, (STEPS - step) / (0.6 * STEPS))


def _speak(step: int, loss: float, seconds: float) -> None:
    print(f"step {step}/{STEPS}, loss {loss:.3f} ({seconds:.0f} s)", file=sys.stderr, flush=True)
