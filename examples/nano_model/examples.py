"""The training examples: conversations as tokens, and as batches of token classes."""

import itertools
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

WAYS = (("", ""), ("회사", " "), ("the", " "), ('": "', ""))  # what may stand before a topic
SETTINGS = 2  # in a step
CONVERSATIONS = {1: 12, 2: 6, 3: 4}  # exchanges in a conversation: conversations to a setting

Conversation = tuple[list[int], list[int]]  # tokens and targets
Step = list[tuple[list[int], list[Conversation]]]  # settings, each with its conversations


def phrases() -> dict[str, Any]:
    """The content of phrases.yaml."""
    content: dict[str, Any] = yaml.safe_load(PHRASES.read_text(encoding="utf-8"))
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
    """Token ids with a class of their own: all that occur, and all numbers."""
    seen = {RETURN, *numbers()}
    for step in written:
        for setting, talks in step:
            seen.update(setting, *(tokens for tokens, _ in talks))
    return sorted(seen)


def numbers() -> set[int]:
    """Tokens of the numbers up to three digits."""
    return {encode(str(number))[0] for number in range(1000)}


def kinds() -> tuple[list[set[int]], list[set[int]]]:
    """Tokens by kind (places, topics, conditions, numbers, how arguments and answers start), and by the thing that they name."""
    content, policies = phrases(), json.loads(POLICIES.read_text(encoding="utf-8"))
    places = [
        {_start("", name), _start("", korean), _start("in", f" {name}"), _start("지금", f" {korean}")}
        for name, korean in content["places"].items()
    ]
    topics = [
        {
            _start(before, f"{blank}{name}")
            for name in (policy["title"], *policy["keywords"])
            for before, blank in WAYS
        }
        for policy in policies
    ]
    conditions = [
        {_start('{"condition": "', word), _start("날씨는", f" {word}"), _start("now:", f" {word}")}
        for word in content["conditions"]
    ]
    arguments = {_start('": "', name) for name in content["places"]} | {
        _start('": "', policy["title"]) for policy in policies
    }
    answers = {_start("날씨는", f" {word}") for word in content["conditions"]}
    return [*(set().union(*each) for each in (places, topics, conditions)), numbers(), arguments, answers], [
        *places,
        *topics,
        *conditions,
    ]


def _start(before: str, text: str) -> int:
    """The first token of a text behind another one, which may have merged with it."""
    return next(
        token
        for token, other in itertools.zip_longest(encode(before + text), encode(before))
        if token != other
    )


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
