"""Text of a server, a log or another program as a terminal may get it."""

from __future__ import annotations

import re

# Controls (Cc) but the tab and the end of a line, separators that some terminals obey, and what turns the direction of a text.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def plain(text: object) -> str:
    """Return a text on as many lines, with ``?`` for each character that commands a terminal; one at an end of a line goes."""
    lines = re.split("\r*\n", str(text))
    return "\n".join(CONTROLS.sub("?", line.rstrip("\r")) for line in lines)
