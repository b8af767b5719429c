"""What a failed HTTP exchange means, whichever library made it."""

from collections.abc import Iterator
from http.client import IncompleteRead
from urllib.parse import urlsplit

from python_checks.core.result import CheckError, Fault, State, shorten
from python_checks.core.say import say


class NoAnswerError(CheckError):
    """The deadline passed without an answer: busy or hung."""


class SeveredError(CheckError):
    """Nobody listens, or the connection was cut before the end of the answer: the server is not there, or died."""


class OddReplyError(CheckError):
    """What came is nothing that vLLM sends: too large, too long, in another form than was asked for."""


def odd(words: str) -> OddReplyError:
    """Return the error of a reply that is not read to its end."""
    remedy = say(
        "something else than vLLM seems to answer there, or to rewrite its replies: check host and port "
        "of --url"
    )
    return OddReplyError(Fault(say("{words}: not vLLM", words=words), remedy))


def failure(error: Exception | None, url: str, timeout: float) -> CheckError:
    """Return what to raise for a failed exchange; `error` None means that the deadline passed."""
    if isinstance(error, CheckError):
        return error
    place = urlsplit(url)
    port = place.port or (443 if place.scheme == "https" else 80)
    chain = list(_chain(error))
    if error is None or any(isinstance(each, TimeoutError) for each in chain):
        return NoAnswerError(
            Fault(
                say("no answer from {url} within {timeout:g} s", url=url, timeout=timeout),
                say(
                    "it is busy or hung: see its log, and vllm:num_requests_running and _waiting in /metrics"
                ),
            )
        )
    if any(isinstance(each, ConnectionRefusedError) for each in chain):
        return SeveredError(
            Fault(
                say("connection refused by {hostname}:{port}", hostname=place.hostname, port=port),
                say(
                    "is it running: ps aux | grep vllm; who listens: ss -ltnp | grep {port}; while the model loads "
                    "nothing listens yet: follow the log or run the wait check; from another host: sudo ufw status",
                    port=port,
                ),
            )
        )
    # urllib3's ProtocolError is known by name: who does not use it need not load it.
    cut = any(isinstance(each, IncompleteRead) or type(each).__name__ == "ProtocolError" for each in chain)
    severed = cut or any(isinstance(each, ConnectionError) for each in chain)
    if severed or (isinstance(chain[-1], OSError) and not isinstance(error, ValueError)):
        words = say("cut before the end of the answer") if cut else shorten(str(chain[-1]))
        fault = Fault(
            say(
                "no connection to {hostname}:{port}: {words}", hostname=place.hostname, port=port, words=words
            ),
            say(
                "check host name, port and the way there; a connection cut in between means that the server died"
            ),
        )
        return SeveredError(fault) if severed else CheckError(fault)
    state = State.UNKNOWN if isinstance(error, ValueError) else State.CRITICAL
    words = say("request to {url} failed: {error}", url=url, error=shorten(str(error)))
    return CheckError(Fault(words, say("check the URL and the server's log"), state))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those behind it: libraries wrap what the system said."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
