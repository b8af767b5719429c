"""Lookup ``content_id``: a short id of what files and folders hold, so that a path can be named by its content."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError

from ansible.plugins.lookup import LookupBase

sys.path.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
from content import content_id  # Ansible keeps plugins out of packages

DOCUMENTATION = """
name: content_id
author: vllm-deploy
short_description: 12 hex digits of the SHA-256 over files and folders of the controller
description: Bytecode (C(__pycache__)) does not count; names inside a folder do.
options:
  _terms:
    description: Paths of files or folders, together one id.
    required: true
"""


class LookupModule(LookupBase):
    """Ansible's entry to ``content_id``."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return one id for all ``terms`` together."""
        try:
            return [content_id([Path(term) for term in terms])]
        except FileNotFoundError as error:
            raise AnsibleLookupError(f"content_id: {error}") from error
