"""Why a vLLM ended, by its log: the first thing of one end that went wrong and is no echo of another one."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from python_checks.core.result import one_line, shorten
from python_checks.log import exits, known
from python_checks.log.events import Event, Reader
from python_checks.log.forms import COMPILE, CRASH, DEVICE, DIED, EXCEPTION, NCCL, PLAIN, SEVERAL
from python_checks.log.lines import clean, entries

LENGTH = 300  # characters of a cause that are shown
TEXT = 6000  # and that a remedy is looked for in
LOADING = ("create_weights", "load_weights", "load_model", "process_weights_after_loading")
# The guard's verdict opens a start: what stands before it is another run's.
GUARD = re.compile(r"^guard (?P<state>OK|WARNING|CRITICAL|UNKNOWN): ")
SERVER = re.compile(r"\(APIServer pid=(\d+)\)")
_OWN = re.compile(r"^[a-z-]+ (?:OK|WARNING|CRITICAL|UNKNOWN): |^remedy: ")  # other lines of our checks
# Says only that something else ended.
_HEADING = re.compile(
    r"[Ss]ee (?:root cause|stack trace)|EngineDeadError|Executor failed|failed to start|[Ff]atal error\.$|handler failed"
    r"|check the (?:stack trace|logs)|WorkerProc hit|EngineCore encountered|Dumping |proc(?:ess)? \S+ died unexpectedly, shutting"
)
# Said of a partner, a parent or a connection that is gone.
_ECHO = re.compile(
    r"[Cc]ancell?ed|closed by (?:remote )?peer|reset by peer|[Bb]roken pipe|BrokenPipeError|EOFError|ConnectionResetError"
    r"|ConnectionAbortedError|remote process exit|ncclRemoteError|communicator was aborted|remote error|KeyboardInterrupt|SystemExit"
    r"|failed to recv|Connection was likely closed|driver shutting down|context is destroyed|operation failed due to a previous error"
    r"|Socket operation on non-socket|queue\.Empty|without an active exception|RPC call to \S+ timed out"
    r"|Did not receive response from front"
    r"|socket (?:thread died|is closed)|[Cc]onnection (?:was )?(?:closed|reset|lost)|server (?:has )?(?:shut ?down|gone)"
    r"|Worker failed with error|set by ProcessGroupNCCL|shutting down client|TCPStore.*(?:recv|sendBytes|wait)|exit code: -?15\)"
)
# Whose reason another program printed: by the family of that one.
_ASKS = {
    COMPILE: re.compile(
        r"CalledProcessError|[Nn]inja|C(?:pp|XX)Compile|[Cc]ompil(?:e|ation) ?[Ee]rror|InductorError|BackendCompiler|building extension"
        r"|Failed to (?:find|compile)|NoTritonConfigs|PTXASError|ptxas|nvcc|RuntimeError: Build|build failed"
    ),
    NCCL: re.compile(r"NCCL|DistBackendError|ncclInternal|Fatal Python|terminate called|Segmentation"),
    DEVICE: re.compile(
        r"infer device type|No CUDA GPUs|no CUDA-capable|Device string must|NVML|cuInit|not compiled with CUDA|driver on your system"
    ),
    CRASH: re.compile(r"Fatal Python|terminate called|Segmentation|SIG[A-Z]+|Abort|Segfault"),
}
_MAIN = re.compile(r"api_server\.py|/bin/(?:vllm|uvicorn|gunicorn)\b|vllm/entrypoints/")


@dataclass(frozen=True)
class Cause:
    """Why a process ended.

    Attributes:
        words: In one line, for a person.
        text: All that belongs to it, its lines in the order of their weight; a remedy is looked for in it.
        followed: What came of it, in the log's words.
    """

    words: str = ""
    text: str = ""
    followed: str = ""


def cause(lines: Iterable[str]) -> str:
    """Return the line that says why; an empty string when no line says anything."""
    return find(lines).words


def find(lines: Iterable[str]) -> Cause:
    """Return why the last start among the lines ended; what the guard refused has that as its cause."""
    begun = starts(map(clean, lines))[-1:]
    start = begun[0] if begun else []
    guard = GUARD.match(start[0]) if start else None
    events = Reader().read(entries(line for line in start if not _OWN.match(line)))
    events = _last_end([event for event in events if event.text])
    if found := _chosen(events):
        return _told(found, events)
    refused = guard is not None and guard["state"] in ("CRITICAL", "UNKNOWN")
    words = shorten(start[0].partition(" | ")[0], LENGTH) if refused else ""
    return Cause(words, words)


def starts(lines: Iterable[str]) -> list[list[str]]:
    """Cut lines where another start begins: at the guard's verdict, or where a server has another id."""
    found: list[list[str]] = [[]]
    pid = ""
    for line in lines:
        server = SERVER.search(line)
        if GUARD.match(line) or (server and pid and server[1] != pid):
            found.append([])
            pid = ""
        pid = server[1] if server else pid
        found[-1].append(line)
    return found if found[0] or len(found) == 1 else found[1:]


