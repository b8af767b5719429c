"""Action ``check_secrets``: secrets that cannot be kept or passed on, and what looks like one where every user of the host reads it.

It looks at the variables ``<role>_secrets``, ``<role>_environment``, ``vllm_api_key`` and ``vllm_extra_args``, and says no value.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible.parsing.vault import VaultHelper

from ansible.plugins.action import ActionBase

ROLES = ("vllm", "backend", "monitoring")
KEY = "VLLM_API_KEY"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SECRET = re.compile(
    r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)$"
)  # the end of a word of a name
PLACE = re.compile(
    r"true|false|yes|no|none|auto|(~|/|\.{1,2}/).*", re.IGNORECASE
)  # a switch, or where a file is
PASSWORD = re.compile(r"://[^/\s:@]*:[^/\s@]+@")  # of a URL
# Options of vLLM that put a secret on its command line and into its log, although it reads a variable as well.
OPTIONS = {"--api-key": "vllm_api_key", "--hf-token": "vllm_secrets: {HF_TOKEN: …}"}
VAULT = "encrypt it: ansible-vault encrypt_string --stdin-name NAME"


def looks_secret(name: str, value: object) -> bool:
    """Tell whether a variable looks like a secret, by its name, by a password in a URL, or for somebody has encrypted it."""
    text = str(value)
    if PASSWORD.search(text) or VaultHelper.get_ciphertext(value, with_tags=False):
        return True
    words = [bool(SECRET.search(word)) for word in re.split("[^A-Z0-9]+", name.upper()) if word]
    number = text.replace(".", "").isdecimal() and words[-1:] != [True]  # TOKEN_LIMIT, and no PASSWORD
    return any(words) and bool(text) and not number and not PLACE.fullmatch(text)


def mapping_faults(name: str, given: object) -> Iterator[str]:
    """Yield what is wrong with a variable of secrets."""
    if not isinstance(given, Mapping):
        yield f'{name} is no mapping of names to values; on the command line it takes JSON: -e \'{{"{name}": {{"NAME": …}}}}\'.'
        return
    for key, value in given.items():
        if not NAME.fullmatch(str(key)):
            yield f"{name}: {str(key)!r} is no name of an environment variable (letters, digits and _)."
        elif not isinstance(value, str):
            yield f"{name}: {key} is no text but {type(value).__name__}; put it in quotes."
        elif any(unicodedata.category(char) == "Cc" and char not in "\t\n" for char in value):
            yield f"{name}: {key} holds a control character, which no environment variable carries unharmed."
        elif any(0xD800 <= ord(char) < 0xE000 for char in value):
            yield f"{name}: {key} is no valid UTF-8."


def key_faults(name: str, key: object) -> Iterator[str]:
    """Yield why vLLM's clients could not say a key."""
    if not isinstance(key, str):
        yield f"{name} is no text but {type(key).__name__}; put it in quotes."
    elif not all("!" <= char <= "~" for char in key):
        yield (
            f"{name} holds a blank, a line break (at its end?) or a letter outside of ASCII, and clients say it in an HTTP header."
            " Make one: openssl rand -hex 32"
        )


def option_faults(words: list[str]) -> Iterator[str]:
    """Yield the options of vLLM that hold a secret; vLLM takes ``_`` for ``-``, and a beginning that is unambiguous."""
    for place, word in enumerate(words):
        name, sign, value = word.partition("=")
        value = value if sign else "".join(words[place + 1 : place + 2])
        for option, instead in OPTIONS.items():
            if (
                option.startswith(name.replace("_", "-"))
                and len(name) >= len("--api-k")
                and value[:2] not in ("", "--")
            ):
                yield (
                    f"vllm_extra_args holds {option}: every user of the host sees it (ps, the unit), and vLLM logs it. Set"
                    f" {instead} instead, and {VAULT}."
                )


def suspicious(name: str, value: object) -> Iterator[str]:
    """Yield the names of what looks like a secret in JSON of an argument."""
    try:
        document = json.loads(value) if isinstance(value, str) and value[:1] in "{[" else value
    except ValueError:
        document = value
    if isinstance(document, Mapping):
        for key, each in document.items():
            yield from suspicious(str(key), each)
    elif isinstance(document, list):
        for each in document:
            yield from suspicious(name, each)
    elif looks_secret(name, document):
        yield name


def argument_warnings(words: list[str]) -> list[str]:
    """Return the names of what looks like a secret in vLLM's further arguments."""
    found: list[str] = []
    for place, word in enumerate(words):
        name, sign, value = word.partition("=")
        value = value if sign else "".join(words[place + 1 : place + 2])
        if name.startswith("--") and not value.startswith("--"):
            found += suspicious(name, value)
    return found


class ActionModule(ActionBase):
    """Check a host's variables."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with one line for each fault; warn of what is public and looks like a secret."""
        given = task_vars or {}

        def value(name: str, default: Any) -> Any:
            return self._templar.template(given[name]) if name in given else default

        faults, warnings = of_variables(value, ROLES)
        rows = value("vllm_extra_instances", [])
        for row in rows if isinstance(rows, list) else []:
            if isinstance(row, Mapping):
                more, told = of_variables(lambda name, default, row=row: row.get(name, default), ROLES[:1])
                where = f"vllm_extra_instances, {row.get('vllm_name', 'without vllm_name')}: "
                faults += [where + line for line in more]
                warnings += [where + line for line in told]
        if faults:
            return {"failed": True, "msg": "\n".join(dict.fromkeys(faults)), "warnings": warnings}
        return {"changed": False, "warnings": warnings}


def of_variables(value: Callable[[str, Any], Any], roles: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the faults and the warnings of the variables of roles, which ``value`` gives by name and default."""
    faults: list[str] = []
    warnings: list[str] = []
    for role in roles:
        secrets, public = value(f"{role}_secrets", {}), value(f"{role}_environment", {})
        faults += mapping_faults(f"{role}_secrets", secrets)
        if not isinstance(public, Mapping):  # another check says so
            continue
        twice = sorted(set(public) & set(secrets)) if isinstance(secrets, Mapping) else []
        faults += [
            f"{name} is in {role}_environment and in {role}_secrets; leave it in the latter."
            for name in twice
        ]
        warnings += [
            f"{role}_environment: {name} looks like a secret, and every user of the host can read it (the unit,"
            f" systemctl show). Move it to {role}_secrets, and {VAULT}."
            for name, each in public.items()
            if looks_secret(str(name), each) and name not in (*twice, KEY)
        ]
        if KEY in public and role == "vllm" and KEY not in twice:
            faults.append(
                f"{KEY} is in vllm_environment, which every user of the host can read. Set vllm_api_key instead."
            )
    key, words = value("vllm_api_key", ""), value("vllm_extra_args", [])
    secrets = value("vllm_secrets", {})
    other = secrets.get(KEY, key) if isinstance(secrets, Mapping) else key
    faults += [*key_faults("vllm_api_key", key)] or [*key_faults(f"vllm_secrets: {KEY}", other)]
    if key and other != key:
        faults.append(
            f"vllm_api_key and {KEY} of vllm_secrets are two keys; vLLM takes one. Leave out the latter."
        )
    words = [str(word) for word in words] if isinstance(words, list) else []
    refused = [*option_faults(words)]
    warnings += [
        f"vllm_extra_args: {name} looks like a secret, and every user of the host can read it (ps, the unit, vLLM's log)."
        for name in dict.fromkeys(argument_warnings(words))
        if not refused
    ]
    return faults + refused, warnings
