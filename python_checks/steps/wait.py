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
from python_checks.host import ports, processes
from python_checks.log import phases
from python_checks.service.start import PAUSE, Watch

NEEDS: tuple[str, ...] = ("requests",)

REQUEST = 10.0  # seconds for one look at the health path
TOKENS = 16  # of that chat
WARM_UP = 120.0  # seconds for the first chat; on a CPU it compiles for 16 s


class First(NamedTuple):
    """The request that ends a start: its name and words for it, where it goes, what it says, and what is wrong with a reply."""

    name: str
    words: str
    path: str
    body: Callable[[str], dict[str, Any]]
    judge: Callable[[Reply], list[Fault]]


def chat_body(model: str) -> dict[str, Any]:
    """Return a chat of one word."""
    message = {"role": "user", "content": "Hello"}
    return {"model": model, "messages": [message], "temperature": 0, "max_tokens": 16}


def chat_faults(reply: Reply) -> list[Fault]:
    """Judge its answer; see `choice` for errors."""
    fault = begun(choice(reply), "healthy, but the first chat failed")
    return [fault] if fault else []


def embedding_faults(reply: Reply) -> list[Fault]:
    """Judge embeddings; see `vectors` for errors."""
    return embeddings.faults(embeddings.vectors(reply), len(embeddings.TEXTS))


FIRST_CHAT = First("chat", "a chat", PATH, chat_body, chat_faults)
FIRST_EMBEDDING = First("embedding", "an embedding", embeddings.PATH, embeddings.body, embedding_faults)


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
    phase = phases.FIRST if options.log and options.model else f"waiting for {options.path}"
    watch = Watch(options.pid, options.log, options.deadline, phase)
    try:
        words = until_ready(watch, options)
    except CheckError as error:
        notify.status(f"start failed: {error.fault.reason}")
        raise
    notify.status("ready")
    return conclude("wait", [], f"{words} after {watch.elapsed:.0f} s", {"elapsed": round(watch.elapsed, 1)})


def until_ready(watch: Watch, options: argparse.Namespace) -> str:
    """Wait and return what was seen.

    Raises:
        CheckError: it does not get ready.
    """
    until_healthy(watch, options.url, options.path)
    refuse_stranger(options.url, options.pid)
    if not options.model:
        return f"{options.path} says 200"
    first = FIRST_EMBEDDING if options.embedding else FIRST_CHAT
    warm_up(watch, options.url, options.model, first)
    return f"{options.path} says 200, {options.model} answered {first.words}"


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
            watch.answer = f"{path} says {reply.status}: {refusal(reply)}"
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
        words = f"healthy, but the first {first.name} failed: {error.fault.reason}" + (
            f"; log: {why.words}" if why.words else ""
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
        who = shorten(", ".join(map(processes.describe, held.pids)), 200)
        raise CheckError(Fault(f"another server answers at {url}: {who}", "stop it, or change the port"))
