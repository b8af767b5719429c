"""Sessions that survive a restart: LangGraph checkpoints in one SQLite file (WAL), owned by one process.

Only a turn that got its answer is written. The file is bounded in sessions and in bytes (the longest unused go first), and shrinks.
"""

import asyncio
import fcntl
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from weakref import WeakValueDictionary

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, trim_messages
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

SECONDS_PER_DAY = 86_400
# English and Korean have about four bytes of UTF-8 a token; three are on the safe side.
BYTES_PER_TOKEN = 3
INCREMENTAL = 2  # SQLite's auto_vacuum: free pages can be given back
SPARE_PAGES = 256


@dataclass(frozen=True)
class Limits:
    """What the store keeps.

    Attributes:
        days: Idle time in days after which a session is forgotten.
        sessions: Number of sessions.
        bytes: Size of all of them on disk.
    """

    days: float
    sessions: int
    bytes: int


def is_answer(message: BaseMessage) -> bool:
    """Tell whether a message ends a turn: words of the assistant, and no tool call left to run."""
    if not isinstance(message, AIMessage) or message.tool_calls or message.invalid_tool_calls:
        return False
    return bool(message.text.strip())


def estimate(messages: Sequence[BaseMessage]) -> int:
    """Return about how many tokens messages have."""
    calls = (message.tool_calls for message in messages if isinstance(message, AIMessage))
    texts = [
        *(message.text for message in messages),
        *(json.dumps(each, ensure_ascii=False) for each in calls),
    ]
    return sum(len(text.encode()) for text in texts) // BYTES_PER_TOKEN


def tidy(messages: Sequence[AnyMessage], tokens: int) -> list[AnyMessage]:
    """Return the newest whole turns that have about so many tokens at most.

    A turn without its answer is left out: a dangling tool call would make every later request fail.
    """
    end = max((at for at, message in enumerate(messages, 1) if is_answer(message)), default=0)
    kept = trim_messages(
        messages[:end], max_tokens=tokens, token_counter=estimate, strategy="last", start_on="human"
    )
    return cast(list[AnyMessage], kept)


def newer_half(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Return the newer half of the turns; nothing where only one is left."""
    starts = [at for at, message in enumerate(messages) if isinstance(message, HumanMessage)]
    return list(messages[starts[len(starts) // 2] :]) if len(starts) > 1 else []


class Sessions:
    """The open session store."""

    def __init__(self, saver: AsyncSqliteSaver, limits: Limits) -> None:
        """Take what it works with.

        Args:
            saver: LangGraph's checkpointer on the open database.
            limits: What it keeps.
        """
        self.saver = saver
        self._limits = limits
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, session_id: str) -> AsyncIterator[None]:
        """Hold the session for one turn: turns of one session wait for each other, sessions do not."""
        async with self._locks.setdefault(session_id, asyncio.Lock()):
            yield

    async def load(self, session_id: str) -> list[AnyMessage]:
        """Return the messages of a session, oldest first; of one that is not known, none.

        Raises:
            sqlite3.Error: The store cannot be read.
        """
        found = await self.saver.aget_tuple(_config(session_id))
        return list(found.checkpoint["channel_values"]["messages"]) if found else []

    async def save(self, session_id: str, messages: list[AnyMessage]) -> None:
        """Replace the messages of a session, and forget what is over the limits.

        Raises:
            sqlite3.Error: The store cannot be written.
        """
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"messages": messages}
        async with self.saver.lock:
            use = "INSERT OR REPLACE INTO session_use VALUES (?, ?)"
            await self.saver.conn.execute(use, (session_id, time.time()))
            await self.saver.conn.commit()
        await self.saver.aput(_config(session_id), checkpoint, {"source": "update", "step": 0}, {})
        async with self.saver.lock:
            newest = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ?1"
            for table in ("writes", "checkpoints"):
                older = f"DELETE FROM {table} WHERE thread_id = ?1 AND checkpoint_id < ({newest})"
                await self.saver.conn.execute(older, (session_id,))
            await self._forget("used < ?", time.time() - self._limits.days * SECONDS_PER_DAY)
            newest = "SELECT thread_id FROM session_use ORDER BY used DESC LIMIT ?"
            await self._forget(f"thread_id NOT IN ({newest})", self._limits.sessions)
            while await self._size() > self._limits.bytes and (count := await self._count()) > 1:
                oldest = "SELECT thread_id FROM session_use ORDER BY used LIMIT ?"
                await self._forget(f"thread_id IN ({oldest})", min(count - 1, 1 + count // 20))
            await self.saver.conn.commit()
            await self._shrink()

    async def _forget(self, which: str, value: float) -> None:
        for table in ("writes", "checkpoints", "session_use"):
            statement = (
                f"DELETE FROM {table} WHERE thread_id IN (SELECT thread_id FROM session_use WHERE {which})"
            )
            await self.saver.conn.execute(statement, (value,))

    async def _count(self) -> int:
        return await self._number("SELECT count(*) FROM session_use")

    async def _size(self) -> int:
        pages = await self._number("PRAGMA page_count") - await self._number("PRAGMA freelist_count")
        return pages * await self._number("PRAGMA page_size")

    async def _shrink(self) -> None:
        """Give free pages back to the disk; a few, and a tenth, stay for the next turns."""
        spare = max(SPARE_PAGES, await self._number("PRAGMA page_count") // 10)
        free = await self._number("PRAGMA freelist_count")
        if free > spare:
            # A page a step, and Python 3.11 takes one step of a statement without columns; a script is run to its end.
            await self.saver.conn.executescript(f"PRAGMA incremental_vacuum({free})")

    async def _number(self, question: str) -> int:
        rows = await self.saver.conn.execute_fetchall(question)
        return int(next(iter(rows))[0])


def _config(session_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": session_id, "checkpoint_ns": ""}}


@asynccontextmanager
async def open_sessions(path: Path, limits: Limits) -> AsyncIterator[Sessions]:
    """Open the session store, and make it where it is missing (mode 0600).

    Args:
        path: The SQLite file.
        limits: What it keeps.

    Raises:
        OSError: The file cannot be made, or another process has it open.
        sqlite3.Error: The file is not a database.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with path.with_name(path.name + ".lock").open("w") as owner:
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # The locks of turns live in this process: a second one (`--workers 2`) would mix up sessions.
            raise OSError(f"SESSIONS_DB {path} is in use by another process") from None
        async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
            sessions = Sessions(saver, limits)
            if await sessions._number("PRAGMA auto_vacuum") != INCREMENTAL:
                # Only a rebuilt file takes it over: a moment for a new one, once for one of before.
                await saver.conn.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
                await saver.conn.execute("VACUUM")
            await saver.setup()
            await saver.conn.executescript(
                f"PRAGMA journal_size_limit = {SPARE_PAGES * 4096};"
                "CREATE TABLE IF NOT EXISTS session_use (thread_id TEXT PRIMARY KEY, used REAL NOT NULL);"
                "CREATE INDEX IF NOT EXISTS session_use_used ON session_use (used);"
            )
            yield sessions
