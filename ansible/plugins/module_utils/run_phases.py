"""Phases and failures of a run, and where a task stands in it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible.playbook.block import Block
from ansible.playbook.handler import Handler
from ansible.playbook.task_include import TaskInclude


@dataclass
class Failure:
    """A task that failed on hosts, for the same reason."""

    phase: str
    task: str
    why: str
    final: bool
    hosts: list[str]


@dataclass
class Phase:
    """A phase under way, and the hosts that it concerns."""

    key: str
    name: str
    listed: bool  # although nothing changed
    started: float = field(default_factory=time.monotonic)
    seen: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    headed: bool = False  # its name stands above what was printed since
    reasons: list[Failure] = field(default_factory=list)  # those that a rescue section awaits

    @property
    def tells(self) -> bool:
        """Whether there is something to tell when it has ended."""
        return bool(self.failed or self.changed or self.headed or (self.listed and self.seen))


class Place(NamedTuple):
    """Where a task stands: its outermost include, or itself; the outermost rescue section that it is in; and what follows its failure."""

    top: Any
    back: Block | None
    awaited: bool  # by a rescue section
    handler: bool


def place(task: Any) -> Place:
    """Return where a task stands."""
    top = node = task
    back, awaited, handler = None, False, isinstance(task, Handler)
    while parent := node._parent:
        if isinstance(parent, Block) and parent.rescue:
            if any(each._uuid == node._uuid for each in parent.rescue):
                back = parent
            else:
                awaited = awaited or any(each._uuid == node._uuid for each in parent.block)
        elif isinstance(parent, TaskInclude):
            top, handler = parent, handler or isinstance(parent, Handler)
        node = parent
    return Place(top, back, awaited, handler)
