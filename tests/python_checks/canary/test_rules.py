"""The canary's rules over all conditions, without a server: simulated hours, reboots, clocks that jump."""

import itertools
from dataclasses import replace

import pytest

from python_checks.api.metrics import Counters
from python_checks.canary.liveness import Chat, Facts, Look, describe
from python_checks.canary.memory import Memory
from python_checks.canary.rules import CEILING, GROWTH, RULES, SLACK, UNKNOWN, Ruling, judge, patience
from python_checks.core.result import CheckError, State
from python_checks.service.marks import Deploy, Traces
from python_checks.service.unit import Unit

START = 900.0
OLD = Unit("running", "active running", 7, 70, 5000.0, True)
YOUNG = Unit("running", "RUNNING", 7, 70, 100.0, False)  # as supervisord calls one that loads
AGED = YOUNG._replace(age=901.0)
LATE, FULL, FAILED, GONE = (Chat(kind, kind, 10.0) for kind in ("late", "full", "failed", "gone"))
ANSWERED, REFUSED = Chat("answered", "answered", 0.2), Chat("refused", "HTTP 404", 0.2)
NONSENSE = Chat("nonsense", "chat: the engine answers nonsense", 0.2)
ONE, TWO, NONE, BLIND = Look(Counters(1, 1, 1)), Look(Counters(2, 1, 1)), Look(), Look(blind="no counters")
STILL, MOVES = (ONE, ONE), (ONE, TWO)
KNOWN = Memory((7, 70), answered=True, measured=True, step=0.1)
HUNG = Facts(unit=OLD, chat=LATE, before=ONE, after=ONE)
WORDS = {"backend": "1-abc was not proven"}
DEPLOYS, GONE_RUN = Deploy("kim deploys"), Deploy("kim began it", gone=True)
LOCK, LOST, UNPROVEN = (
    {"traces": Traces(DEPLOYS)},
    {"traces": Traces(GONE_RUN)},
    {"traces": Traces(unproven=WORDS)},
)


def verdict(facts: Facts, memory: Memory = KNOWN, now: float = 1e6) -> Ruling:
    return judge(facts, memory, now, START)


