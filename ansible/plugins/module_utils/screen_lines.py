"""Lines of a run for a person: words, wrapping, a phase, the cause of a failure, and the stream that they are written to."""

from __future__ import annotations

import os
import re
import shlex
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from ansible.utils.display import Display, get_text_width
from plain_text import plain

COLOUR = re.compile("(\x1b\\[[0-9;]*m)")
ERASE = "\r\x1b[K"
STATE = 8  # columns of the state in front of a phase
WORDS = {
    "en": {
        "ok": "ok",
        "changed": "changed",
        "would": "change",
        "failed": "FAILED",
        "runs": "...",
        "ignored": "goes on all the same",
        "again": "not yet; tried again up to {} times",
        "lost": "is the host up, and does this reach it: ssh {}",
        "dry": "This was a dry run: nothing was changed.",
    },
    "ko": {
        "ok": "그대로",
        "changed": "변경",
        "would": "변경됨",
        "failed": "실패",
        "runs": "...",
        "ignored": "계속 진행합니다",
        "again": "아직 아닙니다. 최대 {}번 다시 시도합니다",
        "lost": "호스트가 켜져 있고 다음 명령으로 접속되는지 확인하십시오: ssh {}",
        "dry": "모의 실행이므로 아무것도 바꾸지 않았습니다.",
    },
}


def word(name: str) -> str:
    """Return a word in the language of the operator's locale; bin/demo, which must set another, keeps it in CHECKS_LOCALE."""
    locales = (os.environ.get(each) for each in ("CHECKS_LOCALE", "LC_ALL", "LC_MESSAGES", "LANG"))
    korean = re.match(r"ko([_.@]|$)", next(filter(None, locales), ""))
    return WORDS["ko" if korean else "en"][name]


class _Wide(str):
    """Text that is as long as it is wide: textwrap asks for nothing else."""

    def __len__(self) -> int:
        return get_text_width(str(self))


class _Wrapper(textwrap.TextWrapper):
    def _split(self, text: str) -> list[str]:
        return [_Wide(chunk) for chunk in super()._split(text)]


def fill(text: str, indent: int, width: int) -> str:
    """Return the lines of a text, each wrapped and behind ``indent`` blanks and its own; a path or a command is never cut."""
    lines = []
    for line in text.splitlines():
        blanks = " " * (indent + len(line) - len(line.lstrip()))
        wrapper = _Wrapper(
            width,
            initial_indent=blanks,
            subsequent_indent=blanks,
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines += wrapper.wrap(line.strip()) or [""]
    return "\n".join(lines)


def tell(
    words: str, task_vars: Mapping[str, Any] | None, *, whole: bool = True, colour: str | None = None
) -> None:
    """Print, from an action, what happens on its host: below the name of the phase, and cut to one line unless ``whole``."""
    display = Display()
    several = task_vars is not None and len(task_vars["ansible_play_hosts_all"]) > 1
    text = f"{task_vars['inventory_hostname']}: {plain(words)}" if task_vars and several else plain(words)
    if not whole:
        while get_text_width(text) > display.columns - STATE - 1:
            text = text[:-2] + "…"
    display.display(fill(text, STATE + 1, display.columns), color=colour)


def duration(seconds: float) -> str:
    """Return how long something took, as a person says it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:2} s" if minutes else f"{rest} s"


def phase_line(state: str, name: str, seconds: float, width: int) -> str:
    """Return the line of a phase: what became of it, what it was, and how long it took, at the right."""
    head, took = f"{state}{' ' * (STATE - get_text_width(state))} {name}", duration(seconds)
    return f"{head}{' ' * max(2, width - get_text_width(head) - len(took))}{took}"


def cause(result: Mapping[str, Any]) -> str:
    """Return why a task or an item of its loop failed, from the result: of a command what it said."""
    if "censored" in result:
        return plain(result["censored"])
    told = plain(result.get("msg") or "").strip()
    parts = [told] if told else []
    if "assertion" in result and told == "Assertion failed":
        parts.append(plain(result["assertion"]))
    if not told or "non-zero return code" in told[:60]:  # the command module says no more
        said = [plain(result.get(name) or "").strip() for name in ("stderr", "stdout", "module_stderr")]
        command = result.get("cmd") or ""
        said.insert(0, plain(command if isinstance(command, str) else shlex.join(map(str, command))))
        parts += [each for each in said if each]
    return "\n".join(parts)


def clean(diff: Any) -> Any:
    """Return what a module says that it changes, as text that commands no terminal."""
    if isinstance(diff, str):
        return plain(diff)
    if isinstance(diff, Mapping):
        return {plain(key): clean(value) for key, value in diff.items()}
    return [clean(each) for each in diff] if isinstance(diff, list | tuple) else diff


class Stream:
    """A standard stream through which no character commands the terminal but colours; ``before`` is called in front of each text."""

    def __init__(self, stream: TextIO, before: Callable[[], None]) -> None:
        """Write to ``stream``."""
        self.stream, self.before = stream, before

    def __getattr__(self, name: str) -> Any:
        """Be the stream in everything else."""
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write a text."""
        self.before()
        parts = COLOUR.split(text)
        return self.stream.write("".join(part if COLOUR.match(part) else plain(part) for part in parts))
