"""What systemd and supervisord say of a service that ended or never began, explained by the tables of known_managers.toml."""

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from python_checks.core.result import shorten
from python_checks.core.say import Said, joined, msg, say
from python_checks.log import exits, known
from python_checks.service import remedies
from python_checks.service.facts import Service

TABLES = Path(__file__).with_name("known_managers.toml")
OWN = msg("exit code {code} is systemd's own ({name}): {what}")
OTHER = {
    "name": "systemd.exec(5)",
    "cause": msg("it could not set up what the unit asks for"),
    "remedy": msg("read what it says: {HISTORY}"),
}
UNUSABLE = ("bad-setting", "error")  # systemd's words for a unit that it cannot load
MASKED = say("it is masked (systemctl mask): nothing can start it")
BAD_UNIT = msg("systemd cannot use its unit: {told}")
VERIFY = msg("see systemd-analyze verify {NAME}.service; deploy again: ansible-playbook deploy.yml")
GONE = msg("its environment is gone or was not finished; deploy again: ansible-playbook deploy.yml")
UNIT_ROOT = "/run/systemd/unit-root"  # where systemd builds a unit's view of the file system
ITS_PATH = msg("PATH (systemctl cat {NAME})")
SILENT = msg("the log does not say why; the manager: {told}")
NOTHING = say("neither its log nor its manager says why")
_SUPERVISED = re.compile(
    r"spawnerr: |can't find command|not executable|no permission to run|couldn't (?:setuid|chdir|exec)|making dispatchers"
)
_STATUS = re.compile(r"status=(\d+)/|exit(?:ed with)? (?:code|status):? (\d+)")
_NAMED = re.compile(r"(?<![\w.])(/[^\s:'\",;]+)['\"]?(?:: |,|$| is | because)")
_KILLED = re.compile(r"OOM killer|systemd-oomd killed")
# What a manager says at every end; it names no reason.
_ALWAYS = re.compile(
    r"Start request repeated too quickly|Failed with result '|^Failed to start |Scheduled restart job"
    r"|Consumed .* CPU|^(?:Starting|Started|Stopped|Stopping|Reloading|Triggering OnFailure) |: Deactivated"
    r"|process exited, code=exited, status=\d|this is not safe!|gave up: |entered (?:FATAL|RUNNING) state|^(?:exited|spawned|stopped): "
)


@dataclass(frozen=True)
class Explained:
    """A cause and its remedy, both empty where the manager's words explain nothing."""

    cause: str = ""
    remedy: str = ""


@cache
def tables() -> dict[str, Any]:
    """Read the file."""
    return tomllib.loads(TABLES.read_text(encoding="utf-8"))


def never_ran(service: Service) -> bool:
    """Tell whether its last try ended before its program ran: then its log is another try's."""
    own = service.words in UNUSABLE or _own_code(service)
    return bool(own) or any(map(_SUPERVISED.search, _words(service)))


def explain(service: Service, program: str = "") -> Explained:
    """Explain the end of a service from its manager's words alone.

    Args:
        service: As its manager knows it.
        program: What is wrong with the file of its command, empty when nothing is.
    """
    said = reasons(_words(service))
    code, result = _own_code(service), _result(service)
    supervised = next((line for line in said if _SUPERVISED.search(line)), "")
    if service.words in UNUSABLE:
        told = "; ".join(said[-3:]) or service.words
        return Explained(shorten(say(BAD_UNIT, told=told), 400), _filled(VERIFY, service, said))
    if code:
        row = tables()["codes"].get(str(code), OTHER)
        cause, remedy = say(OWN, code=code, name=row["name"], what=say(row["cause"])), row["remedy"]
    elif supervised:
        rows = (
            row["remedy"] for row in tables()["supervisor"] if re.search("|".join(row["seen"]), supervised)
        )
        return Explained(
            shorten(supervised, 300), _filled(next(rows, GONE), service, said, "".join(service.command[:1]))
        )
    elif program:
        return Explained(program, say(GONE))
    elif result:
        row = tables()["results"][result]
        cause, remedy = say(row["cause"]), row["remedy"] or known.tables().signals[exits.NAMES["KILL"]]
    else:
        advice = known.weak(service.ended) or (remedies.found("\n".join(said)) if said else "")
        told = "; ".join(said or service.told)
        return Explained(say(SILENT, told=told) if told else NOTHING, advice)
    told = say("; the manager: {said}", said="; ".join(said)) if said else ""
    otherwise = {203: "".join(service.command[:1]), 209: service.log, 222: service.log}.get(code, "")
    return Explained(shorten(joined("", (cause, told)), 400), _filled(remedy, service, said, otherwise))


def reasons(told: Iterable[str]) -> list[str]:
    """Return the lines of a manager that name a reason, each once."""
    lines = (line.replace(UNIT_ROOT, "") for line in dict.fromkeys(told))
    return [line for line in lines if line.strip() and not _ALWAYS.search(line)]


def _words(service: Service) -> list[str]:
    """Return all that the manager says: its lines, and what stands behind its own word for the state."""
    return [*service.told, service.detail, *([service.words] if _SUPERVISED.search(service.words) else [])]


def _own_code(service: Service) -> int:
    """Return the exit code where it is one of systemd itself: of the last try, be it of the program or of a command before it."""
    found = [
        int(code or other) for line in (service.ended, *service.told) for code, other in _STATUS.findall(line)
    ]
    return found[-1] if found and 200 <= found[-1] <= 245 else 0


def _result(service: Service) -> str:
    """Return Result= of the unit, as far as it explains anything."""
    lines = (service.ended, *service.told)
    if any(map(_KILLED.search, lines)):
        return "oom-kill"
    names = "|".join(tables()["results"])
    found = (re.search(rf"(?:^|[ ,'(])({names})(?:$|[ ,').])", line) for line in lines)
    return next((each[1] for each in found if each), "")


def _filled(remedy: str, service: Service, said: Sequence[str], otherwise: str = "") -> Said:
    """Fill in what the manager's lines name: the first path that is not the program which was to be run, else `otherwise`."""
    lines = (line for line in said if "spawning" not in line)
    named = next((found[1] for line in lines if (found := _NAMED.search(line))), otherwise)
    path = named or say(ITS_PATH, NAME=service.name)
    return say(remedy, PATH=path, HISTORY=service.history, NAME=service.name)
