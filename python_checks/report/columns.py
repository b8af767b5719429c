"""Text in columns of a terminal, where a Korean character takes two."""

import textwrap

from rich.cells import cell_len


class _Wide(str):
    """Text that is as long as it is wide: textwrap asks for nothing else."""

    def __len__(self) -> int:
        """Return its columns."""
        return cell_len(str(self))


class _Wrapper(textwrap.TextWrapper):
    def _split(self, text: str) -> list[str]:
        return [_Wide(chunk) for chunk in super()._split(text)]


def pad(words: str, width: int) -> str:
    """Return `words` with blanks up to `width` columns."""
    return words + " " * (width - cell_len(words))


def fill(words: str, head: str, width: int) -> str:
    """Return `words` behind `head`, wrapped into a column of their own; a path or a command is never cut."""
    wrapper = _Wrapper(
        width,
        initial_indent=_Wide(head),
        subsequent_indent=" " * cell_len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapper.fill(words) or head.rstrip()
