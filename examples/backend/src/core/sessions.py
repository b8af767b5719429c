"""Sessions that survive a restart: LangGraph checkpoints in one SQLite file (WAL), owned by one process."""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, RemoveMessage, trim_messages
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

SECONDS_PER_DAY = 86_400


def is_answer(message: BaseMessage) -> bool:
    """Tell whether a message ends a turn: words of the assistant, and no tool call left to run."""
    if not isinstance(message, AIMessage) or message.tool_calls or message.invalid_tool_calls:
        return False
    return bool(message.text.strip())


def tidy(messages: Sequence[AnyMessage], keep: int) -> list[RemoveMessage]:
    """Return what to remove before the next turn: a turn that never got its answer, and what is too old.

    A dangling tool call would make every later request fail, so a turn is kept whole or not at all.

    Args:
        messages: All messages of the session, oldest first.
        keep: How many to keep at most; whole turns only.
    """
    end = max((at for at, message in enumerate(messages, 1) if is_answer(message)), default=0)
    kept = trim_messages(
        messages[:end], max_tokens=keep, token_counter=len, strategy="last", start_on="human"
    )
    ids = {message.id for message in kept}
    return [RemoveMessage(id=message.id) for message in messages if message.id and message.id not in ids]


class Sessions:
    """The open session store."""

    def __init__(self, saver: AsyncSqliteSaver, days: float) -> None:
        """Take what it works with.

        Args:
            saver: LangGraph's checkpointer on the open database.
            days: Idle time in days after which a session is forgotten.
        """
        self.saver = saver
        self._days = days
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, session_id: str) -> AsyncIterator[None]:
        """Hold the session for one turn: turns of one session wait for each other, sessions do not.

        Raises:
            sqlite3.Error: The store cannot be written.
        """
        lock = self._locks.setdefault(session_id, asyncio.Lock())
        async with lock:
            await self._touch(session_id)
            yield

    async def _touch(self, session_id: str) -> None:
        """Note the use of a session, drop its checkpoints but the last, forget sessions idle too long."""
        now, conn = time.time(), self.saver.conn
        newest = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ?1"
        idle = "SELECT thread_id FROM session_use WHERE used < ?"
        async with self.saver.lock:
            await conn.execute("INSERT OR REPLACE INTO session_use VALUES (?, ?)", (session_id, now))
            # Each checkpoint holds the whole history: keeping all would grow with the square of the turns.
            for table in ("writes", "checkpoints"):
                older = f"DELETE FROM {table} WHERE thread_id = ?1 AND checkpoint_id < ({newest})"
                await conn.execute(older, (session_id,))
            for table in ("writes", "checkpoints", "session_use"):
                forget = f"DELETE FROM {table} WHERE thread_id IN ({idle})"
                await conn.execute(forget, (now - self._days * SECONDS_PER_DAY,))
            await conn.commit()


@asynccontextmanager
async def open_sessions(path: Path, days: float) -> AsyncIterator[Sessions]:
    """Open the session store, and make it where it is missing (mode 0600).

    Args:
        path: The SQLite file.
        days: Idle time in days after which a session is forgotten.

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
            await saver.setup()
            await saver.conn.execute(
                "CREATE TABLE IF NOT EXISTS session_use (thread_id TEXT PRIMARY KEY, used REAL NOT NULL)"
            )
            await saver.conn.commit()
            yield Sessions(saver, days)
