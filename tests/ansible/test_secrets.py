"""Secrets without a host: what is refused or warned of before anything is touched, and which set of secrets a release gets."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import EncryptedString, VaultLib, VaultSecret, VaultSecretsContext
from ansible.template import Templar, trust_as_template
from loading import load
from playbooks import REPOSITORY, Playbook

check_secrets = load("action/check_secrets")
release = load("modules/release")
secret_sets = load("module_utils/secret_sets")
VALUE = "geheim-0"
# Names and values as people have them, and whether they are secrets.
PUBLIC = [
    ("TOKENIZERS_PARALLELISM", "false"),
    ("MAX_ANSWER_TOKENS", "4096"),
    ("TOKEN_LIMIT", "4096"),
    ("HISTORY_KEY_COUNT", "12.5"),
    ("SSL_KEY", "/etc/ssl/key.pem"),
    ("API_KEY_FILE", "~/key"),
    ("KEYBOARD", "de"),
    ("HF_TOKEN", ""),
    ("REQUIRE_TOKEN", "true"),
    ("VLLM_BASE_URL", "http://127.0.0.1:8000/v1"),
    ("MODEL_NAME", "gpt-oss-120b"),
    ("DATABASE_URL", "postgres://db:5432/x?options=a@b"),
]
SECRET = [
    ("HF_TOKEN", VALUE),
    ("OPENAI_API_KEY", VALUE),
    ("openai_api_key", VALUE),
    ("AWS_SECRET_ACCESS_KEY", VALUE),
    ("SECRET_KEY_BASE", VALUE),
    ("PGPASSWORD", VALUE),
    ("DB_PASSWD", VALUE),
    ("ADMIN_PASSWORD", "123456"),
    ("GITHUB-TOKEN", VALUE),
    ("CLIENT_SECRET", VALUE),
    ("SSH_PASSPHRASE", VALUE),
    ("GOOGLE_CREDENTIALS", '{"x": 1}'),
    ("APIKEY", VALUE),
    ("DATABASE_URL", f"postgres://user:{VALUE}@db/x"),
    ("PROXY", f"http://:{VALUE}@proxy:3128"),
]


@pytest.mark.parametrize(("name", "value"), [*PUBLIC, *SECRET])
def test_what_looks_like_a_secret(name: str, value: str) -> None:
    assert check_secrets.looks_secret(name, value) is ((name, value) in SECRET)


def check(**variables: Any) -> dict[str, Any]:
    """Run the action on variables of a host."""
    action = check_secrets.ActionModule.__new__(check_secrets.ActionModule)
    action._templar = Templar(DataLoader(), variables=variables)
    found: dict[str, Any] = action.run(task_vars=variables)
    assert VALUE not in str(found)
    return found


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"vllm_secrets": {"A B": VALUE}}, "'A B' is no name of an environment variable"),
        ({"vllm_secrets": {"1A": VALUE}}, "'1A' is no name of an environment variable"),
        ({"backend_secrets": {"A=B": VALUE}}, "'A=B' is no name"),
        ({"backend_secrets": {"A": 1234}}, "backend_secrets: A is no text but int; put it in quotes"),
        ({"backend_secrets": {"A": None}}, "A is no text but NoneType"),
        ({"backend_secrets": {"A": [VALUE]}}, "A is no text but list"),
        ({"backend_secrets": {"A": f"{VALUE}\0"}}, "A holds a control character"),
        ({"backend_secrets": {"A": f"{VALUE}\x1b[0m"}}, "A holds a control character"),
        ({"backend_secrets": {"A": f"{VALUE}\r\n"}}, "A holds a control character"),
        ({"backend_secrets": {"A": f"{VALUE}\udcff"}}, "A is no valid UTF-8"),
        ({"backend_secrets": f'{{"A": "{VALUE}"}}'}, "it takes JSON: -e '{\"backend_secrets\": "),
        ({"backend_secrets": [VALUE]}, "backend_secrets is no mapping"),
        ({"vllm_secrets": {"A": VALUE}, "vllm_environment": {"A": VALUE}}, "A is in vllm_environment and in vllm_secrets"),
        ({"vllm_environment": {"VLLM_API_KEY": VALUE}}, "Set vllm_api_key instead"),
        ({"vllm_api_key": f"{VALUE}\n"}, "vllm_api_key holds a blank, a line break (at its end?)"),
        ({"vllm_api_key": f"{VALUE} x"}, "vllm_api_key holds a blank"),
        ({"vllm_api_key": f"비밀{VALUE}"}, "a letter outside of ASCII"),
        ({"vllm_api_key": 1234}, "vllm_api_key is no text but int"),
        ({"vllm_secrets": {"VLLM_API_KEY": f"{VALUE}\n"}}, "vllm_secrets: VLLM_API_KEY holds a blank"),
        ({"vllm_secrets": {"VLLM_API_KEY": VALUE}, "vllm_api_key": f"{VALUE}1"}, "are two keys; vLLM takes one"),
        ({"vllm_extra_args": ["--api-key", VALUE]}, "vllm_extra_args holds --api-key: every user of the host sees it"),
        ({"vllm_extra_args": [f"--api-key={VALUE}"]}, "Set vllm_api_key instead"),
        ({"vllm_extra_args": ["--api_key", VALUE]}, "Set vllm_api_key instead"),
        ({"vllm_extra_args": ["--enforce-eager", "--api-k", VALUE]}, "Set vllm_api_key instead"),
        ({"vllm_extra_args": ["--api-key", f"/{VALUE}"]}, "Set vllm_api_key instead"),
        ({"vllm_extra_args": ["--hf-token", VALUE]}, "Set vllm_secrets: {HF_TOKEN: …} instead"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_or_is_public_is_refused_without_its_value(
    variables: dict[str, Any], said: str
) -> None:
    found = check(**variables)
    assert found["failed"] and said in found["msg"], found


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"vllm_environment": {"HF_TOKEN": VALUE}}, "vllm_environment: HF_TOKEN looks like a secret, and every user"),
        ({"backend_environment": {"OPENAI_API_KEY": VALUE}}, "Move it to backend_secrets, and encrypt it: ansible-vault encrypt_string"),
        ({"vllm_extra_args": ["--additional-config", f'{{"a": [{{"auth_token": "{VALUE}"}}]}}']}, "vllm_extra_args: auth_token looks like"),
        ({"vllm_extra_args": [f"--kv-transfer-config={{\"url\": \"redis://:{VALUE}@db\"}}"]}, "vllm_extra_args: url looks like"),
        ({"vllm_extra_args": ["--ssl-keyfile-password", VALUE]}, "vllm_extra_args: --ssl-keyfile-password looks like"),
    ],
)  # fmt: skip
def test_what_is_public_and_looks_like_a_secret_is_warned_of(variables: dict[str, Any], said: str) -> None:
    found = check(**variables)
    assert not found.get("failed") and [line for line in found["warnings"] if said in line], found


def test_what_is_encrypted_is_a_secret_by_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = [("default", VaultSecret(b"password"))]
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext(secrets))
    vaulted = EncryptedString(ciphertext=VaultLib(secrets).encrypt(VALUE).decode())
    for variables in (
        {"backend_environment": {"PLAIN": vaulted}},
        {"backend_environment": {"PLAIN": trust_as_template("{{ vaulted }}")}, "vaulted": vaulted},
    ):
        warnings = check(**variables)["warnings"]
        assert ["backend_environment: PLAIN looks like a secret" in line for line in warnings] == [True]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"vllm_environment": dict(PUBLIC), "backend_environment": dict(PUBLIC)},
        {"vllm_secrets": {"A": "a\nb\tc", "b_1": "값 \"'$`\\", "C": ""}, "vllm_api_key": r'"$%\`<é'[:-1]},
        {"vllm_secrets": {"VLLM_API_KEY": VALUE}, "vllm_api_key": VALUE},
        {"vllm_extra_args": ["--hf-token", "--enforce-eager", "--api-server-count", "2", "--tokenizer", "/m"]},
        {"vllm_extra_args": ["--additional-config", '{"note": "it\'s 100%"}', "--ssl-keyfile", "/etc/key.pem"]},
        {"vllm_extra_args": ["--max-num-batched-tokens", "4096", "--compilation-config={\"level\": 3}"]},
        {"vllm_secrets": trust_as_template("{{ {} }}")},
    ],
)  # fmt: skip
def test_what_is_in_order_is_let_through_in_silence(variables: dict[str, Any]) -> None:
    assert check(**variables) == {"changed": False, "warnings": []}


def test_a_deploy_stops_at_it_and_says_no_value(playbook: Playbook, tmp_path: Path) -> None:
    run = playbook(
        "deploy.yml",
        "-vvv",
        "-e",
        f'{{"vllm_extra_args": ["--api-key", "{VALUE}"], "vllm_secrets": {{"A": "{VALUE}\\u0000"}}}}',
    )
    said = " ".join(run.stdout.split())
    assert (
        run.returncode != 0
        and "vllm_extra_args holds --api-key" in said
        and "A holds a control character" in said
    )
    assert VALUE not in run.stdout and not (tmp_path / "demo/venvs").exists()


class Service:
    """The releases and the secrets of a service, as the tasks of roles/service use the modules."""

    def __init__(self, folder: Path) -> None:
        self.sets = secret_sets.Sets(folder / "secrets/x")
        self.releases = release.Releases(folder / "releases", "x.service", 0o644)
        self.given = {
            "install": str(folder / "x.service"),
            "verify": [],
            "running": None,
            "row": None,
            "keep": 3,
            "belongings": [],
        }
        self.dry = False

    def act(self, state: str, name: str, content: str = "") -> bool:
        """Do what the module's main() does."""
        result = release.act_with_secrets(
            self.releases, self.sets, self.given | {"state": state, "content": content}, name, self.dry
        )
        return bool(result["changed"])

    def begin(self, name: str, offered: str = "", **values: str) -> str:
        """Make and activate a release with secrets; return the id of these."""
        kept = self.sets.id_of(values, {"O": offered})
        if values:
            self.sets.keep(kept, values, {"O": offered})
        names = "".join(f" {each}" for each in sorted(values))
        self.act("present", name, f"# secrets {kept}:{names}\n" if values else "x\n")
        self.act("active", name)
        return str(kept)

    def deploy(self, name: str, **values: str) -> str:
        kept = self.begin(name, **values)
        self.act("good", name)
        return kept

    @property
    def gets(self) -> dict[str, str]:
        """What the activated release gets."""
        place = self.sets.directory / "current"
        return (
            {path.name: path.read_text() for path in place.iterdir() if "." not in path.name}
            if place.exists()
            else {}
        )

    @property
    def kept(self) -> set[str]:
        """The sets that are there."""
        return {path.name for path in self.sets.directory.glob("*") if path.name != "current"}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def test_another_secret_takes_the_place_of_the_old_one_once_it_is_proven(service: Service) -> None:
    first = service.deploy("a-1", K="1")
    assert service.gets == {"K": "1"} and service.kept == {first}
    second = service.begin("a-2", K="2")
    assert service.gets == {"K": "2"} and service.kept == {first, second}
    service.act("good", "a-2")
    assert service.gets == {"K": "2"} and service.kept == {second}


