"""Trains the network on freshly written conversations."""

import itertools
import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import yaml

from conversations import Writer
from harmony import ENCODING, encode, render_messages, render_setting
from model import Batch
from network import Network
from start import lay_out
from recipe import PHRASES, POLICIES
from shape import SHAPE

SEED = 20
STEPS = 400
SETTINGS = 4
EXCHANGES = {1: 8, 2: 4, 3: 3, 4: 2}  # exchanges in a conversation: conversations to a setting
LAY = True
COPY = 90
MUON=0
MUONADJ=0
RATE = 4e-3


Rendered = tuple[list[int], list[tuple[list[int], list[int]]]]


def write(steps: int) -> list[list[Rendered]]:
    """For every step: some settings, each with its conversations as tokens and targets."""
    phrases = yaml.safe_load(PHRASES.read_text(encoding="utf-8"))
    phrases["salad"] = sorted({word for entry in phrases["tools"].values() for t in entry["tool"] for word in t.split()})
    writer = Writer(phrases, json.loads(POLICIES.read_text(encoding="utf-8")), SEED)
    written = []
    for step in range(steps):
        exchanges = 1 + step % len(EXCHANGES)
        settings = []
        for _ in range(SETTINGS):
            setting = writer.setting()
            names = [tool.name for tool in setting.tools]
            conversations = [writer.conversation(names, exchanges) for _ in range(EXCHANGES[exchanges])]
            settings.append((render_setting(setting), [render_messages(messages) for messages in conversations]))
        written.append(settings)
    return written


def vocabulary(written: list[list[Rendered]]) -> list[int]:
    """Token ids with a class of their own: all that occur, but for those of the junk words; class 0 is none of them."""
    seen = {token for step in written for prefix, talks in step for token in prefix}
    seen |= {token for step in written for prefix, talks in step for tokens, _ in talks for token in tokens}
    numbers = {encode(str(number))[0] for number in range(1000)}
    junk = {token for word in yaml.safe_load(PHRASES.read_text(encoding="utf-8"))["junk"] for token in encode(f"{word} {word}")}
    return sorted((seen | numbers) - (junk - set(encode(" "))))


def batches(written: list[list[Rendered]], ids: list[int]) -> Iterator[Batch]:
    """The steps as tensors of classes."""
    classes = torch.zeros(SHAPE.vocabulary + 1, dtype=torch.long)
    classes[torch.tensor(ids)] = torch.arange(1, len(ids) + 1)
    classes[-1] = -1  # so that target -1 stays -1

    def stack(rows: Iterable[list[int]], empty: int) -> torch.Tensor:
        tensors = [torch.tensor(row) for row in rows]
        return classes[torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=empty)]

    for step in written:
        talks = [talk for _, talks in step for talk in talks]
        shape = (len(step), len(talks) // len(step), -1)
        yield Batch(
            settings=stack((prefix for prefix, _ in step), ids[0]),
            lengths=torch.tensor([len(prefix) for prefix, _ in step]),
            conversations=stack((tokens for tokens, _ in talks), ids[0]).view(shape),
            targets=stack((targets for _, targets in talks), -1).view(shape),
        )


def copies(steps: int, classes: int) -> Iterator[Batch]:
    """Random tokens that come twice: whoever completes the second time has learnt to copy."""
    for _ in range(steps):
        length, gap = int(torch.randint(8, 24, ())), int(torch.randint(0, 24, ()))
        first, between = torch.randint(1, classes, (1, 24, length)), torch.randint(1, classes, (1, 24, gap))
        conversations = torch.cat([first, between, first], -1)
        targets = torch.full_like(conversations, -1)
        targets[..., length + gap : -1] = first[..., 1:]
        yield Batch(torch.randint(1, classes, (1, 30)), torch.tensor([30]), conversations, targets)


def train(steps: int = STEPS) -> tuple[Network, list[int], float]:
    """Trains the network.

    Returns:
        the network, the token ids of its classes 1, 2, ... and the mean loss of the last 20 steps.
    """
    begun = spoken = time.monotonic()
    torch.manual_seed(SEED)
    written = write(steps)
    ids = vocabulary(written)
    network = Network(SHAPE, len(ids) + 1)
    if LAY: lay_out(network)
    if MUON:
        mats=[p for l in network.layers for nme,p in l.named_parameters() if p.ndim==2 and 'proj.weight' in nme]
        s_=set(map(id,mats)); rest=[p for p in network.parameters() if id(p) not in s_]
        opts=[torch.optim.Muon(mats,lr=MUON,weight_decay=0.01,adjust_lr_fn="match_rms_adamw" if MUONADJ else None), torch.optim.AdamW(rest,lr=RATE,betas=(0.9,0.98),weight_decay=0.01)]
    else: opts=[torch.optim.AdamW(network.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)]
    f=lambda i: min(1,(i+1)/20)*min(1.0,(steps+COPY-i)/(steps*0.6))
    scheds=[torch.optim.lr_scheduler.LambdaLR(o,f) for o in opts]
    losses: list[float] = []
    for step, batch in enumerate(itertools.chain(copies(COPY, len(ids)+1), batches(written, ids)), start=1-COPY):
        loss = network.loss(batch)
        network.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for o in opts: o.step()
        for o in scheds: o.step()
        losses = [*losses[-19:], loss.item()]
        if time.monotonic() - spoken > 2 or step == steps:
            spoken = time.monotonic()
            mean = sum(losses) / len(losses)
            print(f"training the nano model: step {step}/{steps}, loss {mean:.3f} ({spoken - begun:.0f} s)", file=sys.stderr)
    return network, ids, sum(losses) / len(losses)
