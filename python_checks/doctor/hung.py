"""What was kept of the last hang of a service, as a finding. Nothing is asked here."""

from python_checks.core.finding import Finding
from python_checks.core.result import State
from python_checks.core.say import joined, say
from python_checks.core.words import ago
from python_checks.incident import stands
from python_checks.incident.kept import Incident

MOST = 4  # sentences: engine, what it waits for, server; a host with eight workers has ten


def judge(name: str, incident: Incident, now: float) -> Finding:
    """Tell where the processes stood, and where the rest is."""
    sentences = stands.explain(incident.standings)
    told = sentences[:MOST] + (
        [say("{number} more in stacks.txt", number=len(sentences) - MOST)] if len(sentences) > MOST else []
    )
    return Finding(
        State.WARNING,
        say("{name} gave no answer {when}, and was to be restarted", name=name, when=ago(incident.time, now)),
        joined("; ", [*told, *_requests(incident)]) or say("no stack could be read"),
        say("kept before the restart in {path}", path=incident.path),
        say("read its stacks.txt, native.txt, log.txt, gpu.txt and kernel.txt; none of them holds a prompt"),
    )


def _requests(incident: Incident) -> list[str]:
    given = incident.requests
    found: list[str] = []
    if "running" in given:
        found.append(say("open requests: {running} running, {waiting} waiting", **given))
    if given.get("ids"):
        found.append(say("ids: {ids}", ids=joined(", ", map(str, given["ids"][:MOST]))))
    elif given.get("running"):
        found.append(say("their ids are logged only with --enable-log-requests"))
    return found
