"""Take a server out of the gateway's rotation, or back: requests wait meanwhile. A file keeps it for a gateway that reloads."""

import time
from contextlib import suppress
from pathlib import Path

from python_checks.core import whole_file
from python_checks.core.locked import locked
from python_checks.core.result import CheckError, Fault
from python_checks.core.say import Said, say
from python_checks.gateway import admin

SERVER = "main"  # of each service, as templates/gateway names it
EMPTY = "1\n"  # the version of the format
BACKEND, HEALTH, ADMIN = 1, 5, 6  # fields of `show servers state`: its health, and what was ordered for it
HEALTHY, NOTHING = "2", "0"
SEEN, PAUSE = 5.0, 0.1  # seconds until a health check has seen that it is back, and between two looks
ON_THE_WAY = 0.5  # seconds for a request that was handed over in the moment of the drain
LOCKED = 60.0  # seconds for a reload, which takes half a minute at most, or for another service


def leave(socket: Path, file: Path, service: str) -> Said:
    """Have requests for a service wait, and return what was done; nothing without a gateway.

    Raises:
        CheckError, OSError: the gateway does not do it, or the file cannot be written.
    """
    # A process that a reload is starting has read the file, and the one before it no longer counts.
    with locked(file, LOCKED):
        if not _told(socket, service, "drain"):
            return _alone()
        whole_file.write(file, kept(admin.ask(socket, "show servers state")))
    time.sleep(ON_THE_WAY)
    return say("new requests for {service} wait at the gateway", service=service)


def enter(socket: Path, file: Path, service: str) -> Said:
    """Have requests for a service go on to it, and return what was done.

    Raises:
        CheckError, OSError: as `leave`.
    """
    _seen(socket, service)
    with locked(file, LOCKED):
        state = ""
        with suppress(FileNotFoundError, ConnectionRefusedError):
            state = admin.ask(socket, "show servers state")
        # Also without a gateway, for one that starts later.
        whole_file.write(file, kept(state, service))
        told = _told(socket, service, "ready")
    return say("the gateway lets requests go on to {service}", service=service) if told else _alone()


def _alone() -> Said:
    return say("no gateway runs here")


def _seen(socket: Path, service: str) -> None:
    """Wait until the gateway sees that a service is back: a reload in between would end the look-out of what waits for it."""
    end = time.monotonic() + SEEN
    with suppress(FileNotFoundError, ConnectionRefusedError):
        while down(admin.ask(socket, "show servers state"), service) and time.monotonic() < end:
            time.sleep(PAUSE)


def down(state: str, service: str) -> bool:
    """Tell whether an answer to `show servers state` says that a service does not answer."""
    lines = [line.split() for line in state.splitlines() if not line.startswith("#")]
    return any(
        words[BACKEND] == service and words[HEALTH] != HEALTHY for words in lines if len(words) > ADMIN
    )


def _told(socket: Path, service: str, state: str) -> bool:
    try:
        answer = admin.ask(socket, f"set server {service}/{SERVER} state {state}")
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    if answer.startswith("No such"):  # a gateway that is not for this service
        return False
    if answer:
        reason = say(
            "the gateway does not set {service} to {state}: {answer}",
            service=service,
            state=state,
            answer=answer,
        )
        command = f"echo 'set server {service}/{SERVER} state {state}' | socat - {socket}"
        raise CheckError(Fault(reason, say("by hand: {command}", command=command)))
    return True


def kept(state: str, but: str = "") -> str:
    """Return what a reload must know of an answer to `show servers state`: the servers that an operator, or a step, took out, `but` one."""
    lines = [
        line
        for line in state.splitlines()[1:]
        if line.startswith("#")
        or (line.split()[ADMIN : ADMIN + 1] not in ([], [NOTHING]) and line.split()[BACKEND] != but)
    ]
    return EMPTY + "".join(f"{line}\n" for line in lines)
