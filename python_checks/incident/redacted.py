"""The end of vLLM's log without the words of its users, and the ids of requests that it names.

Prompts are there only with --enable-log-requests.
"""

import re
from collections.abc import Iterable, Sequence

from python_checks.core.hidden import without
from python_checks.log.lines import clean, entry

GONE = "[redacted]"
# vLLM's own lines about one request (entrypoints/serve/utils/request_logger.py, v1/engine/async_llm.py): no more than its id is kept.
REQUEST = re.compile(
    r"((?:(?:Received|Added) request|Generated response) [^\s:]+"
    r"|Request \S+ (?:aborted|failed|details|JSON body)(?: \([\w ]+\))?)(.*)"
)
BEGUN = re.compile(r"(?:Received|Added) request ([^\s:]+?)[:.]?(?:\s|$)")
ENDED = re.compile(
    r"(?:Generated response (\S+?)(?: \(streaming complete\))?: |Request (\S+) (?:aborted|failed))"
)
# The names under which a request or an answer holds a user's words, where a value follows.
SPEAKS = re.compile(
    r"""(?ix) (?<![\w.]) (["']?) (?: prompt\w* | messages? | content | inputs?(?:_\w+)? | (?:\w+_)?token_ids | outputs?(?:_\w+)? | texts?
    | documents? | (?:json\ )?body | arguments | delta | reasoning\w* | tools?
    | suffix | query | instructions | raw\w* ) \1 \s*[:=]\s* (?=\S)"""
)


def lines(given: Iterable[str]) -> list[str]:
    """Return lines of a log without what may be a user's words: a line is cut there, and what goes on with such a line is left out."""
    kept: list[str] = []
    cut: tuple[str, str, str] | None = None  # who wrote the line that was cut, where and when
    for line in map(clean, given):
        part = entry(line)
        mark = (part.process, part.place, part.stamp)
        if cut and (mark == cut or not (part.level or part.process)):
            continue
        shown = _cut(line, part.body)
        cut = None if shown == line else mark
        kept.append(without(shown))
    return kept


def open_requests(given: Sequence[str]) -> list[str]:
    """Return the ids of requests that a log says began, and does not say ended; none where it says neither."""
    found: dict[str, None] = {}
    for line in given:
        if begun := BEGUN.search(line):
            found[begun[1]] = None
        elif ended := ENDED.search(line):
            found.pop(ended[1] or ended[2], None)
    return list(found)


def _cut(line: str, body: str) -> str:
    """Return a line as far as it holds no user's words; `body`: it without what a logger puts in front."""
    start = line.rfind(body) if body else len(line)
    if request := REQUEST.match(body):
        return f"{line[:start]}{request[1]} {GONE}" if request[2].strip(" .") else line
    spoken = SPEAKS.search(body)
    return line[: start + spoken.end()] + GONE if spoken else line
