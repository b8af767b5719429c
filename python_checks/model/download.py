"""A model from an HTTP(S) server of the site: any that serves files; with ranges it is resumed."""

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from python_checks.core.result import CheckError, Fault, shorten
from python_checks.core.say import say
from python_checks.model import manifest
from python_checks.model.sources import PIECE, PassingError

if TYPE_CHECKING:
    import requests

CONNECT, SILENT = 10.0, 30.0  # seconds to connect, and without a byte
WINDOW, LEAST = 60.0, 2**16  # seconds, and the bytes that must come in them: who drips would never end
REDIRECTS = 5
PASSING = (408, 425, 429)  # with 5xx: another try may succeed
CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
LOOK = say("open that address with curl -I on the host; the URL is that of the directory with SHA256SUMS")
ALLOW = say("give vllm_model_authorization the value of the header Authorization, e.g. Bearer TOKEN")
PAGE = say("it is the page of a sign-in or of a catalogue: name the address of the files themselves")
TRUST = say("set host_ca_file (by hand: SSL_CERT_FILE) to the CA, or have the server send the whole chain")


class Http:
    """A server. Its certificate is judged, and proxies are used, as the environment says."""

    def __init__(self, url: str, authorization: str = "") -> None:
        """Ask nothing yet; `authorization` is the value of the header of that name."""
        import requests

        self.url = url
        self._session = requests.Session()
        self._session.max_redirects = REDIRECTS
        self._session.headers["Accept-Encoding"] = "identity"  # what is packed has other bytes, and no ranges
        if authorization:
            self._session.headers["Authorization"] = authorization
            self._session.auth = lambda request: request  # else a netrc would replace it
        self._verify = next(filter(None, map(os.environ.get, CERTIFICATES)), True)

    def sums(self) -> str:
        """Return the text of its manifest."""
        _, pieces = self.read(manifest.NAME, 0)
        text = b""
        for piece in pieces:
            text += piece
            if len(text) > manifest.LIMIT:
                raise CheckError(
                    Fault(say("{name} is too large", name=self._address(manifest.NAME)), manifest.MAKE)
                )
        return text.decode("utf-8", "replace")

    def size(self, name: str) -> int | None:
        """Return the bytes of a file, None where the server does not tell."""
        with self._ask("HEAD", name, 0) as response:
            if response.status_code in (405, 501):
                return None
            self._judge(response, name)
            length = response.headers.get("Content-Length", "")
            return int(length) if length.isdecimal() else None

    def read(self, name: str, begin: int) -> tuple[int, Iterator[bytes]]:
        """Return a file from a byte on."""
        response = self._ask("GET", name, begin)
        try:
            if response.status_code == 416:
                raise PassingError(say("the server has fewer bytes than were fetched"))
            self._judge(response, name)
            span = response.headers.get("Content-Range", "")
            if response.status_code == 206 and not span.startswith(f"bytes {begin}-"):
                raise PassingError(
                    say("another part came than was asked for: {span}", span=shorten(repr(span), 60))
                )
        except Exception:
            response.close()
            raise
        return (begin if response.status_code == 206 else 0), self._pieces(response)

    def _ask(self, method: str, name: str, begin: int) -> "requests.Response":
        import requests

        headers = {"Range": f"bytes={begin}-"} if begin else {}
        address = self._address(name)
        try:
            return self._session.request(
                method,
                address,
                headers=headers,
                stream=True,
                timeout=(CONNECT, SILENT),
                allow_redirects=True,
                verify=self._verify,
            )
        except requests.exceptions.SSLError as error:
            words = say(
                "{url}: its certificate is not accepted: {error}", url=address, error=shorten(str(error), 300)
            )
            raise CheckError(Fault(words, TRUST)) from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise PassingError(shorten(str(error), 200)) from error
        # Too many redirects, an unknown scheme, no such CA file.
        except (requests.RequestException, OSError) as error:
            words = say("{url} cannot be asked: {error}", url=address, error=shorten(str(error), 300))
            raise CheckError(Fault(words, LOOK)) from error

    def _judge(self, response: "requests.Response", name: str) -> None:
        """Refuse what is not the file."""
        status, kind = response.status_code, response.headers.get("Content-Type", "")
        if status in PASSING or status >= 500:
            raise PassingError(f"HTTP {status}")
        if status in (401, 403, 407):
            raise CheckError(Fault(say("{url}: HTTP {status}", url=response.url, status=status), ALLOW))
        if status not in (200, 206):
            raise CheckError(Fault(say("{url}: HTTP {status}", url=response.url, status=status), LOOK))
        if self.url.startswith("https:") and not response.url.startswith("https:"):
            words = say("{url} leads to an address without TLS: {other}", url=self.url, other=response.url)
            raise CheckError(Fault(words, LOOK))
        if "html" in kind and not name.endswith((".html", ".htm")):
            words = say(
                "{url} gives a page ({kind}) and not the file", url=response.url, kind=shorten(kind, 60)
            )
            raise CheckError(Fault(words, PAGE))
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise CheckError(
                Fault(say("{url} is packed, though no packing was asked for", url=response.url), LOOK)
            )

    def _pieces(self, response: "requests.Response") -> Iterator[bytes]:
        from urllib3.exceptions import HTTPError

        end, gained = time.monotonic() + WINDOW, 0
        with response:
            try:
                while piece := response.raw.read1(PIECE, decode_content=False):
                    yield piece
                    gained += len(piece)
                    if time.monotonic() >= end:
                        if gained < LEAST:
                            raise PassingError(
                                say("{gained} bytes in {window:.0f} s", gained=gained, window=WINDOW)
                            )
                        end, gained = time.monotonic() + WINDOW, 0
            except (HTTPError, OSError) as error:
                raise PassingError(shorten(str(error), 200)) from error

    def _address(self, name: str) -> str:
        return f"{self.url}/{quote(name)}"
