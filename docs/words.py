"""Bring the catalogues python_checks/locale/*.po up to date with the messages of the source and of its tables.

``python docs/words.py`` writes, ``python docs/words.py --check`` only tells what is wrong with them (exit code 1 if anything).
"""

from __future__ import annotations

import string
import sys
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = REPOSITORY / "python_checks"
KEYWORDS = {"say": None, "msg": None, "count": (2, 3, 4)}
SAID = ("cause", "remedy")  # the fields of a table's rows that a person reads


def messages() -> list[str]:
    """Return every message id in the order of the files; one without a letter beside its holes needs no translation."""
    found = [text for path in sorted(SOURCE.rglob("*.py")) for text in of_module(path)]
    found += [
        text
        for path in sorted(SOURCE.rglob("known*.toml"))
        for text in of_table(tomllib.loads(path.read_text("utf-8")))
    ]
    return [text for text in dict.fromkeys(found) if any(char.isalpha() for char in literal(text))]


def of_module(path: Path) -> Iterator[str]:
    """Yield the message ids of a module."""
    with path.open("rb") as file:
        for _, found, _, _ in extract("python", file, KEYWORDS):
            yield from filter(None, [found] if isinstance(found, str) else found)


def of_table(value: Any) -> Iterator[str]:
    """Yield the causes and remedies in a table."""
    if isinstance(value, dict):
        yield from (value[name] for name in SAID if isinstance(value.get(name), str) and value[name])
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in within:
        yield from of_table(each)


def literal(text: str) -> str:
    """Return the text beside the holes."""
    return "".join(part for part, *_ in string.Formatter().parse(text))


def holes(text: str) -> list[str]:
    """Return the names of the holes in a message."""
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def faults(known: Catalog, wanted: list[str]) -> Iterator[str]:
    """Yield what is wrong with a catalogue."""
    there = {str(entry.id): entry for entry in known if entry.id}
    for text in wanted:
        entry = there.get(text)
        if entry is None or not entry.string or entry.fuzzy:
            yield f"missing: {text}"
        elif set(holes(str(entry.string))) != set(holes(text)):
            yield f"other holes: {text}"
    yield from (f"dead: {text}" for text in there if text not in wanted)


def updated(known: Catalog, wanted: list[str]) -> Catalog:
    """Return a catalogue of the wanted messages, with the translations that are known."""
    fresh = Catalog(locale=known.locale, fuzzy=False, header_comment=known.header_comment)
    for text in wanted:
        entry = known.get(text)
        fresh.add(text, entry.string if entry else "", flags=entry.flags - {"python-format"} if entry else ())
    return fresh


def main() -> int:
    """Write the catalogues, or check them; return the exit code."""
    warnings.simplefilter("ignore")  # f-strings among the values are no messages
    wanted, wrong = messages(), []
    for path in sorted((SOURCE / "locale").glob("*.po")):
        with path.open("rb") as file:
            known = read_po(file, locale=path.stem)
        if "--check" in sys.argv:
            wrong += [f"{path.name}: {fault}" for fault in faults(known, wanted)]
            continue
        with path.open("wb") as file:
            write_po(file, updated(known, wanted), width=0, omit_header=True)
    print("\n".join(wrong), end="\n" if wrong else "")
    if wrong:
        print("run python docs/words.py, and translate what is empty in the catalogue")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
