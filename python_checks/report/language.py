"""The language of a screen: chosen by option or locale, read from locale/LANGUAGE.po; machines are always answered in English."""

import argparse
import gettext
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from python_checks.core.result import LONGEST, Line, Result, shorten
from python_checks.core.say import Catalogue, translated

ENGLISH = "en"
VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set and not empty counts, as POSIX has it
DIRECTORY = Path(__file__).parents[1] / "locale"
FOR_PEOPLE = ("screen", "table")  # the formats that speak it
_STRING = re.compile(r'(?:(msgid|msgid_plural|msgstr(?:\[\d\])?) )?(".*")')
_PLURAL = re.compile(r"^Plural-Forms:.*\bplural=([^;]+)", re.MULTILINE)


def languages() -> list[str]:
    """Return the languages that there is a catalogue of, and English."""
    return [ENGLISH, *sorted(path.stem for path in DIRECTORY.glob("*.po"))]


def by_locale(environment: Mapping[str, str]) -> str:
    """Return the language that the locale of an environment asks for; English where there is no catalogue of it."""
    locale = next(filter(None, (environment.get(name) for name in VARIABLES)), "")
    name = re.split(r"[_.@]", locale)[0]
    return name if name in languages() else ENGLISH


def add_language(parser: argparse.ArgumentParser) -> None:
    """Add --language."""
    parser.add_argument(
        "--language",
        choices=languages(),
        default=by_locale(os.environ),
        help="of a screen or a table (by LC_ALL, LC_MESSAGES or LANG: %(default)s)",
    )


@cache
def catalogue(language: str) -> Catalogue:
    """Return message id -> the same in a language; nothing for English."""
    return (
        Catalogue()
        if language == ENGLISH
        else read((DIRECTORY / f"{language}.po").read_text(encoding="utf-8"))
    )


def read(text: str) -> Catalogue:
    """Return a catalogue of gettext, without what is not translated or marked as fuzzy."""
    found = Catalogue()
    for entry in map(_entry, re.split(r"\n\s*\n", text)):
        msgid, forms = entry.pop("msgid", ""), [entry[name] for name in sorted(entry) if "str" in name]
        if msgid and all(forms):
            found[msgid] = tuple(forms) if "msgid_plural" in entry else "".join(forms)
        elif not msgid and (rule := _PLURAL.search("".join(forms))):
            found.plural = gettext.c2py(rule[1])
    return found


def _entry(block: str) -> dict[str, str]:
    found: dict[str, str] = {}
    if re.search(r"^#,.*\bfuzzy\b", block, re.MULTILINE):
        return found
    name = ""
    for keyword, string in _strings(block):
        name = keyword or name
        found[name] = found.get(name, "") + json.loads(string)  # the escapes of gettext are JSON's as well
    return found


def _strings(block: str) -> Iterator[tuple[str, str]]:
    matches = map(_STRING.fullmatch, block.splitlines())
    return ((match[1] or "", match[2]) for match in matches if match)


def shown(results: Sequence[Result], form: str, language: str) -> list[Result]:
    """Return results as a format prints them: those for people in a language, the others as they are."""
    known = catalogue(language if form in FOR_PEOPLE else ENGLISH)
    return [told(result, known) for result in results] if known else list(results)


def told(result: Result, known: Catalogue) -> Result:
    """Return a result with all that a person reads in the language of a catalogue."""
    reason, remedy = (shorten(translated(words, known), LONGEST) for words in (result.reason, result.remedy))
    lines = [
        Line(translated(line.label, known), translated(line.words, known), line.state)
        for line in (Line(*line) for line in result.evidence.get("screen", ()))
    ]
    screen = {"screen": lines} if lines else {}
    return replace(result, reason=reason, remedy=remedy, evidence=result.evidence | screen)
