"""A model that is not whole is not served, and what serves is left alone. The directory is a new one, as when a model is rolled out."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.systemd.deployed import Host

Refused = Callable[..., str]
SHARD = "model-00002-of-00003.safetensors"
COPY = "/srv/models/copy"


@pytest.fixture
def copy(host: Host) -> Iterator[str]:
    """A copy of the model, to be broken."""
    model = host.model
    host.told(f"cp -a {model} {COPY}")
    yield COPY
    host.told(f"rm -r {COPY}")


@pytest.mark.long
def test_shard_missing(host: Host, copy: str, refused: Refused) -> None:
    """The new model lacks a weight file."""
    host.told(f"rm {copy}/{SHARD}")
    assert f"{SHARD} is missing, though model.safetensors.index.json names it" in refused(vllm_model=copy)


def test_shard_truncated(host: Host, copy: str, refused: Refused) -> None:
    """A weight file of the new model lacks its last byte."""
    host.told(f"truncate --size -1 {copy}/{SHARD}")
    words = refused(vllm_model=copy)
    assert SHARD in words and "copy the model again" in words


@pytest.mark.long
def test_index_names_an_absent_file(host: Host, copy: str, refused: Refused) -> None:
    """The new model's index names a file that does not exist."""
    host.told(f"sed -i 's/00002-of-00003/00004-of-00003/' {copy}/model.safetensors.index.json")
    words = refused(vllm_model=copy)
    assert (
        "model-00004-of-00003.safetensors is missing, though model.safetensors.index.json names it" in words
    )
