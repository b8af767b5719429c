"""Messages for people: finished English that also knows its message id and values, so that a screen can print it in another language."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, TypeVar

Value = TypeVar("Value")


class Catalogue(dict[str, str | tuple[str, ...]]):
    """Message id -> the same in another language; of a counted one its forms, as gettext numbers them.

    Attributes:
        plural: Tells which form a number takes; English has one for 1 and one for all else.
    """

    plural: Callable[[int], int] = staticmethod(lambda number: int(number != 1))


class Said(str):
    """English text, made by `say` or `joined`.

    Attributes:
        msgid: What the catalogue knows it by: the English text with a hole for each value.
        many: The same for any number in its hole `{number}` but 1; empty where nothing is counted.
        values: What fills the holes; said texts among them are translated, too.
        changes: What was done to the text since, such as to shorten it; a translation goes through the same.
    """

    msgid: str
    many: str
    values: Mapping[str, Any]
    changes: tuple[Callable[[str], str], ...]

    @classmethod
    def made(
        cls,
        msgid: str,
        values: Mapping[str, Any],
        changes: tuple[Callable[[str], str], ...] = (),
        many: str = "",
    ) -> Self:
        """Put the values into the holes of the English text."""
        text = cls(_changed(_form(msgid, many, values, Catalogue()).format(**values), changes))
        text.msgid, text.many, text.values, text.changes = msgid, many, values, changes
        return text

    def through(self, change: Callable[[str], str]) -> Self:
        """Return the text with a change made, which every translation of it goes through as well."""
        return self.made(self.msgid, self.values, (*self.changes, change), self.many)

    def filled(self, **values: Any) -> Self:
        """Return the text with other values in holes of these names, in the said texts within it, too."""
        own = {name: values.get(name, value) for name, value in self.values.items()}
        within = {
            name: value.filled(**values) if isinstance(value, Said) else value for name, value in own.items()
        }
        return self.made(self.msgid, within, self.changes, self.many)

    def told(self, catalogue: Catalogue) -> str:
        """Return the text in the catalogue's language; what it lacks stays English."""
        values = {name: translated(value, catalogue) for name, value in self.values.items()}
        return _changed(_form(self.msgid, self.many, values, catalogue).format(**values), self.changes)

    def __str__(self) -> Self:
        """Return itself: an exception or an object whose text is said gives it back as such."""
        return self

    def __add__(self, more: str) -> "Said":
        """Return both, one behind the other."""
        return joined("", (self, more))

    def __radd__(self, before: str) -> "Said":
        """Return both, one behind the other."""
        return joined("", (before, self))


def say(msgid: str, /, **values: object) -> Said:
    """Return a message.

    Args:
        msgid: Its English text, a literal (docs/words.py extracts it) or one that `msg` marks; `{name}` is a hole, as of str.format.
        values: What fills the holes: numbers, said texts, or anything else as its text.
    """
    return Said.made(msgid, {name: _value(value) for name, value in values.items()})


def count(number: int, one: str, many: str, *, none: str = "", **values: object) -> Said:
    """Return a message about a number, which fills its hole `{number}`, in the form that the number takes, as ngettext does.

    Args:
        number: How many there are.
        one: The message id: the English text for 1.
        many: The English text for any other number.
        none: Another message for 0, which `msg` marks.
        values: What fills the other holes.
    """
    if none and not number:
        return say(none, **values)
    return Said.made(
        one, {name: _value(value) for name, value in (values | {"number": number}).items()}, many=many
    )


def joined(separator: str, parts: Iterable[str]) -> Said:
    """Return texts with a separator between them, as str.join does; each is translated by itself, and the separator, too."""
    named = {f"part{number}": part for number, part in enumerate(parts)}
    return Said.made("{between}".join(f"{{{name}}}" for name in named), named | {"between": separator})


def msg(msgid: str) -> str:
    """Mark a message id that `say` gets later, from a table or a constant."""
    return msgid


def msgs(one: str, many: str) -> tuple[str, str]:
    """Mark the two forms of a message that `count` gets later, from a table."""
    return one, many


def translated(value: Value, catalogue: Catalogue) -> Value | str:
    """Return a said text in the catalogue's language; anything else stays as it is."""
    return value.told(catalogue) if isinstance(value, Said) else value


def _form(msgid: str, many: str, values: Mapping[str, Any], catalogue: Catalogue) -> str:
    """Return the text of a message in a language, its holes still open."""
    forms = catalogue.get(msgid)
    if forms is None:
        return msgid if not many or values["number"] == 1 else many
    return forms if isinstance(forms, str) else forms[catalogue.plural(values["number"])]


def _value(value: object) -> object:
    return value if isinstance(value, str | int | float) else str(value)


def _changed(text: str, changes: Iterable[Callable[[str], str]]) -> str:
    for change in changes:
        text = change(text)
    return text
