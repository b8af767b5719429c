"""A language that nobody speaks, made of the messages of the source: English that is left in it never went through the catalogue."""

import ast
import functools
import re
import string
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

from python_checks.core.finding import Finding
from python_checks.core.result import Fault, Line, Result, State
from python_checks.core.say import translated
from tests.python_checks.support import ROOT

LETTERS = str.maketrans(string.ascii_letters, "ȧƀƈḓḗƒɠħīĵķŀḿƞǿƥɋřşŧŭṽẇẋẏẑȦƁƇḒḖƑƓĦĪĴĶĿḾȠǾƤɊŘŞŦŬṼẆẊẎẐ")
OTHERS = ("has compute capability", "supervisord does not run")  # vLLM, and recorded facts, say so, too
PAIR = re.compile(r"(?<!\S)(?=(\S+ \S+))")
SENTENCE = re.compile(r"[a-z][a-z']*,? [a-z][a-z']+,? [a-z][a-z']+")
LOOKED_FOR = (
    "compile",
    "search",
    "startswith",
    "ValueError",
    "ArgumentTypeError",
    "replace",
    "Limit",
)  # or said to who types a command
FIELDS = {Result: ("reason", "remedy"), Fault: ("reason", "remedy")}
FIELDS |= {Finding: ("symptom", "evidence", "cause", "remedy")}


class Pseudo(dict[str, str]):
    """A catalogue with every message: in brackets, with other letters, and with its holes the other way round."""

    def get(self, msgid: str, _: Any = None) -> str:
        """Return the message; glue between holes stays."""
        parts = list(string.Formatter().parse(msgid))
        if not any(char.isalpha() for text, *_ in parts for char in text):
            return msgid
        holes = [
            f"{{{name}{f'!{how}' if how else ''}{f':{form}' if form else ''}}}"
            for _, name, form, how in parts
            if name
        ]
        words = "".join(text.translate(LETTERS) for text, *_ in parts).replace("{", "{{").replace("}", "}}")
        return f"⟦{words} {' '.join(reversed(holes))}⟧"


PSEUDO = Pseudo()


@functools.cache
def english() -> dict[str, list[str]]:
    """Return the pieces of sentences in the source and in its tables of causes and remedies, by their first two words."""
    texts = {
        text
        for path in (ROOT / "python_checks").rglob("*.py")
        for text in _strings(ast.parse(path.read_text("utf-8")))
    }
    for path in (ROOT / "python_checks").rglob("known*.toml"):
        texts |= set(_said(tomllib.loads(path.read_text("utf-8"))))
    found: dict[str, list[str]] = {}
    for piece in {piece.strip() for text in texts for piece in re.split(r"\{[^}]*\}|\n", text)}:
        if SENTENCE.search(piece):
            found.setdefault(" ".join(piece.split()[:2]), []).append(piece)
    return found


def _strings(tree: ast.AST) -> Iterator[str]:
    """Yield the strings of a module but docstrings, the help of options, and what is looked for in the words of others."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.keyword) and node.arg == "help":
            continue
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) in LOOKED_FOR
        ):
            continue
        if isinstance(node, ast.Compare) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not _key(node, tree):
            yield node.value
        yield from _strings(node)


def _key(node: ast.Constant, tree: ast.AST) -> bool:
    """Tell whether a string is what a table is searched by."""
    return (isinstance(tree, ast.Dict) and node in tree.keys) or (
        isinstance(tree, ast.Tuple) and tree.elts[0] is node
    )


def _said(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (value[name] for name in ("cause", "remedy") if isinstance(value.get(name), str))
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _said(each)


def left(text: str) -> str:
    """Return the English of the source that is left of a text in the language that nobody speaks."""
    told = translated(text, PSEUDO)
    for begin in PAIR.finditer(told):
        for piece in english().get(begin[1], ()):
            if told.startswith(piece, begin.start(1)) and piece not in OTHERS:
                return piece
    return ""


def listen(heard: list[str]) -> Callable[[], None]:
    """Note what is said in results, faults and findings that are not well, and on screens; return how to stop."""
    starts = {kind: kind.__init__ for kind in FIELDS}

    def watched(kind: type) -> Callable[..., None]:
        @functools.wraps(starts[kind])
        def init(self: Any, *given: Any, **named: Any) -> None:
            starts[kind](self, *given, **named)
            if self.state is not State.OK:
                heard.extend(getattr(self, name) for name in FIELDS[kind])
            for line in self.evidence.get("screen", ()) if kind is Result else ():
                heard.extend(Line(*line)[:2])

        return init

    for kind in FIELDS:
        kind.__init__ = watched(kind)  # type: ignore[method-assign]  # to listen

    def stop() -> None:
        for kind, init in starts.items():
            kind.__init__ = init  # type: ignore[method-assign]  # as it was

    return stop
