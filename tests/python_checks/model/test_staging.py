"""A model is fetched from a real HTTP server or a directory, whatever goes wrong there, and gets its name when all of it is there."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from python_checks import cli
from python_checks.core.result import CheckError, Result, State
from python_checks.core.timed import timed
from python_checks.model import download, fetching, room, staging
from python_checks.model.manifest import MARK, NAME
from python_checks.model.unreadable import PULL, RESOLVE
from python_checks.steps import model
from tests.python_checks.file_server import FileServer, serving
from tests.python_checks.model_directories import CACHE, NAMES, SNAPSHOT, hub_cache, lfs, two
from tests.python_checks.support import ROOT, Probe, shard

LARGE = NAMES[1]
SIZE = 5 * 2**20  # bytes of the large file's only tensor
SUM = "find -L . -type f ! -name SHA256SUMS ! -path '*/.*' -exec sha256sum {} + >SHA256SUMS"  # as the remedy says


def summed(directory: Path) -> Path:
    """Make the manifest as an operator does."""
    subprocess.run(SUM, shell=True, cwd=directory, check=True)
    return directory


def content(directory: Path) -> dict[str, bytes]:
    """Return what a directory holds, but the mark."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != MARK
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Give a whole model of random bytes with its manifest, on the server of the site."""
    path = two(tmp_path / "site")
    shard(path / LARGE, {"b": SIZE})
    with (path / LARGE).open("r+b") as file:
        file.seek(-SIZE, os.SEEK_END)
        file.write(os.urandom(SIZE))
    return summed(path)


@pytest.fixture
def site(source: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Serve it, without the pauses between tries."""
    monkeypatch.setattr(fetching, "PAUSES", (0.01,) * 6)
    with serving(source) as own:
        yield own


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models/gpt"


@pytest.fixture
def bring(target: Path) -> Callable[..., Result]:
    """Run the command in this process."""

    def run(source: str | Path, *arguments: str) -> Result:
        words = ["model", "--directory", str(target), "--source", str(source), *arguments]
        return timed("model", model.run, cli.parser(["model"]).parse_args(words))

    return run


def well(result: Result) -> Result:
    assert result.state is State.OK, f"{result.reason}; {result.remedy}"
    return result


def refused(result: Result, target: Path) -> Result:
    assert result.state is State.CRITICAL and result.remedy, result
    assert not target.exists()
    return result


Bring = Callable[..., Result]


def test_from_a_server(site: FileServer, source: Path, target: Path, bring: Bring) -> None:
    result = well(bring(site.url))
    assert result.reason.startswith("staged ")
    assert content(target) == content(source)
    assert site.sent[LARGE] == (source / LARGE).stat().st_size
    assert list(target.parent.iterdir()) == [target]
    assert {path.stat().st_mode & 0o777 for path in target.iterdir()} == {0o644}
    assert target.stat().st_mode & 0o777 == 0o755


def test_a_second_run_reads_the_manifest_alone(site: FileServer, target: Path, bring: Bring) -> None:
    well(bring(site.url))
    before = {path: (path.stat().st_ino, path.stat().st_ctime_ns) for path in target.iterdir()}
    site.asked.clear()
    assert well(bring(site.url)).reason == f"{target} is as its manifest says"
    assert [each.name for each in site.asked] == [NAME]
    assert {path: (path.stat().st_ino, path.stat().st_ctime_ns) for path in target.iterdir()} == before


def test_a_cheap_look_sees_size_and_time_and_a_full_one_the_bytes(
    site: FileServer, target: Path, bring: Bring
) -> None:
    well(bring(site.url))
    path, facts = target / LARGE, (target / LARGE).stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert "has another content" in bring(site.url).reason
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert bring(site.url).state is State.OK
    result = bring(site.url, "--full")
    assert (result.state, f"{LARGE} has another content" in result.reason) == (State.CRITICAL, True)
    assert "nothing was touched" in result.remedy and path.read_bytes() == data


def test_a_cut_connection_goes_on_where_it_was_cut(
    site: FileServer, source: Path, target: Path, bring: Bring
) -> None:
    site.cuts = [100_000, 2_000_000, 10]
    well(bring(site.url))
    assert site.gets(LARGE) == [0, 100_000, 2_100_000, 2_100_010]
    assert site.sent[LARGE] == (source / LARGE).stat().st_size  # no byte twice
    assert content(target) == content(source)


def test_a_server_without_ranges_begins_anew(
    site: FileServer, source: Path, target: Path, bring: Bring
) -> None:
    site.ranges, site.cuts = False, [3_000_000]
    well(bring(site.url))
    assert content(target) == content(source)


