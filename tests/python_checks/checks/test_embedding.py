"""`embedding`: malformed vectors, and those of a model that tells texts apart."""

import math
from typing import Any

import pytest

from tests.python_checks.support import Probe, Server

GOOD = [[0.5, -0.25, 1.0], [0.5, 0.25, 1]]


def reply(vectors: list[Any]) -> dict[str, Any]:
    return {
        "object": "list",
        "data": [{"index": place, "embedding": each} for place, each in enumerate(vectors)],
    }


def test_a_model_that_embeds(probe: Probe, server: Server) -> None:
    server.answers["/v1/embeddings"] = (200, reply(GOOD))
    done = probe("embedding", "--url", server.url, "--model", "e")
    assert done.returncode == 0 and "2 texts have 2 different embeddings of 3 numbers" in done.stdout
    [(_, body)] = server.requests
    assert body["model"] == "e" and len(set(body["input"])) == 2


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (GOOD[:1], "1 embedding came for 2 texts"),
        ([*GOOD, GOOD[0]], "3 embeddings came for 2 texts"),
        ([[1.0], [1.0, 2.0]], "have 1, 2 numbers, wanted one length"),
        ([[], []], "have 0 numbers"),
        ([[math.nan, 1.0], [1.0, 2.0]], "NaN in it is no JSON"),
        ([[1.0, math.inf], [1.0, 2.0]], "Infinity in it is no JSON"),
        ([[None, 1.0], [1.0, 2.0]], "no finite number"),
        ([[True, 1.0], [1.0, 2.0]], "no finite number"),
        ([[0.0, 0.0], [1.0, 2.0]], "nothing but zeros"),
        ([GOOD[0], GOOD[0]], "the same embedding"),
        (["text", "text"], "no embeddings"),
    ],
)
def test_vectors_that_are_none(probe: Probe, server: Server, vectors: list[Any], words: str) -> None:
    server.answers["/v1/embeddings"] = (200, reply(vectors))
    done = probe("embedding", "--url", server.url, "--model", "e")
    assert done.returncode == 2 and words in done.stdout, done.stdout


def test_a_model_that_does_not_embed(probe: Probe, server: Server) -> None:
    server.answers["/v1/embeddings"] = (404, {"detail": "Not Found"})
    done = probe("embedding", "--url", server.url, "--model", "e")
    assert done.returncode == 2 and "HTTP 404" in done.stdout


def test_a_start_ends_with_an_embedding(probe: Probe, server: Server) -> None:
    server.answers |= {"/health": (200, ""), "/v1/embeddings": (200, reply(GOOD))}
    options = ("--url", server.url, "--model", "e", "--embedding", "--deadline", "20")
    done = probe("wait", *options)
    assert done.returncode == 0 and "e answered an embedding" in done.stdout, done.stdout
    server.answers["/v1/embeddings"] = (200, reply([GOOD[0], GOOD[0]]))
    done = probe("wait", *options)
    assert done.returncode == 2 and "the same embedding" in done.stdout
    server.answers["/v1/embeddings"] = (500, {"error": {"message": "no kernel"}})
    done = probe("wait", *options)
    assert done.returncode == 2 and "healthy, but the first embedding failed: HTTP 500" in done.stdout
