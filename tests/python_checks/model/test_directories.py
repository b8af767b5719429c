"""Directories of models as people had them, and more of the same kinds: what model-files says of each."""

import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from python_checks.core.result import CheckError, Result, State
from python_checks.model.elsewhere import GGUF, TOP
from python_checks.model.files import judge, look
from python_checks.model.shards import by_layers
from python_checks.model.unreadable import COPY, DOWNLOAD, PULL, REMOVE, RESOLVE
from tests.python_checks.model_directories import (
    CACHE,
    MAKERS,
    NAMES,
    POINTER,
    SNAPSHOT,
    base,
    hub_cache,
    numbered,
    two,
)
from tests.python_checks.support import Probe, shard


@pytest.mark.parametrize(
    ("name", "code", "words", "remedy"),
    [
        (
            "broken_link_single",
            2,
            "model.safetensors is a link to nothing (../../blobs/68a8dc1f8e2e",
            RESOLVE,
        ),
        (
            "zero_based_missing",
            2,
            "model-00007-of-00014.safetensors is missing",
            "counts its files from 00000",
        ),
        ("zero_based_whole", 0, "15 weight files, 0.00 GiB, complete; the index is missing", ""),
        ("lfs", 2, "2 files are pointers of Git LFS, not the files themselves", PULL),
        (CACHE, 2, "is a cache of the model hub", f"the model lies in {{}}/snapshots/{SNAPSHOT}: name that"),
    ],
)
def test_directories_that_people_had(
    probe: Probe, tmp_path: Path, name: str, code: int, words: str, remedy: str
) -> None:
    MAKERS[name](tmp_path / name)
    done = probe("model-files", "--directory", str(tmp_path / name))
    assert (done.returncode, words in done.stdout) == (code, True), done.stdout
    assert remedy.format(tmp_path / name) in done.stdout
    assert "of 14 are there" not in done.stdout
    assert code == 0 or name == "zero_based_missing" or COPY not in done.stdout


def found(directory: Path) -> Result:
    result = judge(directory)
    assert result.state is not State.CRITICAL or result.remedy
    return result


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """Give a whole model of two files with an index."""
    path = two(tmp_path / "model")
    assert found(path).state is State.OK
    return path


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", NAMES[1], "model.safetensors.index.json"])
@pytest.mark.parametrize("way", ["link", "circle", "directory", "socket", "pipe", "empty", "pointer", "xet"])
def test_what_is_listed_and_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, whole: Path, name: str, way: str
) -> None:
    path = whole / name
    path.unlink()
    match way:
        case "link":
            path.symlink_to("/nowhere/blob")
            words, remedy = "is a link to nothing (/nowhere/blob is not there)", RESOLVE
        case "circle":
            path.symlink_to(name)
            words, remedy = "is a link that leads in a circle", RESOLVE
        case "directory":
            path.mkdir()
            words, remedy = "is a directory in the place of a file", REMOVE
        case "socket":
            monkeypatch.chdir(whole)  # a path of a socket may not be long
            with socket.socket(socket.AF_UNIX) as own:
                own.bind(name)
            words, remedy = "is a socket, a pipe or a device", REMOVE
        case "pipe":
            os.mkfifo(path)
            words, remedy = "is a socket, a pipe or a device", REMOVE
        case "empty":
            path.touch()
            words, remedy = "is empty", COPY
        case "pointer":
            path.write_text(POINTER.format(1, 27868174))
            words, remedy = "is a pointer of Git LFS", PULL
        case _:
            path.write_text("# xet version 0\nfilesize = 27868174\nhash = 'abc'\n")
            words, remedy = "is a pointer of Git LFS", PULL
    result = found(whole)
    assert (result.state, result.reason, remedy) == (State.CRITICAL, result.reason, result.remedy)
    assert result.reason.startswith(f"{name} {words}")