@pytest.mark.parametrize(
    ("unit", "chat", "looks", "memory", "condition"),
    [
        (OLD, ANSWERED, STILL, Memory(), "alive"),
        (YOUNG, ANSWERED, STILL, Memory(), "alive"),
        (OLD, ANSWERED, (BLIND, NONE), KNOWN, "alive"),
        (OLD, REFUSED, STILL, KNOWN, "refused"),
        (YOUNG, REFUSED, STILL, Memory(), "refused"),
        (OLD, NONSENSE, STILL, KNOWN, "nonsense"),
        (YOUNG, NONSENSE, (NONE, NONE), Memory(), "nonsense"),
        (OLD, FAILED, MOVES, KNOWN, "refused"),
        (OLD, FAILED, STILL, KNOWN, "dead"),
        (OLD, FAILED, (BLIND, BLIND), KNOWN, "dead"),
        (OLD, FULL, MOVES, KNOWN, "busy"),
        (OLD, FULL, STILL, KNOWN, "dead"),
        (OLD, GONE, (ONE, NONE), KNOWN, "dead"),
        (OLD, GONE, (NONE, NONE), Memory(), "dead"),
        (OLD, LATE, MOVES, KNOWN, "busy"),
        (OLD, LATE, (ONE, Look(Counters(1, 1, 1, cache=0.1))), KNOWN, "busy"),  # a part of a long prompt
        (OLD, LATE, (NONE, ONE), KNOWN, "busy"),  # /metrics began to answer: it is not hung
        (OLD, LATE, STILL, replace(KNOWN, strikes=1, counters=TWO.counters), "busy"),
        (OLD, LATE, STILL, replace(KNOWN, strikes=1, counters=ONE.counters), "hung"),
        (
            OLD,
            LATE,
            STILL,
            replace(KNOWN, process=(7, 71), counters=TWO.counters),
            "hung",
        ),  # another's counters
        (OLD, LATE, (NONE, NONE), KNOWN, "hung"),
        (OLD, LATE, (ONE, NONE), KNOWN, "hung"),
        (
            OLD._replace(age=1.0),
            LATE,
            STILL,
            Memory(),
            "hung",
        ),  # systemd says running only of what has answered
        (YOUNG, LATE, STILL, Memory(), "loading"),
        (YOUNG, GONE, (NONE, NONE), Memory(), "loading"),
        (YOUNG, FAILED, STILL, Memory(), "loading"),
        (YOUNG, GONE, (NONE, NONE), replace(KNOWN, process=(6, 60)), "loading"),  # another one had answered
        (YOUNG, LATE, STILL, KNOWN, "hung"),
        (AGED, LATE, STILL, Memory(), "hung"),
        (AGED, GONE, (NONE, NONE), Memory(), "dead"),
        *(
            (Unit(state), Chat(), (NONE, NONE), KNOWN, state)
            for state in ("stopped", "failed", "starting", "stopping")
        ),
        (Unit("restarting"), Chat(), (NONE, NONE), KNOWN, "restarting"),
    ],
)
def test_the_condition(
    unit: Unit, chat: Chat, looks: tuple[Look, Look], memory: Memory, condition: str
) -> None:
    facts = Facts(unit=unit, chat=chat, before=looks[0], after=looks[1])
    found = verdict(facts, memory)
    assert found.condition == condition
    assert found.memory.strikes == (memory.strikes + 1 if condition in ("hung", "dead") else 0)
    assert not found.heal
    # Two things go before all else.
    assert verdict(facts._replace(maintenance="in maintenance", **LOCK), memory).condition == "maintenance"
    deploying = verdict(facts._replace(traces=Traces(DEPLOYS, WORDS)), memory)
    assert (deploying.condition, deploying.state) == ("deploying", State.OK)
    for left, words in (
        (LOST, "left over from a deploy: kim began it"),
        (UNPROVEN, "release of backend 1-abc was not proven"),
    ):
        loose = verdict(facts._replace(**left), memory)
        assert loose.condition == condition and words in loose.reason and "deploy again" in loose.remedy
        assert loose.state == max(found.state, State.WARNING)
    both = verdict(facts._replace(traces=Traces(GONE_RUN, WORDS)), memory)
    assert "left over" in both.reason and "1-abc" in both.reason


def test_states_are_as_told() -> None:
    states = {name: state for name, (state, _) in RULES.items()}
    assert {name for name, state in states.items() if state is State.OK} == {
        "alive",
        "maintenance",
        "deploying",
        "planned",
    }
    assert {name for name, state in states.items() if state is State.CRITICAL} == {
        "refused",
        "nonsense",
        "failed",
    }
    assert all(remedy for state, remedy in RULES.values() if state is not State.OK)


@pytest.mark.parametrize("chat", [LATE, FULL])
def test_without_counters_busy_and_hung_cannot_be_told(chat: Chat) -> None:
    with pytest.raises(CheckError, match="busy or hung cannot be told: no counters") as caught:
        verdict(Facts(unit=OLD, chat=chat, before=BLIND, after=BLIND))
    assert caught.value.fault.state is State.UNKNOWN


def test_only_the_third_strike_in_a_row_heals() -> None:
    every = [
        Facts(maintenance="m", unit=Unit("")),
        HUNG._replace(**LOCK),
        Facts(unit=Unit("stopped")),
        Facts(unit=Unit("failed")),
        Facts(unit=Unit("starting")),
        Facts(unit=Unit("stopping")),
        Facts(unit=OLD, chat=ANSWERED),
        Facts(unit=OLD, chat=REFUSED),
        Facts(unit=OLD, chat=LATE, before=ONE, after=TWO),
        HUNG,
        Facts(unit=OLD, chat=GONE),
        HUNG._replace(unit=OLD._replace(pid=8)),
    ]
    struck = (HUNG, every[10])
    for facts in itertools.product(every, repeat=4):
        memory = KNOWN
        for place, fact in enumerate(facts):
            found = verdict(fact, memory)
            row = facts[max(0, place - 2) : place + 1]
            due = len(row) == 3 and (all(each in struck for each in row) or row == (every[11],) * 3)
            assert bool(found.heal) is (due and not (place == 3 and memory.heals)), facts
            memory = found.memory


