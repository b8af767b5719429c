"""Filter ``plain``: a text without characters that command a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
from plain_text import plain  # Ansible keeps plugins out of packages

DOCUMENTATION = """
name: plain
author: vllm-deploy
short_description: Text of a server or a log without characters that command a terminal
description: Lines and tabs stay; each other control character becomes C(?).
options:
  _input: {description: The text., type: str, required: true}
"""


class FilterModule:
    """Ansible's entry to ``plain``."""

    def filters(self) -> dict[str, Callable[[object], str]]:
        """Return the filters."""
        return {"plain": plain}
