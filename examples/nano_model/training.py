"""Trains the network: first to copy, then to hold the conversations that the writer makes up."""

import itertools
import sys
import time
from collections.abc import Iterator

import torch
from model import Batch
from network import Network
from shape import SHAPE
from start import lay_out
from torch import Tensor

from examples import batches, kinds, vocabulary, write

SEED = 20
COPIES = 80  # steps on random tokens that come twice
STEPS = int(__import__("os").environ.get("STEPS", "400"))  # steps on conversations
RATE = 5e-3  # of AdamW: embedding, norms, biases, experts
MATRIX_RATE = 0.02  # of Muon: the attention's matrices
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
    optimizers = _optimizers(network)
    schedules = [torch.optim.lr_scheduler.LambdaLR(optimizer, _rate) for optimizer in optimizers]
    losses: list[float] = []
    for step, batch in enumerate(
        itertools.chain(copies(len(ids) + 1), batches(written, ids)), start=1 - COPIES
    ):
        loss = network.loss(batch)
        network.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for stepper in (*optimizers, *schedules):
            stepper.step()
        losses = [*losses[-19:], loss.item()]
        if time.monotonic() - spoken > SPEAK_EVERY or step == STEPS:
            spoken = time.monotonic()
            _speak(step, sum(losses) / len(losses), spoken - begun)
    return network, ids


def copies(classes: int) -> Iterator[Batch]:
    """Random tokens that come twice: whoever completes the second time has learnt to copy."""
    for _ in range(COPIES):
        length, gap = int(torch.randint(8, 24, ())), int(torch.randint(0, 24, ()))
        first, between = torch.randint(1, classes, (1, 24, length)), torch.randint(1, classes, (1, 24, gap))
        conversations = torch.cat([first, between, first], -1)
        targets = torch.full_like(conversations, -1)
        targets[..., length + gap : -1] = first[..., 1:]
        yield Batch(torch.randint(1, classes, (1, 30)), torch.tensor([30]), conversations, targets)


def _optimizers(network: Network) -> list[torch.optim.Optimizer]:
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    for name, parameter in network.named_parameters():
        (matrices if name.endswith("proj.weight") else others).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=MATRIX_RATE, weight_decay=0.01),
        torch.optim.AdamW(others, lr=RATE, betas=(0.9, 0.98), weight_decay=0.01),
    ]


def _rate(step: int) -> float:
    """Share of the full rate: up within 20 steps, down to 0 over the last 60 %."""
    total = COPIES + STEPS
    return min(1.0, (step + 1) / 20, (total - step) / (0.6 * total))


def _speak(step: int, loss: float, seconds: float) -> None:
    done = f"step {step}/{STEPS}" if step > 0 else "learning to copy"
    print(f"training the nano model: {done}, loss {loss:.3f} ({seconds:.0f} s)", file=sys.stderr, flush=True)