def test_what_served_before_comes_back_with_its_own(service: Service) -> None:
    first = service.deploy("a-1", K="1")
    service.begin("a-2", K="2")
    service.begin("a-3", K="3")  # a run that was killed before it
    assert service.act("active", "a-1")
    assert service.gets == {"K": "1"}
    service.act("absent", "a-3")
    assert service.kept == {first} and not service.act("active", "a-1")


def test_an_earlier_release_gets_the_newest(service: Service) -> None:
    service.deploy("a-1", K="1")
    service.deploy("a-2", K="2")
    service.act("active", "a-1")
    assert service.gets == {"K": "2"}
    service.act("good", "a-1")
    assert service.gets == {"K": "2"}
    # The same release with its first secret again: another set, so it is restarted.
    kept = service.sets.id_of({"K": "1"}, {"O": ""})
    service.sets.keep(kept, {"K": "1"}, {"O": ""})
    assert service.act("active", "a-1") and service.gets == {"K": "1"}
    assert not service.act("active", "a-1")


def test_without_secrets_none_is_kept_and_what_needs_them_is_told(service: Service) -> None:
    service.deploy("a-1", K="1", L="l")
    assert service.sets.lacking(service.releases.text("a-1")) == []
    service.begin("a-2")
    assert service.gets == {"K": "1", "L": "l"}  # what it does not name does no harm
    service.act("good", "a-2")
    assert not service.sets.directory.exists()
    assert service.sets.lacking(service.releases.text("a-1")) == ["K", "L"]
    service.deploy("a-3", L="l")
    assert service.sets.lacking(service.releases.text("a-1")) == ["K"]
    assert service.sets.lacking(service.releases.text("a-2")) == []


