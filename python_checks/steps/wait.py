"""Wait until a server is ready: its health path says 200 and, with --model, one chat or embedding has been answered."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from python_checks.api import embeddings
from python_checks.api.http import Pending, Reply, refusal
from python_checks.api.openai import PATH, begun, choice
from python_checks.core import notify
from python_checks.core import options as opt
from python_checks.core.result import CheckError, Fault, Result, conclude, shorten
from python_checks.core.say import joined, say
from python_checks.host import ports, processes
from python_checks.log import phases
from python_checks.service.start import PAUSE, Watch

NEEDS: tuple[str, ...] = ("requests",)

REQUEST = 10.0  # seconds for one look at the health path
TOKENS = 16  # of that chat
CHAT_FAILED = say("healthy, but the first chat failed")
WARM_UP = 120.0  # seconds for the first chat; on a CPU it compiles for 16 s


class First(NamedTuple):
    """The request that ends a start: words for it and for its failure, where it goes, what it says, and what is wrong with a reply."""

    words: str
    failed: str
    path: str
    body: Callable[[str], dict[str, Any]]
    judge: Callable[[Reply], list[Fault]]


def chat_body(model: str) -> dict[str, Any]:
    """Return a chat of one word."""
    message = {"role": "user", "content": "Hello"}
    return {"model": model, "messages": [message], "temperature": 0, "max_tokens": 16}


def chat_faults(reply: Reply) -> list[Fault]:
    """Judge its answer; see `choice` for errors."""
    fault = begun(choice(reply), CHAT_FAILED)
    return [fault] if fault else []


def embedding_faults(reply: Reply) -> list[Fault]:
    """Judge embeddings; see `vectors` for errors."""
    return embeddings.faults(embeddings.vectors(reply), len(embeddings.TEXTS))


FIRST_CHAT = First(say("a chat"), CHAT_FAILED, PATH, chat_body, chat_faults)
FIRST_EMBEDDING = First(
    say("an embedding"),
    say("healthy, but the first embedding failed"),
    embeddings.PATH,
    embeddings.body,
    embedding_faults,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_url(parser)
    parser.add_argument("--path", default="/health", help="path that answers 200 when ready (%(default)s)")
    opt.add_model(parser, default=None)
    parser.add_argument(
        "--embedding",
        action="store_true",
        help="the model embeds texts: an embedding takes the place of the chat",
    )
    parser.add_argument("--pid", type=opt.pid, help="main process: its end ends the waiting at once")
    parser.add_argument(
        "--log", type=Path, metavar="FILE", help="log of the server: its phase, and why it died"
    )
    opt.add_deadline(parser, 900.0, "wait")


def run(options: argparse.Namespace) -> Result:
    """Wait, with the phase, and in the end the reason of a failure, on standard error and in systemd's status."""
    phase = phases.FIRST if options.log and options.model else say("waiting for {path}", path=options.path)
    watch = Watch(options.pid, options.log, options.deadline, phase)
    try:
        words = until_ready(watch, options)
    except CheckError as error:
        notify.status(say("start failed: {reason}", reason=error.fault.reason))
        raise
    notify.status("ready")
    return conclude(
        "wait",
        [],
        say("{words} after {elapsed:.0f} s", words=words, elapsed=watch.elapsed),
        {"elapsed": round(watch.elapsed, 1)},
    )


def until_ready(watch: Watch, options: argparse.Namespace) -> str:
    """Wait and return what was seen.

    Raises:
        CheckError: it does not get ready.
    """
    until_healthy(watch, options.url, options.path)
    refuse_stranger(options.url, options.pid)
    if not options.model:
        return say("{path} says 200", path=options.path)
    first = FIRST_EMBEDDING if options.embedding else FIRST_CHAT
    warm_up(watch, options.url, options.model, first)
    return say(
        "{path} says 200, {model} answered {first}", path=options.path, model=options.model, first=first.words
    )


def until_healthy(watch: Watch, url: str, path: str) -> None:
    """Ask until the path says 200.

    Raises:
        CheckError: the process ended, or the deadline passed.
    """
    while True:
        pending = Pending("GET", url + path, None, min(REQUEST, watch.left))
        watch.during(pending)
        try:
            reply = pending.result()
        except CheckError as error:
            watch.answer = error.fault.reason
        else:
            if reply.status == 200:
                return
            watch.answer = say(
                "{path} says {status}: {refusal}", path=path, status=reply.status, refusal=refusal(reply)
            )
        watch.look()
        time.sleep(min(PAUSE, watch.left))


def warm_up(watch: Watch, url: str, model: str, first: First) -> None:
    """Send one request: the first one after a start compiles kernels, which no user should wait for.

    Raises:
        CheckError: it failed, or the process ended over it.
    """
    watch.phase, watch.warming = phases.WARM_UP, True
    pending = Pending("POST", url + first.path, first.body(model), min(WARM_UP, watch.left))
    watch.during(pending)
    try:
        faults = first.judge(pending.result())
    except CheckError as error:
        time.sleep(PAUSE)  # the server writes its log after its reply
        watch.look()
        why = watch.cause()
        words = say("{failed}: {reason}", failed=first.failed, reason=error.fault.reason) + (
            say("; log: {words}", words=why.words) if why.words else ""
        )
        raise CheckError(Fault(words, watch.remedy(why) if why.words else error.fault.remedy)) from error
    for fault in faults:
        raise CheckError(fault)


def refuse_stranger(url: str, pid: int | None) -> None:
    """Do not take another server's 200 for ours: the port must be held by the processes of `pid`.

    Raises:
        CheckError: a process that can be seen, and is not ours, listens on the port of this host.
    """
    place = urlsplit(url)
    if pid is None or place.hostname not in ("127.0.0.1", "localhost", "::1"):
        return
    number = place.port or (443 if place.scheme == "https" else 80)
    held = ports.holders("127.0.0.1" if place.hostname == "localhost" else place.hostname, number)
    if held.listens and held.pids and not any(processes.belongs(holder, pid) for holder in held.pids):
        who = shorten(joined(", ", map(processes.describe, held.pids)), 200)
        raise CheckError(
            Fault(
                say("another server answers at {url}: {who}", url=url, who=who),
                say("stop it, or change the port"),
            )
        )
