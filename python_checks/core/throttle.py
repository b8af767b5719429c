"""Progress that is said when it changes, and every few seconds while it does not."""

import sys
import time

REPEAT = 5.0  # seconds after which unchanged words are said again


class Throttle:
    """What was said last, and when."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._words, self._at = "", 0.0

    def tell(self, words: str, more: str) -> bool:
        """Print `words` and `more`, which changes all the time, on standard error; tell whether it was time to."""
        now = time.monotonic()
        if words == self._words and now - self._at < REPEAT:
            return False
        self._words, self._at = words, now
        print(f"{words}{more}", file=sys.stderr, flush=True)
        return True