def test_a_server_without_head_and_one_that_tells_no_size(
    site: FileServer, source: Path, target: Path, bring: Bring
) -> None:
    site.heads, site.cuts = False, [3_000_000]
    well(bring(site.url))
    assert content(target) == content(source)


def test_tries_are_bounded(site: FileServer, target: Path, bring: Bring) -> None:
    site.cuts = [1000] * 40
    result = refused(bring(site.url), target)
    assert (
        len(site.gets(LARGE)) == fetching.TRIES
        and f"was not fetched in {fetching.TRIES} tries" in result.reason
    )
    site.cuts = []
    well(bring(site.url))
    assert site.gets(LARGE)[-1] == 1000 * fetching.TRIES  # what was fetched was kept


def test_tries_that_get_on_are_not_counted(
    site: FileServer, target: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "PROGRESS", 100_000)
    site.cuts = [400_000] * 40
    well(bring(site.url))
    assert len(site.gets(LARGE)) > fetching.TRIES


def test_an_unwell_server_is_asked_again(site: FileServer, source: Path, target: Path, bring: Bring) -> None:
    for name in (NAME, "config.json"):
        site.instead[name] = [(503, {}, b"busy"), (500, {}, b""), (200, {}, (source / name).read_bytes())]
    well(bring(site.url))
    assert len(site.gets(NAME)) == 3


def test_a_server_that_drips_is_cut_off(
    site: FileServer, target: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "WINDOW", 0.2)
    site.pause, site.piece = 0.05, 100
    result = refused(bring(site.url), target)
    assert "bytes in 0 s" in result.reason


def test_a_server_that_falls_silent_is_cut_off(
    site: FileServer, target: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "SILENT", 0.2)
    monkeypatch.setattr(fetching, "TRIES", 2)
    site.before = lambda name: time.sleep(1 if name == LARGE else 0)
    assert "timed out" in refused(bring(site.url), target).reason