def test_what_never_worked_leaves_no_secret(service: Service) -> None:
    service.begin("a-1", K="1")
    service.act("absent", "a-1")
    assert not service.sets.directory.exists()


def test_a_dry_run_tells_and_changes_nothing(service: Service, tmp_path: Path) -> None:
    service.deploy("a-1", K="1")
    before = sorted(tmp_path.rglob("*"))
    kept = service.sets.id_of({"K": "2"}, {"O": ""}, dry=True)
    assert service.sets.keep(kept, {"K": "2"}, {"O": ""}, dry=True)
    service.dry = True
    assert service.act("present", "a-2", f"# secrets {kept}: K\n") and service.act("active", "a-2")
    assert sorted(tmp_path.rglob("*")) == before and service.gets == {"K": "1"}


def test_an_id_tells_nothing_to_who_has_not_the_salt(tmp_path: Path) -> None:
    sets = [secret_sets.Sets(tmp_path / name / "x") for name in ("a", "b")]
    one, other = (each.id_of({"K": "1"}) for each in sets)
    assert one != other and one == sets[0].id_of({"K": "1"}) != sets[0].id_of({"K": "2"})
    assert sets[0].id_of({"K": "1"}, {"O": "1"}) != sets[0].id_of({"K": "1"}, {"O": "2"})
    assert stat.S_IMODE(sets[0].salt.stat().st_mode) == 0o600 and len(sets[0].salt.read_text()) == 64