def hours(count: int, clock: list[float]) -> tuple[list[float], list[Ruling]]:
    """Let a server hang at every run of `clock`; return when it was restarted, each time into a new process."""
    memory, heals, found = KNOWN, [], []
    for now in clock[:count]:
        facts = HUNG._replace(unit=OLD._replace(pid=100 + len(heals)))
        found.append(verdict(facts, memory, now))
        memory = found[-1].memory
        if found[-1].heal:
            heals.append(now)
    return heals, found


def test_three_heals_and_then_none_for_days() -> None:
    heals, found = hours(5000, [1e6 + 60 * minute for minute in range(5000)])
    assert (
        len(heals) == 3
        and [each.heal for each in found if each.heal][-1] == "restarted, heal 3 of 3 in an hour"
    )
    assert all(each.reason.startswith("gave up, 3 restarts") and each.memory.gave_up for each in found[11:])
    assert all(each.state is State.CRITICAL for each in found[11:])


def test_heals_are_bounded_in_every_hour_also_when_each_one_helps_for_a_while() -> None:
    memory, heals = KNOWN, []
    for minute in range(3000):
        now = 1e6 + minute * 60
        facts = HUNG._replace(unit=OLD._replace(pid=100 + len(heals)))
        found = verdict(facts._replace(chat=ANSWERED) if minute % 7 == 0 else facts, memory, now)
        memory = found.memory
        heals += [now] if found.heal else []
    assert len(heals) > 50
    assert all(later - earlier >= 3600 for earlier, later in zip(heals, heals[3:], strict=False))


@pytest.mark.parametrize("jump", [-1e6, -3600.0, -1.0, float("inf")])
def test_a_clock_that_goes_back_forbids_for_an_hour_and_not_for_ever(jump: float) -> None:
    memory = replace(KNOWN, strikes=2, heals=(1e6 - jump, 1e6 - jump, 1e6 - jump))
    if jump == float("inf"):
        memory = replace(memory, heals=(jump, jump, jump))
    first = verdict(HUNG, memory, 1e6)
    assert not first.heal and first.memory.heals == (1e6,) * 3 and first.memory.gave_up
    alive = verdict(Facts(unit=OLD, chat=ANSWERED), first.memory, 1e6 + 3590)
    assert len(alive.memory.heals) == 3 and not alive.memory.gave_up
    struck = replace(alive.memory, strikes=2)
    assert not verdict(HUNG, struck, 1e6 + 3599).heal
    assert verdict(HUNG, struck, 1e6 + 3600).heal == "restarted, heal 1 of 3 in an hour"


def test_it_says_that_it_gave_up_until_a_chat_is_answered() -> None:
    memory = replace(KNOWN, gave_up=True, strikes=2)
    busy = verdict(Facts(unit=OLD, chat=LATE, before=ONE, after=TWO), memory)
    assert "gave up" in busy.reason and busy.state is State.WARNING and busy.memory.gave_up
    fresh = verdict(HUNG._replace(unit=OLD._replace(pid=8)), busy.memory)
    assert fresh.reason.startswith("gave up") and fresh.state is State.CRITICAL and not fresh.heal
    assert "gave up" not in verdict(Facts(unit=OLD, chat=ANSWERED), fresh.memory).reason
    assert not verdict(Facts(unit=OLD, chat=ANSWERED), fresh.memory).memory.gave_up
    assert not verdict(
        Facts(maintenance="in maintenance"), fresh.memory
    ).memory.gave_up  # a person has taken over


def test_a_journal_is_told_once_what_lasts_and_always_of_strikes_and_failures() -> None:
    stopped, failed, alive = (
        Facts(unit=Unit("stopped")),
        Facts(unit=Unit("failed")),
        Facts(unit=OLD, chat=ANSWERED),
    )
    memory, repeated = KNOWN, []
    for facts in [stopped, stopped, alive, stopped, failed, failed, *[HUNG] * 20]:
        found = verdict(facts, memory)
        memory = found.memory
        repeated.append(found.repeated)
    assert repeated == [False, True] + [False] * 24


