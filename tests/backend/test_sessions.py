"""The session store: what is kept, for how long, and who owns the file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from src.core.sessions import Limits, Sessions, estimate, newer_half, open_sessions, tidy

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


def kept(messages: list[AnyMessage], tokens: int = 1000) -> list[str | None]:
    return [message.id for message in tidy(messages, tokens)]


@pytest.mark.parametrize("reached", [1, 2, 3])
def test_turn_without_answer_goes_as_a_whole(reached: int) -> None:
    whole = turn("a", tool=True)
    assert kept([*whole, *turn("b", tool=True)[:reached]]) == [message.id for message in whole]


def test_empty_answer_and_malformed_call_are_no_answers() -> None:
    blank: list[AnyMessage] = [HumanMessage("?", id="u"), AIMessage(" ", id="a")]
    bad = {"name": "f", "args": "{", "id": "c", "error": "bad", "type": "invalid_tool_call"}
    malformed: list[AnyMessage] = [
        HumanMessage("?", id="v"),
        AIMessage("words", invalid_tool_calls=[bad], id="b"),
    ]
    assert kept([*blank, *malformed]) == []


def test_whole_turns_stay() -> None:
    messages = [*turn("a", tool=True), *turn("b")]
    assert kept(messages) == [message.id for message in messages]
    assert kept([]) == []


def words(name: str, text: str) -> list[AnyMessage]:
    return [HumanMessage(text, id=f"{name}-user"), AIMessage("!", id=f"{name}-answer")]


@pytest.mark.parametrize(("tokens", "left"), [(500, 6), (290, 4), (150, 2), (90, 0), (0, 0)])
def test_history_is_cut_by_tokens_between_turns(tokens: int, left: int) -> None:
    """Each turn has 100 Korean characters, which are about as many tokens by the estimate."""
    messages = [message for name in "abc" for message in words(name, "가" * 100)]
    assert kept(messages, tokens) == [message.id for message in messages[len(messages) - left :]]


def test_arguments_and_results_of_tools_count() -> None:
    long = {"name": "f", "args": {"text": "x" * 300}, "id": "c"}
    assert estimate([AIMessage("", tool_calls=[long])]) > 100
    assert estimate([ToolMessage("x" * 300, tool_call_id="c")]) == 100


@pytest.mark.parametrize(("turns", "left"), [("a", ""), ("ab", "b"), ("abcde", "cde")])
def test_the_newer_half_never_is_all_and_has_whole_turns(turns: str, left: str) -> None:
    messages = [message for name in turns for message in words(name, "?")]
    assert [message.id for message in newer_half(messages)] == [
        message.id for name in left for message in words(name, "?")
    ]


def run(
    path: Path,
    use: Callable[[Sessions], Coroutine[Any, Any, None]],
    *,
    days: float = 1,
    sessions: int = 100,
    megabytes: float = 100,
) -> None:
    async def main() -> None:
        async with open_sessions(path, Limits(days, sessions, int(megabytes * 2**20))) as opened:
            await use(opened)

    asyncio.run(asyncio.wait_for(main(), 120))


async def chat(sessions: Sessions, name: str, text: str = "?") -> int:
    """Add a turn to a session and return its number of messages."""
    async with sessions.turn(name):
        messages = [*await sessions.load(name), HumanMessage(text), AIMessage("!")]
        await sessions.save(name, messages)
        return len(messages)


async def count(sessions: Sessions, table: str) -> int:
    rows = await sessions.saver.conn.execute_fetchall(f"SELECT count(*) FROM {table}")
    return int(next(iter(rows))[0])


def test_file_holds_one_checkpoint_a_session(tmp_path: Path) -> None:
    async def use(sessions: Sessions) -> None:
        for number in range(1, 6):
            assert await chat(sessions, "a") == 2 * number
        await chat(sessions, "b")
        assert await count(sessions, "checkpoints") == 2
        assert await count(sessions, "writes") == 0

    run(tmp_path / "s", use)


def test_a_file_of_an_earlier_version_keeps_its_sessions(tmp_path: Path) -> None:
    """Then the graph itself wrote checkpoints, and the file could not shrink."""

    async def before() -> None:
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "s")) as saver:
            await saver.setup()
            await saver.conn.execute(
                "CREATE TABLE session_use (thread_id TEXT PRIMARY KEY, used REAL NOT NULL)"
            )
            await saver.conn.execute("INSERT INTO session_use VALUES ('a', unixepoch())")
            await saver.conn.commit()
            graph = create_agent(FakeListChatModel(responses=["!"]), [], checkpointer=saver)
            config: Any = {"configurable": {"thread_id": "a"}}
            for _ in range(2):
                await graph.ainvoke({"messages": [HumanMessage("?")]}, config, durability="exit")

    async def use(sessions: Sessions) -> None:
        assert [message.text for message in await sessions.load("a")] == ["?", "!", "?", "!"]
        assert await chat(sessions, "a") == 6
        assert [await count(sessions, table) for table in ("checkpoints", "writes")] == [1, 0]

    asyncio.run(before())
    run(tmp_path / "s", use)
    with sqlite3.connect(tmp_path / "s") as file:
        assert file.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    file.close()


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


def test_the_longest_unused_go_where_there_are_too_many(tmp_path: Path) -> None:
    async def use(sessions: Sessions) -> None:
        for name in "abc":
            await chat(sessions, name)
        assert await chat(sessions, "a") == 4
        await chat(sessions, "d")
        left = await sessions.saver.conn.execute_fetchall(
            "SELECT DISTINCT thread_id FROM checkpoints ORDER BY 1"
        )
        assert [row[0] for row in left] == ["a", "c", "d"]
        assert await count(sessions, "session_use") == 3

    run(tmp_path / "s", use, sessions=3)


def test_the_file_is_bounded_and_shrinks(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def fill(sessions: Sessions) -> None:
        for number in range(60):
            await chat(sessions, f"s-{number}", "x" * 100_000)
        assert 5 < await count(sessions, "session_use") < 30
        assert await sessions.load("s-59")

    async def forget(sessions: Sessions) -> None:
        await sessions.saver.conn.execute("UPDATE session_use SET used = 0")
        await sessions.saver.conn.commit()
        await chat(sessions, "last")

    run(path, fill, megabytes=2)
    full = path.stat().st_size
    assert 2**20 < full < 4 * 2**20
    run(path, forget, megabytes=2)
    assert path.stat().st_size < full - 2**19


def test_one_session_over_the_limit_is_kept(tmp_path: Path) -> None:
    async def use(sessions: Sessions) -> None:
        assert await chat(sessions, "a", "x" * 2**20) == 2
        assert await chat(sessions, "a") == 4

    run(tmp_path / "s", use, megabytes=0.1)


def test_second_process_is_refused_and_the_file_is_free_afterwards(tmp_path: Path) -> None:
    @asynccontextmanager
    async def again() -> AsyncIterator[None]:
        async with open_sessions(tmp_path / "s", Limits(1, 1, 1)):
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
