"""What systemd's journal tells of a unit."""

import json
from typing import Any

from python_checks.core import command

TIMEOUT = 60.0  # seconds
RESTARTED = (
    "5eb03494b6584870a536b337290809b3"  # the journal's id of "Scheduled restart job" (systemd/sd-messages.h)
)
HOURS = 24
TOLD = 15  # lines of the journal: those of one try, and what systemd says when it gives up


def restarts(unit: str) -> int | None:
    """Return how often systemd started a unit again within the last HOURS; None where there is no journal."""
    lines = _entries("_PID=1", f"UNIT={unit}", f"MESSAGE_ID={RESTARTED}", f"--since=-{HOURS}h")
    return None if lines is None else len(lines)


def told(unit: str) -> list[str]:
    """Return what the journal says of a unit's last try, each line once.

    What fails before the program runs is said by the process that systemd makes for it, under the service's user or root: it knows why.
    """
    lines = _entries(
        f"--lines={TOLD}", f"UNIT={unit}", "_UID=0", "+", f"UNIT={unit}", f"_SYSTEMD_UNIT={unit}"
    )
    # What is no UTF-8 comes as the numbers of its bytes.
    said = (line["MESSAGE"] for line in lines or [] if line.get("MESSAGE"))
    return list(
        dict.fromkeys(
            each if isinstance(each, str) else bytes(each).decode(errors="replace") for each in said
        )
    )


def _entries(*arguments: str) -> list[dict[str, Any]] | None:
    try:
        done = command.run(
            ("journalctl", "--quiet", "--output=json", "--output-fields=MESSAGE", *arguments), TIMEOUT
        )
        return (
            None
            if done.code
            else [json.loads(line) for line in done.text.splitlines() if line.startswith("{")]
        )
    except (OSError, ValueError):
        return None
