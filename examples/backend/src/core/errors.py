"""Every failure that a client may see: an HTTP status, a code to act on, a reason to read, often a remedy."""

import re
import sqlite3
from dataclasses import dataclass

import httpx2
import openai
from langgraph.errors import GraphRecursionError

RETRY_SECONDS = 5
# vLLM has had several words for it.
_TOO_LONG = re.compile(r"context length|context window|max_model_len|maximum model length", re.IGNORECASE)


@dataclass
class ServiceError(Exception):
    """A failure with its answer to the client.

    Args:
        status: HTTP status.
        code: Stable name, for programs.
        reason: What happened, for people.
        remedy: What to do about it, where that is known.
    """

    status: int
    code: str
    reason: str
    remedy: str | None = None

    @property
    def body(self) -> dict[str, str]:
        """The JSON body of the answer."""
        body = {"error": self.code, "reason": self.reason}
        return body | {"remedy": self.remedy} if self.remedy else body

    @property
    def headers(self) -> dict[str, str]:
        """The extra headers of the answer: a 503 says when to come back, in seconds."""
        return {"Retry-After": str(RETRY_SECONDS)} if self.status == 503 else {}


def unavailable(reason: str) -> ServiceError:
    """Return the 503 of a model server that gives no answer now and may give one later."""
    return ServiceError(503, "model_unavailable", reason, "check that vLLM runs and answers at VLLM_BASE_URL")


def too_busy(turns: int) -> ServiceError:
    """Return the 503 of a backend that works on as many turns as it may."""
    remedy = "ask again later; MAX_TURNS is the limit"
    return ServiceError(503, "too_busy", f"{turns} turns are being answered already", remedy)


def client_gone() -> ServiceError:
    """Return what the log says of a client that did not wait for its answer; nobody receives it."""
    return ServiceError(499, "client_gone", "the client closed the connection")


def timed_out(seconds: float) -> ServiceError:
    """Return the 504 of an answer that took longer than its limit in seconds."""
    return ServiceError(
        504, "timeout", f"no answer within {seconds:g} s", "ask for less, or raise REQUEST_SECONDS"
    )


def _refused(error: openai.APIStatusError) -> ServiceError:
    """A 4xx of vLLM: the backend asked for something wrong, so its own answer is 502; but a message may be too long."""
    detail = error.body.get("message") if isinstance(error.body, dict) else None
    if error.status_code == 400 and _TOO_LONG.search(str(detail)):
        reason = "the message, and what tools answered to it, exceed the context of the model"
        return ServiceError(413, "too_long", reason, "send a shorter message")
    reason = f"the model server answered {error.status_code}: {str(detail or 'no reason given')[:300]}"
    remedies = {
        401: "set OPENAI_API_KEY to the key of the vLLM server",
        403: "set OPENAI_API_KEY to the key of the vLLM server",
        404: "set MODEL_NAME to a name that VLLM_BASE_URL/models lists",
    }
    return ServiceError(502, "model_refused", reason, remedies.get(error.status_code))


def model_fault(error: Exception) -> ServiceError:
    """Turn what a call of the model raised into what the client is told."""
    match error:
        case openai.APITimeoutError():
            return unavailable("the model server accepts no connection in time")
        case openai.RateLimitError():
            return unavailable("the model server is overloaded (429)")
        case openai.APIStatusError() if error.status_code < 500:
            return _refused(error)
        case openai.APIStatusError():
            return unavailable(f"the model server answered {error.status_code}")
        case openai.APIConnectionError():
            return unavailable("the model server cannot be reached")
        case httpx2.TransportError():
            return unavailable("the model server broke off its answer")
        case openai.APIError():
            return ServiceError(502, "model_failed", "the model server ended its answer with an error")
        case _:
            remedy = "check that VLLM_BASE_URL is a vLLM server, /v1 included"
            return ServiceError(502, "model_failed", "the answer is no chat completion", remedy)


def explain(error: Exception, limit: float) -> ServiceError:
    """Turn what a turn raised, outside the model, into what the client is told.

    Args:
        error: The exception of the agent, a tool or the session store.
        limit: The time limit of the turn in seconds.
    """
    match error:
        case TimeoutError():
            return timed_out(limit)
        case GraphRecursionError():
            remedy = "ask something simpler, or raise MAX_STEPS"
            return ServiceError(
                502, "too_many_steps", "the model kept calling tools without an answer", remedy
            )
        case sqlite3.Error():
            return ServiceError(
                503, "sessions_unavailable", "the session store cannot be used", "check SESSIONS_DB"
            )
        case _:
            return ServiceError(
                500, "internal_error", "unexpected failure; the log names it by the request id"
            )
