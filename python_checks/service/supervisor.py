"""What supervisord knows of a service, in the words that systemd.py uses too; and a restart by it."""

import configparser
import itertools
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from python_checks.api import keys
from python_checks.core import command
from python_checks.core.result import CheckError, Fault, shorten
from python_checks.core.say import say
from python_checks.service.facts import Service
from python_checks.service.registry import Row
from python_checks.service.unit import Unit, call, of, puzzle

TIMEOUT = 60.0  # seconds for one answer
HOURS = 24
DOWN = say("supervisord does not run")
STATES = {
    "RUNNING": "running",
    "STARTING": "running",  # within its first 30 s; whether it answers supervisord never knows
    "STOPPING": "stopping",
    "BACKOFF": "restarting",
    "STOPPED": "stopped",
    "FATAL": "failed",
    "EXITED": "failed",
    DOWN: "down",
}
# 2026-11-24 12:00:00,123 WARN exited: vllm (terminated by SIGKILL; not expected)
EVENT = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ \w+ (exited|spawned|stopped): '?([\w-]+)'? (.*)$")
STOP = 3600.0  # seconds for a stop, at most; stopwaitsecs of its program comes first


def ask(row: Row) -> Unit:
    """Return how a service is. The exit code of supervisorctl is that of the service, so only the words count.

    Raises:
        CheckError: supervisord does not tell.
    """
    output = call([*row.control, "status", row.unit])
    found = re.match(rf"{re.escape(row.unit)} +([A-Z]+) *(?:pid (\d+))?", output.text)
    # Here a start is one: the canary waits for the first answer.
    state = {**STATES, "STARTING": "starting"}.get(found[1]) if found else None
    if not found or not state:
        raise CheckError(puzzle("supervisord", row.unit, output.text))
    return of(state, found[1], int(found[2] or 0), proven=False)


def heal(row: Row) -> None:
    """Restart it in the background, out of reach of the end of this process: half a restart is a stop."""
    null = subprocess.DEVNULL
    words = [*row.control, "restart", row.unit]
    subprocess.Popen(words, stdin=null, stdout=null, stderr=null, start_new_session=True)


def restart(row: Row, tell: Callable[[str], None]) -> bool:
    """Take a program out and put it in again, from its new configuration and whatever state it was in; tell whether it answers.

    Raises:
        CheckError: supervisord refuses it.
    """
    if call([*row.control, "status", row.unit]).code == 0:  # it runs
        tell(say("stopping: running requests get their time to end"))
    for action in ("stop", "remove"):  # it may not run, or not be there
        command.run([*row.control, action, row.unit], STOP)
    done = command.run([*row.control, "update", row.unit], TIMEOUT)
    if done.code:
        words = say("supervisord does not start {unit}: {text}", unit=row.unit, text=shorten(done.text))
        raise CheckError(Fault(words, say("see its log")))
    return _wait(row, tell, row.ready)


def follow(row: Row, tell: Callable[[str], None]) -> bool:
    """Wait for the health of a service and tell whether it has it."""
    return _wait(row, tell, ())


def outcome(row: Row) -> str:
    """Return in a word how the last start ended."""
    return ask(row).words


def _wait(row: Row, tell: Callable[[str], None], more: Sequence[str]) -> bool:
    """Run the wait command of a service, which shows the phases on standard error; tell whether it ended well."""
    pid = _pid(row, tell)
    key = {keys.VARIABLE: keys.read(Path(row.key_file))} if row.key_file else {}
    words = [*row.wait, *more, "--pid", pid, "--log", row.log]
    return subprocess.run(words, env=os.environ | key, check=False).returncode == 0


def services(rows: Sequence[Row]) -> dict[str, Service]:
    """Return name -> what is known about a service; each supervisord is asked once."""
    found = {}
    for control, own in itertools.groupby(rows, key=lambda row: tuple(row.control)):
        words, changed = _look(control)
        for row in own:
            said = DOWN if words is None else words.get(row.unit, "")
            found[row.name] = _service(row, said, f"{row.unit}: changed" in changed)
    return found