def test_links_that_lead_to_their_files_are_well(whole: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    for file in whole.iterdir():
        (linked / file.name).symlink_to(file)
    assert found(linked).state is State.OK


@pytest.mark.parametrize(
    ("numbers", "last", "words"),
    [
        (range(1, 5), 4, ""),
        (range(0, 5), 4, ""),
        (range(1, 4), 4, "model-00004-of-00004.safetensors is missing"),
        (range(0, 4), 4, "model-00004-of-00004.safetensors is missing"),  # of gpt-oss, which counts from 0
        (range(2, 5), 4, "3 shards of 4 are there, and no index"),
        (range(1, 2), 9, "model-00002-of-00009.safetensors is missing"),
    ],
)
def test_a_number_is_trusted_by_where_it_begins(
    tmp_path: Path, numbers: range, last: int, words: str
) -> None:
    path = tmp_path / "model"
    numbered(path, numbers, last)
    result = found(path)
    assert result.reason.startswith(words) if words else "complete; the index is missing" in result.reason


def test_others_that_count_from_zero_may_end_before_the_number(tmp_path: Path) -> None:
    path = tmp_path / "model"
    numbered(path, range(4), 4)
    (path / "config.json").write_text('{"model_type": "llama"}')
    assert found(path).state is State.OK
    (path / "model-00002-of-00004.safetensors").unlink()
    assert found(path).reason == "model-00002-of-00004.safetensors is missing"


def test_bin_files_are_counted_too(tmp_path: Path) -> None:
    path = base(tmp_path / "model")
    for number in (1, 3):
        (path / f"pytorch_model-0000{number}-of-00003.bin").write_bytes(b"PK34")
    assert found(path).reason == "pytorch_model-00002-of-00003.bin is missing"


def test_weights_of_two_models_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "model"
    numbered(path, range(1, 3), 2)
    shard(path / "model-00001-of-00003.safetensors", {"x": 8})
    assert "weights of several models lie side by side: model-…-of-00002, " in found(path).reason


def test_a_layer_that_no_file_holds(tmp_path: Path) -> None:
    """The first of gpt-oss's files is missing, and the others are counted as if they began with 1."""
    path = base(tmp_path / "model")
    for number in range(1, 15):
        held = {
            f"model.layers.{layer}.mlp.w": 8 for layer in range(36) if layer % 14 == number % 14 and layer
        }
        shard(path / f"model-{number:05}-of-00014.safetensors", {"model.embed_tokens.weight": 8} | held)
    assert found(path).reason == "the weights of 1 of 36 layers are not all there: layer 0"


def test_layers_are_alike_in_gpt_oss_alone() -> None:
    tensors = {"model.embed_tokens.weight", "model.layers.0.a", "model.layers.0.b", "model.layers.1.a"}
    config = {"model_type": "gpt_oss", "num_hidden_layers": 2}
    assert ["layer 1" in fault.reason for fault in by_layers(tensors, config)] == [True]
    assert by_layers(tensors, config | {"model_type": "llama"}) == []
    assert by_layers(tensors | {"model.layers.1.b"}, config) == []
    bare = tensors | {"model.layers.1.b"} - {"model.embed_tokens.weight"}
    assert by_layers(bare - {"model.embed_tokens.weight"}, config)[0].reason.startswith("the embeddings")
    assert by_layers({"x"}, config) == [] == by_layers(tensors, {"num_hidden_layers": "2"})


def test_an_index_of_another_copy(whole: Path) -> None:
    (whole / NAMES[0]).rename(whole / "model-00000-of-00002.safetensors")
    result = found(whole)
    assert result.reason == f"{NAMES[0]} is missing, though model.safetensors.index.json names it"
    (whole / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../../etc/passwd"}}))
    assert "holds no weight_map" in found(whole).reason


def test_a_page_that_was_saved_as_weights(tmp_path: Path) -> None:
    path = base(tmp_path / "model")
    (path / "model.safetensors").write_text("<!DOCTYPE html><html>Sign in</html>")
    assert "model.safetensors is no safetensors file: it begins with b'<!DOCTYP'" in found(path).reason


@pytest.mark.parametrize("named", ["", "blobs", "refs", "snapshots"])
def test_a_cache_of_the_hub_and_what_is_in_it(tmp_path: Path, named: str) -> None:
    cache = tmp_path / CACHE
    hub_cache(cache)
    shutil.copytree(cache / "snapshots" / SNAPSHOT, cache / "snapshots" / "0a0a0a0a", symlinks=True)
    for path in (cache / "blobs").iterdir():
        path.rename(path.with_name(f"hash-{path.name}"))  # as the hub names them
    for link in (cache / "snapshots").glob("*/*"):
        target = link.readlink()
        link.unlink()
        link.symlink_to(target.with_name(f"hash-{target.name}"))
    result = found(cache / named)
    assert result.state is State.CRITICAL
    assert f"the model lies in {cache}/snapshots/{SNAPSHOT}: name that" in result.remedy
    assert found(cache / "snapshots" / SNAPSHOT).state is State.OK


def test_the_directory_of_all_caches(tmp_path: Path) -> None:
    hub_cache(tmp_path / "hub" / CACHE)
    assert f"the model lies in {tmp_path}/hub/{CACHE}/snapshots/{SNAPSHOT}" in found(tmp_path / "hub").remedy


def test_a_snapshot_without_its_blobs(tmp_path: Path) -> None:
    hub_cache(tmp_path / CACHE)
    snapshot = tmp_path / CACHE / "snapshots" / SNAPSHOT
    shutil.rmtree(tmp_path / CACHE / "blobs")
    result = found(snapshot)
    assert "files are links to nothing, e.g. config.json" in result.reason and result.remedy == RESOLVE
    (tmp_path / CACHE / "blobs").mkdir()
    (tmp_path / CACHE / "blobs" / "68a8dc1f8e2e.incomplete").touch()
    assert found(snapshot).remedy == DOWNLOAD


def test_a_cache_without_a_snapshot(tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    result = found(tmp_path)
    assert "holds no whole snapshot" in result.reason and result.remedy == DOWNLOAD


def test_a_download_that_has_not_ended(whole: Path) -> None:
    cache = whole / ".cache" / "huggingface" / "download"
    cache.mkdir(parents=True)
    (cache / "x.incomplete").touch()
    assert found(whole).state is State.OK  # an older one was left
    (whole / NAMES[1]).unlink()
    assert found(whole).remedy == DOWNLOAD


def test_the_directory_above_the_model(whole: Path) -> None:
    result = found(whole.parent)
    assert result.reason == f"{whole.parent} holds no model itself"
    assert result.remedy == f"the model lies in {whole}: name that"
    for name in "bcde":
        two(whole.parent / name)
    assert found(whole.parent).remedy.endswith("/d, …: name that")


def test_other_formats_of_gpt_oss(tmp_path: Path) -> None:
    path = base(tmp_path / "model")
    original, metal = path / "original", path / "metal"
    original.mkdir()
    (original / "config.json").write_text('{"num_experts": 128, "experts_per_token": 4}')
    shard(original / "model--00001-of-00001.safetensors", {"block.0.x": 8})
    metal.mkdir()
    (metal / "model.bin").write_bytes(b"GPT-OSS v1.0")
    result = found(path)
    assert (result.reason, result.remedy) == (
        "no weights but those in original/, which are not for vLLM",
        TOP,
    )
    for other in (original, metal):
        result = found(other)
        assert "not for vLLM" in result.reason and result.remedy == f"the model lies in {path}: name that"
    shutil.rmtree(original)
    shutil.rmtree(metal)
    (path / "gpt-oss-120b-Q4_K_M.gguf").write_bytes(b"GGUF")
    result = found(path)
    assert (result.reason, result.remedy) == ("no weights but GGUF: gpt-oss-120b-Q4_K_M.gguf", GGUF)


def test_a_disk_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, whole: Path) -> None:
    def fail(path: Path) -> list[str]:
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(os, "listdir", fail)
    with pytest.raises(CheckError, match="cannot be read: Input/output error"):
        look(whole)
