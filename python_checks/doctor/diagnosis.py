"""From signs to findings: symptom, evidence, cause, remedy. Nothing is asked here."""

from collections.abc import Iterator

from python_checks.core.finding import Finding
from python_checks.core.result import Result, State, shorten
from python_checks.core.say import joined, say
from python_checks.doctor import firewall, hung, of_service, places, tool_flags
from python_checks.doctor.signs import Signs
from python_checks.service import planned
from python_checks.service.facts import CHAT

WATCHERS = {  # by the label of their line
    "canary": (say("the canary"), say("see what it said before: journalctl -u canary, or logs/canary.log")),
    "nightly": (say("the deep probe"), say("run it by hand: bin/checks conformance --format table")),
}
CUT_OFF = say(
    "a deploy was cut off before its probes: it was killed, its controller went off, or this host was booted"
)
OTHER_NAME = say("who asks vLLM for a name that it does not serve gets 404")


def findings(signs: Signs) -> list[Finding]:
    """Return what is wrong, services first: what else is wrong explains them."""
    tools, names = list(of_tools(signs)), list(of_name(signs))
    explained = {"tool-call"} if any(each.state is State.CRITICAL for each in tools) else set()
    return [
        *(found for name in signs.services for found in of_service.judge(name, signs)),
        *(hung.judge(name, incident, signs.now) for name, incident in signs.incidents.items()),
        *tools,
        *names,
        *firewall.judge(signs.services, signs.walls),
        *of_deploys(signs),
        *of_watch(signs),
        *of_host(signs),
        *of_checks(signs, explained, bool(names)),
    ]


def of_tools(signs: Signs) -> Iterator[Finding]:
    """Judge why tool calls do not work; what the check of them saw is the symptom."""
    for name, engine in signs.engines.items():
        if signs.services[name].kind == CHAT:
            seen = [
                each.reason
                for each in _bad(signs)
                if _kind(each) == "tool-call" and each.service in ("", name)
            ]
            symptom = say("tool-call: {seen}", seen=seen[0]) if seen else tool_flags.SYMPTOM
            if engine.command:
                yield from tool_flags.of_command(engine.command, engine.model_type, symptom)
            yield from tool_flags.of_version(engine.version, engine.model_type, engine.environment)


def of_name(signs: Signs) -> Iterator[Finding]:
    """Judge a model that is served under another name than the one that is asked for."""
    for result in _bad(signs):
        if _kind(result) == "models" and result.evidence.get("models"):
            served = ", ".join(result.evidence["models"])
            service = signs.services.get(result.service)
            evidence = say(
                "/v1/models names {served}; vLLM's command: --served-model-name {name}",
                served=served,
                name=service.served_name if service else say("unknown"),
            )
            yield Finding(
                result.state,
                say("{check}: {reason}", check=result.check, reason=result.reason),
                evidence,
                OTHER_NAME,
                result.remedy,
            )


def of_deploys(signs: Signs) -> Iterator[Finding]:
    """Judge what a deploy left that was cut off before its end."""
    for symptom, remedy in signs.traces.loose_ends:
        yield Finding(State.WARNING, symptom, "", CUT_OFF, remedy)


def of_watch(signs: Signs) -> Iterator[Finding]:
    """Take over what the canary and the deep probe found."""
    told = [symptom for symptom, _ in signs.traces.loose_ends]
    for line in signs.watch:
        nothing_more = line.words.startswith("alive") and any(symptom in line.words for symptom in told)
        if line.state is not State.OK and not nothing_more:
            label, _, name = line.label.partition(" of ")
            who, remedy = WATCHERS[label]
            who = say("{who} of {name}", who=who, name=name) if name else who
            yield Finding(line.state, say("{who} says '{words}'", who=who, words=line.words), remedy=remedy)


def of_host(signs: Signs) -> Iterator[Finding]:
    """Judge the host: disks, directories, compiler, engines of others."""
    for disk in signs.disks:
        if disk.state is not State.OK:
            cause = say("logs, caches, environments and models of vllm-deploy, or files of others")
            remedy = say(
                "see what is large: du -xh --max-depth=2 {paths} | sort -h | tail; remove what is old",
                paths=" ".join(disk.paths),
            )
            yield Finding(disk.state, say("disk nearly full: {disk}", disk=disk), "", cause, remedy)
    yield from places.judge(signs.places)
    lacks = list(dict.fromkeys(each for engine in signs.engines.values() for each in engine.lacks))
    if lacks:
        cause = say("vLLM compiles at its first request: it turns healthy, and that request ends it")
        install = say("sudo apt-get install -y g++ python3-dev, then restart vLLM")
        yield Finding(State.CRITICAL, say("missing: {lacks}", lacks=joined(", ", lacks)), "", cause, install)
    serves = any(service.pid for service in signs.services.values() if service.engine)
    for fault in signs.strangers:  # beside a server they only take memory; a start they may keep away
        state = State.WARNING if serves else State.CRITICAL
        cause = say("left by a vLLM that was killed, or another server")
        yield Finding(state, shorten(fault.reason, 300), "", cause, shorten(fault.remedy, 300))


def of_checks(signs: Signs, explained: set[str], other_name: bool) -> Iterator[Finding]:
    """Take over what the checks found; what was not run, or follows from another finding, says nothing new."""
    alike: dict[tuple[State, str, str], list[str]] = {}
    for result in _bad(signs):
        follows = other_name and (_kind(result) == "models" or result.reason.startswith("HTTP 404"))
        if _kind(result) not in explained and not follows:
            alike.setdefault((result.state, result.reason, result.remedy), []).append(result.check)
    for (state, reason, remedy), names in alike.items():
        yield Finding(
            state, say("{names}: {reason}", names=joined(", ", names), reason=reason), remedy=remedy
        )


def well(signs: Signs) -> list[str]:
    """Return what was found in order."""
    names = [
        name
        for name in signs.services
        if signs.condition(name).state is State.OK and not signs.stuck.get(name)
    ]
    names = [_address(name, signs) for name in names]
    names += [result.check for result in signs.results if result.state is State.OK]
    names += [say("disk")] if all(disk.state is State.OK for disk in signs.disks) else []
    looked_at = [engine for name, engine in signs.engines.items() if signs.services[name].command]
    return names + ([say("compiler")] if looked_at and not any(engine.lacks for engine in looked_at) else [])


def _bad(signs: Signs) -> list[Result]:
    """Return the results of checks that ran and found something."""
    return [
        result
        for result in signs.results
        if result.state is not State.OK and not result.reason.startswith("not run")
    ]


def _kind(result: Result) -> str:
    """Return which check a result is of; its name may say of which service, too."""
    return result.check.removesuffix(f" of {result.service}")


def _address(name: str, signs: Signs) -> str:
    service = signs.services[name]
    if service.until:
        return say("{name} ({words})", name=name, words=planned.words(service.until))
    only = say(" for this host only") if firewall.is_local(service) else ""
    return say("{name} ({host}:{port}{only})", name=name, host=service.host, port=service.port, only=only)