def test_nobody_listens(target: Path, bring: Bring, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PAUSES", (0.01,) * 6)
    result = refused(bring(f"http://127.0.0.1:{free_port}"), target)
    assert f"{NAME} was not fetched in {fetching.TRIES} tries" in result.reason


@pytest.mark.parametrize(
    ("name", "answer", "words", "remedy"),
    [
        ("config.json", (404, {}, b""), "HTTP 404", "curl -I"),
        (NAME, (404, {}, b""), "HTTP 404", "the directory with SHA256SUMS"),
        (LARGE, (403, {}, b""), "HTTP 403", "vllm_model_authorization"),
        (LARGE, (200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>Sign in"), "gives a page (text/html", "sign-in"),
        (NAME, (200, {"Content-Type": "text/html"}, b"<html>Sign in"), "gives a page", "sign-in"),
        (NAME, (200, {}, b"<html>Sign in"), "line 1: '<html>Sign in': it is no line of sha256sum", "sha256sum"),
        (LARGE, (200, {"Content-Encoding": "gzip"}, b"x"), "is packed", "curl -I"),
        (LARGE, (302, {"Location": "/a-loop"}, b""), "cannot be asked: Exceeded", "curl -I"),
        (LARGE, (302, {"Location": "file:///etc/shadow"}, b""), "cannot be asked", "curl -I"),
    ],
)  # fmt: skip
def test_what_is_not_the_file(
    site: FileServer,
    target: Path,
    bring: Bring,
    name: str,
    answer: tuple[int, dict[str, str], bytes],
    words: str,
    remedy: str,
) -> None:
    site.instead[name] = [answer]
    site.instead["a-loop"] = [(302, {"Location": "/a-loop"}, b"")]
    result = refused(bring(site.url), target)
    assert words in result.reason and remedy in result.remedy, result


def test_a_redirect_is_followed(
    site: FileServer, source: Path, target: Path, bring: Bring, tmp_path: Path
) -> None:
    with serving(source) as other:
        site.secret = "Bearer q7Geheim9"
        site.instead[LARGE] = [
            (302, {"Location": f"{other.url}/{LARGE}".replace("127.0.0.1", "localhost")}, b"")
        ]
        (tmp_path / "secret").write_text(f"{site.secret}\n")
        well(bring(site.url, "--authorization-file", str(tmp_path / "secret")))
        assert content(target) == content(source)
        assert {each.authorization for each in site.asked} == {site.secret}
        assert {each.authorization for each in other.asked} == {""}  # it is the site's alone


def test_wrong_content_is_never_named(site: FileServer, source: Path, target: Path, bring: Bring) -> None:
    right = (source / LARGE).read_bytes()
    (source / LARGE).write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    result = refused(bring(site.url), target)
    assert f"{LARGE} is not what the manifest names" in result.reason and len(site.gets(LARGE)) == 1
    (source / LARGE).write_bytes(right)
    well(bring(site.url))
    assert len(site.gets("config.json")) == 1, "what was verified before is kept"


def test_a_corrupt_part_is_fetched_anew(site: FileServer, source: Path, target: Path, bring: Bring) -> None:
    site.cuts = [1000] * 40
    refused(bring(site.url), target)
    [part] = target.with_name(f".{target.name}.staging").glob("part-*")
    part.write_bytes(b"x" * part.stat().st_size)
    site.cuts = []
    well(bring(site.url))
    assert site.gets(LARGE)[-2:] == [1000 * fetching.TRIES, 0]
    assert content(target) == content(source)


def test_more_was_kept_than_the_server_has(
    site: FileServer, source: Path, target: Path, bring: Bring
) -> None:
    site.cuts = [1000] * 40
    refused(bring(site.url), target)
    [part] = target.with_name(f".{target.name}.staging").glob("part-*")
    for heads in (True, False):
        part.write_bytes(b"x" * (SIZE * 2))
        site.cuts, site.heads = [], heads
        well(bring(site.url))
        assert content(target) == content(source)
        shutil.rmtree(target)
        part.parent.mkdir()


def test_another_manifest_keeps_what_is_the_same(
    site: FileServer, source: Path, target: Path, bring: Bring
) -> None:
    site.cuts = [1000] * 40
    refused(bring(site.url), target)
    site.cuts = []
    site.asked.clear()
    (source / "tokenizer.json").write_text('{"new": 1}')
    (source / "old.json").write_text("{}")
    summed(source)
    well(bring(site.url))
    assert content(target) == content(source)
    assert (len(site.gets("config.json")), len(site.gets("tokenizer.json"))) == (0, 1)


def test_a_killed_run_is_gone_on_with(site: FileServer, source: Path, target: Path, bring: Bring) -> None:
    site.pause = 0.05
    words = [sys.executable, "-m", "python_checks", "model", "--directory", str(target), "--source", site.url]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while site.sent.get(LARGE, 0) < 2**20:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.01)
        assert "another run stages" in bring(site.url).reason
        assert f"process {process.pid}" in bring(site.url).reason
        process.send_signal(signal.SIGKILL)
    assert not target.exists()
    site.pause = 0
    well(bring(site.url))
    assert site.gets(LARGE)[1] >= 2**19 and content(target) == content(source)


def test_a_model_that_is_there_is_never_touched(
    site: FileServer, source: Path, target: Path, bring: Bring
) -> None:
    two(target)
    before = content(target)
    result = bring(site.url)
    assert result.state is State.CRITICAL and "is there and not what the manifest names" in result.reason
    assert "nothing was touched" in result.remedy and content(target) == before
    assert [each.name for each in site.asked] == [NAME]
    shutil.rmtree(target)
    shutil.copytree(source, target)
    assert well(bring(site.url)).reason == f"{target} is as its manifest says"  # by hand, and the same
    assert content(target) == content(source) and not (target / MARK).exists()


def test_an_empty_directory_is_taken(site: FileServer, source: Path, target: Path, bring: Bring) -> None:
    target.mkdir(parents=True)
    well(bring(site.url))
    assert content(target) == content(source)


def test_a_directory_that_came_meanwhile_stays(site: FileServer, target: Path, bring: Bring) -> None:
    def come(name: str) -> None:
        if name == LARGE:
            target.mkdir(exist_ok=True)
            (target / "mine").write_text("x")

    site.before = come
    result = bring(site.url)
    assert result.state is State.CRITICAL and "has come to hold something" in result.reason
    assert content(target) == {"mine": b"x"}


def test_a_full_disk_is_told_before_the_first_byte(
    site: FileServer, target: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = os.statvfs(target.parents[1])
    free = (SIZE + room.RESERVE - 4096) // facts.f_frsize
    small = os.statvfs_result((*facts[:4], free, *facts[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: small)
    result = refused(bring(site.url), target)
    assert "needs 1.00 GiB more" in result.reason and "free some" in result.remedy
    assert site.gets(LARGE) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root may mount a small disk")
def test_a_disk_that_fills_up_meanwhile(
    site: FileServer, source: Path, target: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "RESERVE", -(2**30))
    target.parent.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "test", target.parent], check=True)
    try:
        assert "the disk is full" in refused(bring(site.url), target).reason
        subprocess.run(["mount", "-o", "remount,size=20m", target.parent], check=True)
        well(bring(site.url))
        assert site.gets(LARGE)[1] > 2**20 and content(target) == content(source)
    finally:
        subprocess.run(["umount", target.parent], check=True)


@pytest.mark.parametrize("way", ["http", "directory"])
def test_pointers_of_git_lfs_are_refused_at_once(
    tmp_path: Path, target: Path, bring: Bring, way: str
) -> None:
    path = tmp_path / "clone"
    lfs(path)
    with serving(summed(path)) as site:
        result = refused(bring(site.url if way == "http" else path), target)
    assert "of Git LFS" in result.reason and PULL in result.remedy
    assert sum(len(site.gets(name)) for name in NAMES) == (1 if way == "http" else 0)


def test_a_manifest_of_half_a_model(site: FileServer, source: Path, target: Path, bring: Bring) -> None:
    lines = [line for line in (source / NAME).read_text().splitlines() if LARGE not in line]
    (source / NAME).write_text("\n".join(lines))
    result = refused(bring(site.url), target)
    assert f"no whole model: {LARGE} is missing" in result.reason


def test_from_a_directory(source: Path, target: Path, bring: Bring) -> None:
    well(bring(source))
    assert content(target) == content(source)
    assert well(bring(source)).reason == f"{target} is as its manifest says"


def test_a_snapshot_of_a_hub_becomes_files(tmp_path: Path, target: Path, bring: Bring) -> None:
    hub_cache(tmp_path / CACHE)
    snapshot = tmp_path / CACHE / "snapshots" / SNAPSHOT
    result = refused(bring(tmp_path / CACHE), target)
    assert (
        "is a cache of the model hub" in result.reason
        and f"the model lies in {snapshot}: name that" in result.remedy
    )
    result = refused(bring(snapshot), target)
    assert "SHA256SUMS is missing" in result.reason and "sha256sum" in result.remedy
    summed(snapshot)
    well(bring(snapshot))
    assert content(target) == content(snapshot) and not any(path.is_symlink() for path in target.iterdir())


def test_a_link_out_of_the_source_is_not_followed(
    source: Path, target: Path, bring: Bring, tmp_path: Path
) -> None:
    (tmp_path / "shadow").write_text("root:secret")
    (source / "chat_template.jinja").symlink_to(tmp_path / "shadow")
    summed(source)
    result = refused(bring(source), target)
    assert "is a link that leads out of the source" in result.reason and RESOLVE in result.remedy


def test_a_source_whose_manifest_names_more_than_there_is(source: Path, target: Path, bring: Bring) -> None:
    with (source / NAME).open("a") as file:
        file.write(f"{0:064x}  more.json\n")
    assert "more.json is missing, though SHA256SUMS names it" in refused(bring(source), target).reason


@pytest.mark.parametrize("source", ["", "models/gpt", "ftp://host/x", "/nowhere"])
def test_no_source(target: Path, bring: Bring, source: str) -> None:
    refused(bring(source), target)


@pytest.mark.parametrize(
    "url", ["http://user:q7Geheim9@host/x", "http://host/x?token=q7Geheim9", "http://host/x#q7Geheim9"]
)
def test_a_secret_in_the_url_is_refused_and_not_repeated(target: Path, bring: Bring, url: str) -> None:
    result = refused(bring(url), target)
    assert "Geheim" not in f"{result.reason}{result.remedy}" and "vllm_model_authorization" in result.remedy


def test_no_output_holds_the_secret(site: FileServer, probe: Probe, tmp_path: Path, target: Path) -> None:
    site.secret = "Bearer q7Geheim9"
    (tmp_path / "secret").write_text(site.secret)
    words = ["model", "--directory", str(target), "--source", site.url]
    done = probe(*words)
    assert done.returncode == 2 and "HTTP 401" in done.stdout
    site.instead["config.json"] = [(302, {"Location": "/q7Geheim9"}, b"")]
    for form in ("text", "json"):
        done = probe(*words, "--authorization-file", str(tmp_path / "secret"), "--format", form)
        assert done.returncode == 2 and "Geheim" not in done.stdout + done.stderr, done.stdout
        assert "/***: HTTP 404" in done.stdout
    (tmp_path / "secret").unlink()
    assert probe(*words, "--authorization-file", str(tmp_path / "secret")).returncode == 2


# What this machine may have set itself.
BARE = {
    name: ""
    for name in (*download.CERTIFICATES, "http_proxy", "https_proxy", "no_proxy", "NO_PROXY", "all_proxy")
}


def test_a_proxy_of_the_environment_is_asked(probe: Probe, site: FileServer, target: Path) -> None:
    asked = site.directory / "http:/models.invalid/gpt"  # for whole addresses
    asked.parent.mkdir(parents=True)
    asked.symlink_to(site.directory)
    words = ["model", "--directory", str(target), "--source", "http://models.invalid/gpt"]
    done = probe(*words, **BARE | {"http_proxy": site.url})
    assert done.returncode == 0, done.stdout


def certified(directory: Path) -> tuple[ssl.SSLContext, str]:
    """Make a certificate of this host that no authority signed, and return the server's side of it."""
    key, certificate = directory / "key.pem", directory / "ca.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        certificate,
    ]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, str(certificate)


def test_certificates_are_those_of_the_environment(
    probe: Probe, source: Path, tmp_path: Path, target: Path
) -> None:
    context, certificate = certified(tmp_path)
    with serving(source, context) as site, serving(source) as plain:
        words = ["model", "--directory", str(target), "--source", site.url]
        done = probe(*words, **BARE)
        assert (
            done.returncode == 2
            and "its certificate is not accepted" in done.stdout
            and "SSL_CERT_FILE" in done.stdout
        )
        assert not target.exists()
        done = probe(*words, **BARE | {"SSL_CERT_FILE": "/nowhere/ca.pem"})
        assert done.returncode == 2 and "/nowhere/ca.pem" in done.stdout
        site.instead["config.json"] = [(302, {"Location": f"{plain.url}/config.json"}, b"")]
        done = probe(*words, **BARE | {"SSL_CERT_FILE": certificate})
        assert done.returncode == 2 and "leads to an address without TLS" in done.stdout
        site.instead.clear()
        for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            done = probe(*words, **BARE | {variable: certificate})
            assert done.returncode == 0, done.stdout
            shutil.rmtree(target)


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root may give a directory away")
def test_root_writes_where_nobody_else_may(site: FileServer, target: Path, bring: Bring) -> None:
    target.parent.mkdir(mode=0o755)
    for owner, mode in ((4711, 0o755), (0, 0o777)):
        os.chown(target.parent, owner, 0)
        target.parent.chmod(mode)
        result = refused(bring(site.url), target)
        assert (
            f"others than root may change {target.parent}" in result.reason
            and f"sudo chown root: {target.parent}" in result.remedy
        )
        assert not list(target.parent.iterdir()) and not site.asked
    os.chown(target.parent, 0, 0)
    target.parent.chmod(0o755)
    planted = target.with_name(f".{target.name}.staging")
    planted.mkdir()
    os.chown(planted, 4711, 0)
    assert f"others than root may change {planted}" in refused(bring(site.url), target).reason
    planted.rmdir()
    elsewhere = target.parents[1] / "elsewhere"
    elsewhere.mkdir()
    os.chown(elsewhere, 4711, 0)
    planted.symlink_to(elsewhere)
    refused(bring(site.url), target)
    assert not list(elsewhere.iterdir())


def test_what_was_staged_can_be_removed(site: FileServer, target: Path, bring: Bring) -> None:
    assert well(bring("", "--remove")).reason == f"{target} is not there"
    site.cuts = [1000] * 40
    refused(bring(site.url), target)
    assert well(bring("", "--remove")).reason == f"removed {target}"
    assert list(target.parent.iterdir()) == []
    site.cuts = []
    well(bring(site.url))
    assert well(bring("", "--remove")).reason == f"removed {target}"
    assert list(target.parent.iterdir()) == []


def test_what_was_not_staged_or_is_served_stays(
    site: FileServer, target: Path, bring: Bring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two(target)
    assert "was not staged by ansible/model.yml" in bring("", "--remove").reason
    shutil.rmtree(target)
    well(bring(site.url))
    (tmp_path / "services").mkdir()
    (tmp_path / "link").symlink_to(target)
    row = {
        "name": "vllm",
        "kind": "chat",
        "manager": "systemd",
        "unit": "vllm",
        "model": str(tmp_path / "link"),
    }
    (tmp_path / "services/vllm.json").write_text(json.dumps(row))
    monkeypatch.setenv("CHECKS_HOME", str(tmp_path))
    assert f"{target} is the model of vllm" in bring("", "--remove").reason
    assert (target / LARGE).exists()


@pytest.mark.parametrize("directory", ["relative", "/", "/srv/../etc"])
def test_a_directory_that_cannot_be_meant(directory: str) -> None:
    with pytest.raises(CheckError, match="no absolute path"):
        staging.Staging(Path(directory))


def test_a_port_that_speaks_no_http(target: Path, bring: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PAUSES", (0.01,) * 6)
    monkeypatch.setattr(download, "SILENT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        refused(bring(f"http://127.0.0.1:{server.getsockname()[1]}"), target)
