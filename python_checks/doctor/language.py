"""The doctor's screen in the language of its reader: English, or Korean by a catalogue of whole sentences."""

import argparse
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from python_checks.core.result import Line

# No gettext: the sentences are f-strings of many modules that machines read as well; only the doctor's reader has a language.
ENGLISH, KOREAN = "en", "ko"
LOCALE = ("LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set and not empty counts, as POSIX has it
CATALOGUE = Path(__file__).with_name("korean.json")
CLAUSE = re.compile(r"(; |: )")  # between whole sentences
PHRASE = re.compile(r"(; |: |, | \(|\))")  # between what a list or a value is made of
KINDS = {
    "service": "vllm|backend",
    "age": r"\d+ \w+(?: \d+ min)?",
    "how": r"(?: [\w ]+ ago| just now)?(?: \([^()]*\))?",  # when, and with which code
    "words": r"\w(?:\([^()]*\)|(?!; |: )[^(])*",
    "holders": r"(?:(?!; ).)*",  # each with its command
}
LONGEST = 17  # parts in one sentence, its separators among them; a list of a hundred processes has more
HOLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Template:
    """A sentence with holes.

    `{0}` takes a number; `{LINE}`, any name in capitals, what stays as it is; `{when}`, any other, what is translated
    in its turn where it is known; `{words}` only what is known.
    """

    pattern: re.Pattern[str]
    korean: str


@dataclass(frozen=True)
class Catalogue:
    """Labels of the screen; sentences, found wherever a clause begins; values, found in holes and lists only."""

    labels: Mapping[str, str]
    sentences: Sequence[Template]
    values: Sequence[Template]

    def said(self, text: str) -> str:
        """Return the words of a finding in Korean; what is not known, such as a line of a log, stays."""
        return self._joined(text, CLAUSE, self.sentences)

    def listed(self, text: str) -> str:
        """Return a value or a list in Korean, with the blanks around it."""
        words = text.strip()
        return text.replace(words, self._joined(words, PHRASE, self.values)) if words else text

    def _joined(self, text: str, separator: re.Pattern[str], templates: Sequence[Template]) -> str:
        """Translate the longest runs of parts that are known, from the left."""
        parts, told, begin = separator.split(text), [], 0
        while begin < len(parts):
            ends = [len(parts), *range(min(len(parts), begin + LONGEST), begin, -2)]
            runs = ((end, "".join(parts[begin:end])) for end in ends)
            known = (
                (end, self._sentence(run, templates))
                for end, run in runs
                if separator is CLAUSE or _whole(run)
            )
            end, words = next(((end, words) for end, words in known if words), (begin + 1, parts[begin]))
            told += [words, *parts[end : end + 1]]
            begin = end + 1
        return "".join(told)

    def _sentence(self, text: str, templates: Sequence[Template]) -> str:
        """Return one sentence in Korean, empty when it is not known."""
        for template in templates:
            if match := template.pattern.fullmatch(text):
                given = {name[1:]: value for name, value in match.groupdict().items()}
                told = {
                    name: value if name.isupper() else self.listed(value) for name, value in given.items()
                }
                if "words" not in given or told["words"] != given["words"]:
                    return _filled(template.korean, told)
        return ""


def _filled(korean: str, told: Mapping[str, str]) -> str:
    return HOLE.sub(lambda hole: told[hole[1]], korean).strip()


def add_language(parser: argparse.ArgumentParser) -> None:
    """Add --language."""
    parser.add_argument(
        "--language",
        choices=(ENGLISH, KOREAN),
        default=by_locale(os.environ),
        help="of the screen; JSON's reason and remedy are English (by LC_ALL, LC_MESSAGES or LANG: %(default)s)",
    )


def by_locale(environment: Mapping[str, str]) -> str:
    """Return the language that the locale of an environment asks for; English for all that is not Korean."""
    locale = next(filter(None, (environment.get(name) for name in LOCALE)), "")
    return KOREAN if re.match(r"ko(?![a-zA-Z])", locale) else ENGLISH


def translate(lines: Sequence[Line], language: str) -> list[Line]:
    """Return the lines of a screen in a language."""
    return list(map(_korean, lines)) if language == KOREAN else list(lines)


@cache
def catalogue() -> Catalogue:
    """Read the catalogue."""
    labels, sentences, values = json.loads(CATALOGUE.read_text(encoding="utf-8")).values()
    return Catalogue(labels, _templates(sentences), _templates(sentences | values))


def _korean(line: Line) -> Line:
    known = catalogue()
    listed = line.label not in known.labels or line.label == "well"  # counts, and what is well
    words = known.listed(line.words) if listed else known.said(line.words)
    return Line(known.labels.get(line.label, line.label), words, line.state)


def _templates(known: Mapping[str, str]) -> list[Template]:
    """Compile sentences, those with the longest literal text first."""
    order = sorted(known, key=lambda english: -len(HOLE.sub("", english)))
    return [Template(re.compile(_pattern(english)), known[english]) for english in order]


def _whole(run: str) -> bool:
    """Tell whether each bracket of a value ends in it."""
    brackets = re.sub("[^()]", "", run)
    while "()" in brackets:
        brackets = brackets.replace("()", "")
    return not brackets


def _pattern(english: str) -> str:
    """Return the expression that a sentence is found by; only what stays as it is may look like several clauses."""
    literal, *holes = HOLE.split(english)
    pattern = re.escape(literal)
    for name, following in zip(holes[::2], holes[1::2], strict=True):
        stop = "; " if pattern and name.isupper() else "; |: "
        kind = r"\d[\d.]*" if name.isdecimal() else KINDS.get(name, f"(?:(?!{stop}).)*?")
        pattern += f"(?P<_{name}>{kind}){re.escape(following)}"
    return pattern
