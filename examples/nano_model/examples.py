"""The training examples: conversations as tokens, and as batches of token classes."""

import json
import random
from collections.abc import Iterable, Iterator
from typing import Any

import torch
import yaml
from conversations import Writer
from harmony import RETURN, encode, render_messages, render_setting
from model import Batch
from phrasing import Phrasing
from recipe import PHRASES, POLICIES
from shape import SHAPE
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

SETTINGS = 2  # in a step
CONVERSATIONS = {1: 8, 2: 4, 3: 3, 4: 2}  # exchanges in a conversation: conversations to a setting

Conversation = tuple[list[int], list[int]]  # tokens and targets
Step = list[tuple[list[int], list[Conversation]]]  # settings, each with its conversations


def phrases() -> dict[str, Any]:
    """The content of phrases.yaml, and under `salad` known words for descriptions that make no sense."""
    content: dict[str, Any] = yaml.safe_load(PHRASES.read_text(encoding="utf-8"))
    texts = [text for tool in content["tools"].values() for text in tool["tool"]]
    content["salad"] = sorted({word for text in texts for word in text.split()})
    return content


def write(steps: int, seed: int) -> list[Step]:
    """The rendered conversations of every step."""
    phrasing = Phrasing(phrases(), random.Random(seed))
    writer = Writer(phrasing, json.loads(POLICIES.read_text(encoding="utf-8")))
    written = []
    for number in range(steps):
        exchanges = 1 + number % len(CONVERSATIONS)
        step: Step = []
        for _ in range(SETTINGS):
            setting = phrasing.setting()
            names = [tool.name for tool in setting.tools]
            talks = [writer.conversation(names, exchanges) for _ in range(CONVERSATIONS[exchanges])]
            step.append((render_setting(setting), [render_messages(messages) for messages in talks]))
        written.append(step)
    return written


def vocabulary(written: list[Step]) -> list[int]:
    """Token ids with a class of their own: all that occur but those of the junk words, and all numbers."""
    seen = {RETURN, *numbers()}
    for step in written:
        for setting, talks in step:
            seen.update(setting, *(tokens for tokens, _ in talks))
    junk = {token for word in phrases()["junk"] for token in encode(f"{word} {word}")}
    return sorted(seen - (junk - set(encode(" "))))


def numbers() -> set[int]:
    """Tokens of one to three digits: longer numbers are made of them."""
    return {encode(f"{number:0{width}d}")[0] for width in (1, 2, 3) for number in range(10**width)}


def place_starts() -> list[set[int]]:
    """For each place the first tokens of its names, as they stand in a question and in a call."""
    blank = set(encode(" "))
    return [
        {encode(f"{before}{name}")[0] for name in (place, *ways) for before in ("", " ")} - blank
        for place, ways in phrases()["places"].items()
    ]


def batches(written: list[Step], ids: list[int]) -> Iterator[Batch]:
    """The steps as tensors of classes."""
    classes = torch.zeros(SHAPE.vocabulary + 1, dtype=torch.long)
    classes[torch.tensor(ids)] = torch.arange(1, len(ids) + 1)
    classes[-1] = -1  # so that the target -1 stays -1

    def stack(rows: Iterable[list[int]], empty: int) -> Tensor:
        return classes[
            pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=empty)
        ]

    for step in written:
        talks = [talk for _, setting_talks in step for talk in setting_talks]
        shape = (len(step), len(talks) // len(step), -1)
        yield Batch(
            settings=stack((setting for setting, _ in step), ids[0]),
            lengths=torch.tensor([len(setting) for setting, _ in step]),
            conversations=stack((tokens for tokens, _ in talks), ids[0]).view(shape),
            targets=stack((targets for _, targets in talks), -1).view(shape),
        )
