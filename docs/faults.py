"""Write docs/faults.md from the rows that a run of tests/faults noted.

``python docs/faults.py [FILE]`` reads .tox/faults.json by default.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
TITLES = {"deploy": "During a deploy", "run": "While serving", "watch": "While being watched"}
HEAD = """# Faults

What we break on purpose on a real systemd host with a real vLLM, what a client sees of it, and what is left over. The server has two
workers on two CPU cores, where a start takes most of a minute. `python docs/faults.py` writes this page from a run of `tests/faults`;
every row is a test. The client sends one chat per second. "Serving again after" is the time from its last answer before the fault to
the next one.
"""


def cells(row: dict[str, Any]) -> list[str]:
    """Return the cells of a row."""
    again = (
        "not by itself" if row["again"] is None else f"{row['again']:.0f} s" if row["again"] else "no pause"
    )
    return [row["case"], row["what"], row["client"], again, row["left"]]


def page(rows: list[dict[str, Any]]) -> str:
    """Return the whole page."""
    parts = [HEAD]
    for half, title in TITLES.items():
        found = sorted((row for row in rows if row["half"] == half), key=lambda row: row["at"])
        lines = [
            "case | what happens | what a client sees | serving again after | left over",
            "--- | --- | --- | --- | ---",
        ]
        lines += [" | ".join(cell.replace("|", "\\|") for cell in cells(row)) for row in found]
        if found:
            parts.append(f"\n## {title}\n\n" + "".join(f"| {line} |\n" for line in lines))
    return "".join(parts)


if __name__ == "__main__":
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / ".tox/faults.json"
    content = page([*json.loads(file.read_text(encoding="utf-8")).values()])
    (REPOSITORY / "docs/faults.md").write_text(content, encoding="utf-8")
