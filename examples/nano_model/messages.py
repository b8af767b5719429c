"""What a conversation consists of."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["user", "call", "tool", "final"]


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        tool: the function's name in a call and in its result, empty otherwise.
        example: whether the model is to learn to say it; a past call in another spelling only stands there.
    """

    role: Role
    text: str
    tool: str = ""
    example: bool = True


@dataclass(frozen=True)
class Tool:
    """One function with one string parameter, described in some wording (or none)."""

    name: str
    description: str
    parameter: str
    parameter_description: str


@dataclass(frozen=True)
class Setting:
    """What stands before the conversation: date (YYYY-MM-DD), reasoning effort, system prompt, tools."""

    date: str
    effort: str
    instructions: str
    tools: tuple[Tool, ...]