def _pid(row: Row, tell: Callable[[str], None]) -> str:
    """Return the process id of a service that was started just now."""
    for _ in range(20):
        done = command.run([*row.control, "pid", row.unit], TIMEOUT)
        if done.text.strip().isdecimal() and int(done.text) > 0:
            return done.text.strip()
        tell(say("waiting for its process"))
    words = say("{unit} has no process: {text}", unit=row.unit, text=shorten(done.text))
    raise CheckError(Fault(words, say("see {log}", log=row.log)))


def _look(control: Sequence[str]) -> tuple[dict[str, str] | None, str]:
    """Return name -> supervisord's word for its state, with the reason where it failed, and what it holds in memory against its files."""
    try:
        if not command.run([*control, "pid"], TIMEOUT).text.strip().isdecimal():
            return None, ""
        text = command.run([*control, "status"], TIMEOUT).text
        lines = (line.split(maxsplit=2) for line in text.splitlines() if line.strip())
        # What stands behind the word is a reason where it could not be started, else pid and time.
        words = {
            name: " ".join([word, *(rest if word in ("FATAL", "BACKOFF") else [])])
            for name, word, *rest in lines
        }
        return words, command.run([*control, "reread"], TIMEOUT).text  # it only reads them
    except OSError:  # not even installed
        return None, ""


def _service(row: Row, said: str, changed: bool) -> Service:
    word, _, reason = said.partition(" ") if said != DOWN else (DOWN, "", "")
    configuration = Path(row.control[-1])
    words, log = _program(configuration.parent / f"conf.d/{row.unit}.ini", row.unit)
    link = Path(row.releases, "current")
    current = os.readlink(link) if link.is_symlink() else ""
    story = _events(configuration.parent, row.unit)
    ends = [how for _, kind, how in story if kind != "spawned"]
    pids = [int(how.split()[-1]) for _, kind, how in story if kind == "spawned"]
    pid = pids[-1] if pids and word in ("RUNNING", "STARTING", "STOPPING") else 0
    begin = [*row.control, "start" if word else "update", row.unit]  # what it does not hold is read first
    if word == DOWN:
        begin = [row.control[0].replace("supervisorctl", "supervisord"), *row.control[1:]]
    return Service(
        row.name,
        row.kind,
        state=STATES.get(word, "stopped") if words else "absent",
        words=word or say("unknown to supervisord"),
        told=[*filter(None, [reason]), *(f"{kind}: {how}" for _, kind, how in story[-3:])],
        pid=pid,
        since=story[-1][0] if story else 0.0,
        restarts=_restarts(story),
        restarts_hours=HOURS,
        gave_up=word == "FATAL",
        ended=ends[-1] if ends else "",
        running=current if pid and not changed else "",
        current=current,
        stale=bool(pid and current and changed),
        command=words,
        log=log,
        boot=False,  # by supervisord, and nothing starts that with the host
        start=shlex.join(begin),
        restart=shlex.join([*row.control, "restart", row.unit]),
        history=f"tail -n 50 {configuration.parent}/supervisord.log",
        address=row.url,
        health_path=row.health_path,
    )


def _events(directory: Path, name: str) -> list[tuple[float, str, str]]:
    """Return time, kind and words of what supervisord's log tells about a service, oldest first."""
    found = []
    for path in sorted(directory.glob("supervisord.log*"), reverse=True):  # log.2, log.1, log
        for line in path.read_text(errors="replace").splitlines():
            match = EVENT.match(line)
            if match and match[3] == name:
                when = time.mktime(time.strptime(match[1], "%Y-%m-%d %H:%M:%S"))
                found.append((when, match[2], match[4].strip("()")))
    return found


def _restarts(story: list[tuple[float, str, str]]) -> int:
    """Count starts that follow an unrequested end, within the last HOURS."""
    return sum(
        (before[1], after[1]) == ("exited", "spawned") and after[0] > time.time() - HOURS * 3600
        for before, after in itertools.pairwise(story)
    )


def _program(path: Path, name: str) -> tuple[list[str], str]:
    """Return the command and the log of a service from its configuration."""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(" ;",), strict=False)
    if not parser.read(path, encoding="utf-8") or not parser.has_section(f"program:{name}"):
        return [], ""
    section = parser[f"program:{name}"]
    words = shlex.split(section.get("command", "").replace("%%", "%"))
    if words and words[0].endswith("/with-secrets"):  # it becomes the command that is behind its files
        words = words[words.index("--") + 1 :]
    return words, section.get("stdout_logfile", "").replace("%%", "%")
