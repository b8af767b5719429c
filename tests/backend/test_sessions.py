"""The session store: what is kept, for how long, and who owns the file."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from src.core.sessions import Sessions, open_sessions, tidy

CALL = {"name": "get_weather", "args": {"location": "Seoul"}, "id": "c1"}


def turn(name: str, *, tool: bool = False) -> list[AnyMessage]:
    """One whole turn."""
    used: list[AnyMessage] = [
        AIMessage("", tool_calls=[CALL], id=f"{name}-call"),
        ToolMessage("21", tool_call_id="c1"),
    ]
    used[1].id = f"{name}-result"
    return [
        HumanMessage("?", id=f"{name}-user"),
        *(used if tool else []),
        AIMessage("!", id=f"{name}-answer"),
    ]


def removed(messages: list[AnyMessage], keep: int = 100) -> list[str | None]:
    return [message.id for message in tidy(messages, keep)]


@pytest.mark.parametrize("reached", [1, 2, 3])
def test_turn_without_answer_goes_as_a_whole(reached: int) -> None:
    broken = turn("b", tool=True)[:reached]
    assert removed([*turn("a", tool=True), *broken]) == [message.id for message in broken]


def test_empty_answer_and_malformed_call_are_no_answers() -> None:
    blank: list[AnyMessage] = [HumanMessage("?", id="u"), AIMessage(" ", id="a")]
    bad = {"name": "f", "args": "{", "id": "c", "error": "bad", "type": "invalid_tool_call"}
    malformed: list[AnyMessage] = [
        HumanMessage("?", id="v"),
        AIMessage("words", invalid_tool_calls=[bad], id="b"),
    ]
    assert removed([*blank, *malformed]) == ["u", "a", "v", "b"]


def test_whole_turns_stay() -> None:
    assert removed([*turn("a", tool=True), *turn("b")]) == []
    assert removed([]) == []


@pytest.mark.parametrize(("keep", "left"), [(100, 6), (6, 6), (5, 2), (2, 2), (1, 0), (0, 0)])
def test_history_is_cut_between_turns(keep: int, left: int) -> None:
    assert len(removed([*turn("a", tool=True), *turn("b")], keep)) == 6 - left


def run(path: Path, use: Callable[[Sessions], Coroutine[Any, Any, None]], days: float = 1) -> None:
    async def main() -> None:
        async with open_sessions(path, days) as sessions:
            await use(sessions)

    asyncio.run(asyncio.wait_for(main(), 60))


async def chat(sessions: Sessions, name: str) -> int:
    """Run a turn of a graph with a fixed answer and return the number of messages in the session."""
    graph = create_agent(FakeListChatModel(responses=["!"]), [], checkpointer=sessions.saver)
    async with sessions.turn(name):
        config: Any = {"configurable": {"thread_id": name}}
        state = await graph.ainvoke({"messages": [HumanMessage("?")]}, config, durability="exit")
        return len(state["messages"])


async def count(sessions: Sessions, table: str) -> int:
    rows = await sessions.saver.conn.execute_fetchall(f"SELECT count(*) FROM {table}")
    return int(next(iter(rows))[0])


def test_file_holds_one_old_checkpoint_a_session(tmp_path: Path) -> None:
    async def use(sessions: Sessions) -> None:
        for number in range(1, 6):
            assert await chat(sessions, "a") == 2 * number
        await chat(sessions, "b")
        assert await count(sessions, "checkpoints") <= 2 * 2

    run(tmp_path / "s", use)


def test_file_is_private_and_in_wal_mode(tmp_path: Path) -> None:
    async def use(sessions: Sessions) -> None:
        rows = await sessions.saver.conn.execute_fetchall("PRAGMA journal_mode")
        assert next(iter(rows))[0] == "wal"

    run(tmp_path / "new" / "s", use)
    assert (tmp_path / "new" / "s").stat().st_mode & 0o777 == 0o600


def test_idle_session_is_forgotten_and_a_used_one_is_not(tmp_path: Path) -> None:
    async def use(sessions: Sessions) -> None:
        await chat(sessions, "old")
        await chat(sessions, "used")
        await sessions.saver.conn.execute("UPDATE session_use SET used = used - 2 * 86400")
        assert await chat(sessions, "used") == 4
        assert await chat(sessions, "new") == 2
        assert await count(sessions, "session_use") == 2
        assert await chat(sessions, "old") == 2

    run(tmp_path / "s", use)


def test_second_process_is_refused_and_the_file_is_free_afterwards(tmp_path: Path) -> None:
    @asynccontextmanager
    async def again() -> AsyncIterator[None]:
        async with open_sessions(tmp_path / "s", 1):
            yield

    async def use(sessions: Sessions) -> None:
        with pytest.raises(OSError, match="in use by another process"):
            async with again():
                pass

    run(tmp_path / "s", use)
    run(tmp_path / "s", lambda sessions: asyncio.sleep(0))


def test_turns_of_one_session_wait_and_sessions_do_not(tmp_path: Path) -> None:
    async def use(sessions: Sessions) -> None:
        inside: list[str] = []

        async def hold(name: str, go: asyncio.Event) -> None:
            async with sessions.turn(name):
                inside.append(name)
                await go.wait()

        go = asyncio.Event()
        tasks = [asyncio.create_task(hold(name, go)) for name in ("a", "a", "b")]
        while len(inside) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert sorted(inside) == ["a", "b"]
        go.set()
        await asyncio.gather(*tasks)
        assert sorted(inside) == ["a", "a", "b"]

    run(tmp_path / "s", use)