def _last_end(events: list[Event]) -> list[Event]:
    """Leave out what ended before: with its exception in the main program each process is over."""
    begin, closed = 0, -1
    for place, event in enumerate(events):
        main = event.raised and not event.noise and any(map(_MAIN.search, event.frames[:6]))
        if main and closed >= 0 and event.chain != events[closed].chain:
            begin = closed + 1
        closed = place if main else closed
    return events[begin:]


def _weight(event: Event) -> float:
    """Return how likely an event is the cause, and not what came of it."""
    if event.noise:
        return 0
    if event.reason == DIED:
        code = exits.code(event.text)
        return 1 if code in exits.ASKED else 6 if exits.of_signal(code) else 3 if code else 1
    if event.reason:
        return 4 if event.reason in (COMPILE, DEVICE) else 3.5 if event.reason == NCCL else 0
    if _HEADING.search(event.text):
        code = exits.code(event.text)
        return 5.5 if exits.of_signal(code) and code not in exits.ASKED else 0.5
    if _ECHO.search(event.text):
        return 1
    if event.survived:
        return 1.5
    if event.raised:
        return 5 if PLAIN.match(event.text) and not EXCEPTION.match(event.text) else 6
    return 4.5


def _chosen(events: Sequence[Event]) -> Event | None:
    """Return the first in time of the most likely events; of a chain of exceptions the one for which there is a remedy."""
    weights = {id(event): _weight(event) for event in events}
    most = max(weights.values(), default=0)
    if not most:
        return None
    first = min((event for event in events if weights[id(event)] == most), key=_time(events))
    links = [each for each in events if each.chain == first.chain and weights[id(each)] == most]
    return next((each for each in links if known.is_known(_text(each, _reason(each, events)))), first)


def _time(events: Sequence[Event]) -> Callable[[Event], tuple[bool, str, int]]:
    """Return the order of events: by their time, then by their line; January comes after December."""
    december = any(event.stamp.startswith("12-") for event in events)
    return lambda event: (december and event.stamp.startswith("01-"), event.stamp, event.index)


def _reason(event: Event, events: Sequence[Event]) -> Event | None:
    """Return what another program printed over this event: within its message, before it, or else behind it."""
    if event.reason and event.reason != DIED:
        return None
    said = [each for each in events if each.reason and each.reason != DIED and not _ECHO.search(each.text)]
    within = [each for each in said if each.text in event.details and each.reason != CRASH]
    families = (
        [NCCL, CRASH]
        if event.reason
        else [family for family, asks in _ASKS.items() if asks.search(event.text)]
    )
    for family in families:
        of_kind = [each for each in said if each.reason == family]
        own = [each for each in of_kind if each.process == event.process]
        if found := next(iter([*(each for each in within if each in of_kind), *own, *of_kind]), None):
            return found
    return next(iter(within), None)


def _text(event: Event, reason: Event | None) -> str:
    """Return the lines of a cause, what another program says first; and what was done, where that tells memory from memory."""
    doing = [f"in {name}" for name in LOADING if any(frame.endswith(f"in {name}") for frame in event.frames)]
    lines = [reason.text] if reason else []
    return "\n".join([*lines, event.text, *event.details, *doing[:1]])[:TEXT]


def _told(event: Event, events: Sequence[Event]) -> Cause:
    """Put the cause in words: what another program says comes first, for that is the reason."""
    reason = _reason(event, events)
    words = event.text
    if not reason and event.details and (words.endswith(":") or SEVERAL.search(words)):
        words = f"{words} {event.details[0]}"
    if reason and one_line(reason.text) not in one_line(event.text):
        words = f"{shorten(reason.text, 220)} ({shorten(event.text, 75)})"
        if event.text.endswith(":") or reason.reason == CRASH:
            words = (
                f"{shorten(event.text.removesuffix(':'), 150)}: {reason.text.removeprefix('what():').strip()}"
            )
    order = _time(events)
    after = sorted((each for each in events if order(each) > order(event)), key=order)
    later = [each for each in after if not each.noise and each is not reason]
    told = [each for each in later if _weight(each) >= 1 and each.text != event.text]
    deaths = [each for each in told if each.reason == DIED]
    followed = next(iter(deaths or told), None)
    text = _text(event, reason)
    return Cause(shorten(words, LENGTH), text, shorten(followed.text, 150) if followed else "")
