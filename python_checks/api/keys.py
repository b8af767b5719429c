"""The API keys of servers: every request to a server carries its key, and none to another does."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from python_checks.core.hidden import hide
from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import say

VARIABLE = "VLLM_API_KEY"  # where vLLM itself looks for it
REFUSED = (401, 403)  # what a server says to a key that is not its own
REMEDY = say(
    "the API key is missing or is not the server's: deploy.yml gives the one of vllm_api_key to "
    "vLLM, its probes and the backend; by hand: --api-key-file FILE"
)
UNREADABLE = say("run it as root, or name a file of your own by --api-key-file")
UNUSABLE = say(
    "the file holds one key: visible ASCII characters without a blank, which an HTTP header can carry"
)

_files: dict[tuple[str, str | None, int | None], Path | None] = {}


def use(url: str, path: Path | None) -> None:
    """Have requests to the server at `url` carry the key in the file `path`; without one that of the environment, if any."""
    _files[_origin(url)] = path


def header(url: str) -> dict[str, str]:
    """Return the header of a request to `url` that holds its server's key; none where it has no key.

    Raises:
        CheckError: as `of`.
    """
    key = of(url)
    return {"Authorization": f"Bearer {key}"} if key else {}


def of(url: str) -> str:
    """Return the key of the server at `url`, empty when it has none. A deploy may change it at any time, so it is not kept.

    Raises:
        CheckError: its file cannot be read, or holds no key.
    """
    origin = _origin(url)
    if origin not in _files:
        return ""
    path = _files[origin]
    key = read(path) if path else os.environ.get(VARIABLE, "")
    if not key and not path:
        return ""
    if not all("!" <= char <= "~" for char in key) or not key:
        raise CheckError(
            Fault(say("{path} does not hold an API key", path=path or VARIABLE), UNUSABLE, State.UNKNOWN)
        )
    hide(key)
    return key


def read(path: Path) -> str:
    """Return the text of a file, or of the systemd credential with its name.

    Raises:
        CheckError: it cannot be read.
    """
    credential = Path(os.environ.get("CREDENTIALS_DIRECTORY", os.devnull), path.name)
    try:
        found = credential if credential.exists() else path
        return found.read_text(encoding="latin-1").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        words = say("the API key in {path} cannot be read: {strerror}", path=path, strerror=error.strerror)
        raise CheckError(Fault(words, UNREADABLE, State.UNKNOWN)) from error


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
