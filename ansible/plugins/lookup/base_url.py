"""Lookup ``base_url``: where programs of a host reach a server of it that binds an address and a port."""

from __future__ import annotations

from typing import Any

from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: base_url
author: vllm-deploy
short_description: A URL such as C(http://127.0.0.1:8000) from the address and the port that a server binds
options:
  _terms:
    description: The address and the port.
    required: true
"""
REACHED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # what binds every address


def base_url(host: str, port: int) -> str:
    """Return the URL; an IPv6 address gets its brackets."""
    place = REACHED.get(host, host)
    return f"http://[{place}]:{port}" if ":" in place else f"http://{place}:{port}"


class LookupModule(LookupBase):
    """Ansible's entry to ``base_url``."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return the URL of the server."""
        return [base_url(str(terms[0]), int(terms[1]))]