def heals_at(facts: Facts, memory: Memory, every: float = 20.0, runs: int = 100) -> float | None:
    """Return after how many seconds without a step a run every so many seconds restarts the server, counted from the first chat's start."""
    for run in range(runs):
        found = verdict(facts, memory, 1e6 + run * every)
        memory = found.memory
        if found.heal:
            return run * every + facts.chat.seconds
        assert found.state is State.WARNING, found
    return None


@pytest.mark.parametrize("step", [0.01, 0.5, 5 / GROWTH, 9.9 / GROWTH])
def test_a_hang_is_found_by_three_strikes_where_a_full_step_takes_less_than_ten_seconds(step: float) -> None:
    assert heals_at(HUNG, replace(KNOWN, step=step)) == 50


@pytest.mark.parametrize(("step", "slowest"), [(5.0, 0.0), (0.1, 30.0), (20.0, 10.0)])
def test_a_long_step_is_waited_for(step: float, slowest: float) -> None:
    memory = replace(KNOWN, step=step, slowest=slowest)
    wanted = SLACK * max(GROWTH * step, slowest)
    found = heals_at(HUNG, memory)
    assert found is not None and wanted <= found < wanted + 20
    struck = memory
    for run in range(4):
        last = verdict(HUNG, struck, 1e6 + run * 20)
        struck = last.memory
    assert "no step for 70 s, and a long one may take" in last.reason


def test_nothing_is_waited_for_without_end_nor_without_knowledge() -> None:
    assert patience(replace(KNOWN, step=1e6)) == CEILING
    unknown = replace(KNOWN, step=0.0)
    assert UNKNOWN <= (heals_at(HUNG, unknown) or 0) < UNKNOWN + 20


@pytest.mark.parametrize(
    "facts",
    [
        HUNG._replace(after=NONE),
        Facts(unit=OLD, chat=GONE),
        Facts(unit=OLD, chat=FAILED, before=ONE, after=ONE),
    ],
)
def test_steps_are_no_excuse_for_what_makes_none(facts: Facts) -> None:
    """An API server that gives no counters, a port that nobody listens on, an error."""
    assert heals_at(facts, replace(KNOWN, step=50.0)) == 50


def test_the_slowest_step_is_learned_and_forgotten_with_its_process() -> None:
    memory = KNOWN
    for run in range(3):  # still for 50 s: from the start of the first chat to the end of the third
        memory = verdict(HUNG, replace(memory, step=20.0), 1e6 + run * 20).memory
    moving = HUNG._replace(before=TWO, after=TWO)
    found = verdict(moving, memory, 1e6 + 60)
    assert (found.condition, found.memory.slowest, found.memory.strikes) == ("busy", 50, 0)
    again = verdict(moving._replace(unit=OLD._replace(pid=8), chat=ANSWERED), found.memory, 1e6 + 80).memory
    assert (again.slowest, again.measured, again.step) == (0, False, 20)


def test_what_was_measured_is_kept_and_told() -> None:
    found = verdict(Facts(unit=OLD, chat=ANSWERED, step=2.0), replace(KNOWN, measured=False))
    assert (found.memory.step, found.memory.measured) == (2.0, True)
    assert found.reason.endswith("; a step may take 60 s here")
    refused = verdict(Facts(unit=OLD, chat=ANSWERED, step=0.0), replace(KNOWN, measured=False)).memory
    assert refused.measured and patience(refused) == UNKNOWN


def test_a_journal_is_told_when_a_deploy_leaves_loose_ends_and_when_they_are_gone() -> None:
    alive = Facts(unit=OLD, chat=ANSWERED)
    loose = alive._replace(**UNPROVEN)
    memory, repeated = replace(KNOWN, condition="alive"), []
    for facts in (alive, loose, loose, alive):
        found = verdict(facts, memory)
        memory = found.memory
        repeated.append((found.repeated, found.state))
    warned = (True, State.WARNING)
    assert repeated == [(True, State.OK), (False, State.WARNING), warned, (False, State.OK)]


def test_a_manager_is_quoted_where_it_says_more() -> None:
    assert describe("failed", Facts(unit=Unit("failed", "failed"))) == "failed"
    assert (
        describe("stopped", Facts(unit=Unit("stopped", "inactive dead")))
        == "stopped: its manager says inactive dead"
    )
