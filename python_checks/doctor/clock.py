"""Whether the clock of this host is right, as far as the host itself can tell: timedatectl(1), and the hardware clock."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from python_checks.core import command
from python_checks.core.finding import Finding
from python_checks.core.result import State
from python_checks.core.words import span

TIMEOUT = 5.0  # seconds for timedatectl
PROGRAM = ("timedatectl", "show", "--property=NTP", "--property=NTPSynchronized", "--property=LocalRTC")
HARDWARE = Path("/sys/class/rtc/rtc0/since_epoch")
CONTAINER = Path("/run/systemd/container")  # there the clock is its host's
FAR = 60.0  # seconds
SYMPTOM = "the clock of this host is not synchronised: times in logs, certificates, and the date that the model is told may be wrong"


@dataclass(frozen=True)
class Clock:
    """`synchronised`: by a time service; `served`: one is switched on; `off`: seconds between system and hardware clock.

    None is not known.
    """

    synchronised: bool | None = None
    served: bool | None = None
    off: float | None = None


def read() -> Clock:
    """Ask timedatectl; where it says nothing, nothing is known."""
    try:
        done = None if CONTAINER.exists() else command.run(PROGRAM, TIMEOUT)
    except OSError:
        return Clock()
    told = dict(line.partition("=")[::2] for line in done.text.splitlines()) if done else {}
    off = None
    if told.get("LocalRTC") == "no":  # else it runs in a time zone
        try:
            off = abs(time.time() - float(HARDWARE.read_text()))
        except (OSError, ValueError):
            off = None
    return Clock(_yes(told.get("NTPSynchronized")), _yes(told.get("NTP")), off)


def judge(clock: Clock) -> Iterator[Finding]:
    """Warn of a clock that nobody sets."""
    if clock.synchronised is False:
        far = clock.off is not None and clock.off > FAR
        evidence = (
            f"the hardware clock is {span(clock.off or 0.0)} away from it"
            if far
            else "timedatectl: NTPSynchronized=no"
        )
        cause = "its time service reaches no server" if clock.served else "no time service is switched on"
        remedy = "sudo timedatectl set-ntp true, or chrony with a server of your network"
        yield Finding(State.WARNING, SYMPTOM, evidence, cause, remedy)


def _yes(word: str | None) -> bool | None:
    return {"yes": True, "no": False}.get(word or "")
