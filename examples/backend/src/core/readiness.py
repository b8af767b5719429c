"""Readiness: only a chat that the model answers proves that it serves; an open port or /health does not."""

import asyncio
import time

from src.config.settings import Settings
from src.core.errors import model_fault, unavailable
from src.core.llm_service import LLMService

GOOD_FOR_SECONDS = 5.0


class Readiness:
    """Asks the model with one tiny chat; polls in between share the verdict."""

    def __init__(self, settings: Settings) -> None:
        """Take what it works with.

        Args:
            settings: The settings of this process.
        """
        self._limit = settings.READY_SECONDS
        self._llm = LLMService.get_llm(temperature=0)
        self._good_until = 0.0
        self._probe: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Return when the model answers.

        Raises:
            ServiceError: It does not, with the reason.
        """
        if time.monotonic() < self._good_until:
            return
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._ask())
        await asyncio.shield(self._probe)

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(self._limit):
                await self._llm.ainvoke("ping", max_completion_tokens=1)
        except TimeoutError as error:
            raise unavailable(f"no answer to a tiny chat within {self._limit:g} s") from error
        except Exception as error:
            raise model_fault(error) from error
        self._good_until = time.monotonic() + GOOD_FOR_SECONDS
