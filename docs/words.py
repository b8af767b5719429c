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
KEYWORDS = {"say": None, "msg": None, "count": (2, 3), "msgs": (1, 2)}
Id = str | tuple[str, str]  # what is counted has one for 1 and one for any other number
SAID = ("cause", "remedy")  # the fields of a table's rows that a person reads


def messages() -> list[Id]:
    """Return every message id in the order of the files; one without a letter beside its holes needs no translation."""
    found: list[Id] = [text for path in sorted(SOURCE.rglob("*.py")) for text in of_module(path)]
    found += [
        text
        for path in sorted(SOURCE.rglob("known*.toml"))
        for text in of_table(tomllib.loads(path.read_text("utf-8")))
    ]
    return [text for text in dict.fromkeys(found) if any(char.isalpha() for char in literal(first(text)))]


def of_module(path: Path) -> Iterator[Id]:
    """Yield the message ids of a module."""
    with path.open("rb") as file:
        for _, found, _, _ in extract("python", file, KEYWORDS):
            yield found


def of_table(value: Any) -> Iterator[str]:
    """Yield the causes and remedies in a table."""
    if isinstance(value, dict):
        yield from (value[name] for name in SAID if isinstance(value.get(name), str) and value[name])
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in within:
        yield from of_table(each)


def first(text: Id) -> str:
    """Return what a catalogue knows a message by."""
    return text if isinstance(text, str) else text[0]


def literal(text: str) -> str:
    """Return the text beside the holes."""
    return "".join(part for part, *_ in string.Formatter().parse(text))


def holes(text: str) -> list[str]:
    """Return the names of the holes in a message."""
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def faults(known: Catalog, wanted: list[Id]) -> Iterator[str]:
    """Yield what is wrong with a catalogue."""
    there = {entry.id: entry for entry in known if entry.id}
    for text in wanted:
        entry = there.get(text)
        own = [set(holes(each)) for each in ([text] if isinstance(text, str) else text)]
        forms = [] if entry is None else [entry.string] if isinstance(entry.string, str) else entry.string
        if entry is None or entry.fuzzy or not all(forms):
            yield f"missing: {first(text)}"
        elif any(set(holes(form)) not in own for form in forms):
            yield f"other holes: {first(text)}"
    yield from (f"dead: {first(text)}" for text in there if text not in wanted)


def updated(known: Catalog, wanted: list[Id]) -> Catalog:
    """Return a catalogue of the wanted messages, with the translations that are known."""
    fresh = Catalog(locale=known.locale, fuzzy=False, header_comment=known.header_comment)
    for text in wanted:
        entry = known.get(first(text))
        string = entry.string if entry and type(entry.id) is type(text) else ""
        fresh.add(text, string, flags=entry.flags - {"python-format"} if entry else ())
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
            file.write(f'msgid ""\nmsgstr "Plural-Forms: {known.plural_forms}\\n"\n\n'.encode())
            write_po(file, updated(known, wanted), width=0, omit_header=True)
    print("\n".join(wrong), end="\n" if wrong else "")
    if wrong:
        print("run python docs/words.py, and translate what is empty in the catalogue")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