def test_files_are_their_owners_alone_whatever_the_umask_is(service: Service) -> None:
    before = os.umask(0)
    try:
        service.deploy("a-1", K="1")
    finally:
        os.umask(before)
    top = service.sets.directory.parent
    assert {
        stat.S_IMODE(path.lstat().st_mode)
        for path in top.rglob("*")
        if path.is_file() and not path.is_symlink()
    } == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (top, *top.rglob("*")) if path.is_dir()} == {0o700}


def test_a_set_that_was_spoilt_is_put_right(service: Service) -> None:
    kept = service.deploy("a-1", K="1")
    assert not service.sets.keep(kept, {"K": "1"}, {"O": ""})
    (service.sets.directory / kept / "K").write_text("by hand")
    assert service.sets.keep(kept, {"K": "1"}, {"O": ""}) and service.gets == {"K": "1"}


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_command_is_run_with_them_and_nothing_is_read_out_of_them(shell: str, tmp_path: Path) -> None:
    values = {"A": f"\"{VALUE}\" 'x' $HOME `id` \\ \\n %n\n#;\n값", "B": ""}
    own, other = tmp_path / "own file", tmp_path / "other"
    own.write_text(secret_sets.lines(values))
    other.write_text(secret_sets.lines({"B": "wins", "C": "c"}))
    script = str(REPOSITORY / "roles/service/files/with-secrets.sh")
    words = [
        str(own),
        f"-{other}",
        f"-{tmp_path}/none",
        "--",
        "sh",
        "-c",
        'printf "%s\\0" "$A" "$B" "$C" "$@"',
        "sh",
        "--",
        "a  b",
        "-x",
    ]
    done = subprocess.run([shell, script, *words], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.split("\0")[:-1] == [values["A"], "wins", "c", "--", "a  b", "-x"]
    dry = ["name:A", "name:D", f"-{tmp_path}/none", str(own), "--", "sh", "-c", 'printf "%s\\0" "$A" "$D"']
    done = subprocess.run([shell, script, *dry], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.split("\0")[:-1] == [values["A"], "unknown"]
    missing = subprocess.run(
        [shell, script, str(tmp_path / "none"), "--", "echo", "run"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert missing.returncode != 0 and "run" not in missing.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root may become another user")
def test_root_tries_a_command_as_its_user_and_runs_nothing_of_its_own_with_the_secrets(
    tmp_path: Path,
) -> None:
    """PATH and LD_PRELOAD of a user's would be what root runs."""
    (tmp_path / "bin").mkdir()
    for name in ("runuser", "sh", "cat", "printf"):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n/usr/bin/id -u >>{tmp_path}/ran\n")
        (tmp_path / "bin" / name).chmod(0o755)
    own = tmp_path / "own"
    own.write_text(secret_sets.lines({"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "A": VALUE}))
    own.chmod(0o600)
    command = ["sh", REPOSITORY / "roles/service/files/with-secrets.sh", "user:nobody", own, "--"]
    told = ["/bin/sh", "-c", '/usr/bin/id -un; echo "$A"; /usr/bin/cat; exit 7']
    done = subprocess.run([*command, *told], capture_output=True, text=True, timeout=20, check=False)
    assert (done.stdout.split(), done.returncode) == (["nobody", VALUE], 7), done.stderr
    assert not (tmp_path / "ran").exists() or "0" not in (tmp_path / "ran").read_text().split()
