"""The gateway on a host with a real vLLM: restarts cost waiting, strangers get nothing, the books are right."""

from __future__ import annotations

import hashlib
import json
import shlex
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.gateway.abuse import Abuse, beside
from tests.systemd.client import BODY, MODEL
from tests.systemd.deployed import START, Host
from tests.systemd.packages import archive
from tests.systemd.play import said

pytestmark = pytest.mark.long

KEY, EXPIRED, FEW = "sk-of-the-load-that-tests", "sk-of-somebody-else", "sk-that-may-do-four-at-once"
RETRIES_OFF = 0  # of the SDK: a client that asks again would hide an error
# On the host itself, for vLLM's own port is loopback's: streams direct and through the gateway, in turn. What disturbs one disturbs the
# other, so each pair is compared.
STREAMS = """
import http.client, json, statistics, time

key = open("/opt/vllm/gateway/probe.key").read()


def one(port, path, body):
    channel, times = http.client.HTTPConnection("127.0.0.1", port, timeout=60), []
    head = {"Content-Type": "application/json", "Authorization": "Bearer " + key}
    began = time.perf_counter()
    channel.request("POST", path, json.dumps(body | {"stream": True}), head)
    reply = channel.getresponse()
    assert reply.status == 200, reply.read()
    while reply.read1(65536):
        times.append(time.perf_counter())
    return times[0] - began, times[-1] - times[0], times[-1] - began, len(times)


rows = []
for number in range(PAIRS + 3):
    direct, through = one(8001, PATH, BODY), one(8000, PATH, BODY)
    if number > 2:
        first, tokens, whole, reads = zip(direct, through)
        rows.append((first[1] - first[0], tokens[1] / tokens[0], whole[0] / whole[1], reads[1] / reads[0]))
print(json.dumps([statistics.median(column) for column in zip(*rows)]))
"""


def compared(host: Host, pairs: int, path: str, body: dict[str, object]) -> list[float]:
    """Return medians of streams through the gateway against direct ones: seconds later, gaps, tokens a second, reads."""
    script = f"PAIRS, PATH, BODY = {pairs}, {path!r}, {body!r}{STREAMS}"
    return list(json.loads(host.told(f"python3 -I -c {shlex.quote(script)}", seconds=600)))


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def row(name: str, key: str, **limits: object) -> dict[str, object]:
    return {"name": name, "sha256": digest(key), "requests_a_minute": 0, "parallel": 0} | limits


@dataclass
class Load:
    """Clients of the openai SDK that ask without a pause, plain and streamed in turn, from ``with`` to its end."""

    url: str
    key: str = KEY
    clients: int = 8
    answers: list[float] = field(default_factory=list)  # seconds that each took
    failures: list[str] = field(default_factory=list)

    def __enter__(self) -> Load:
        self.done = threading.Event()
        self.pool = ThreadPoolExecutor(self.clients)
        self.running = [self.pool.submit(self._ask, number) for number in range(self.clients)]
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.pool.shutdown()
        for each in self.running:
            each.result()

    def _ask(self, number: int) -> None:
        import openai

        with openai.OpenAI(
            base_url=f"{self.url}/v1", api_key=self.key, max_retries=RETRIES_OFF, timeout=400
        ) as client:
            while not self.done.is_set():
                began = time.monotonic()
                try:
                    if number % 2:
                        *_, last = [
                            chunk.choices[0]
                            for chunk in client.chat.completions.create(
                                **BODY | {"max_tokens": 60}, stream=True
                            )
                            if chunk.choices
                        ]
                        end = last.finish_reason
                    else:
                        end = client.chat.completions.create(**BODY).choices[0].finish_reason
                    assert end in ("stop", "length"), f"finish_reason {end}"
                    self.answers.append(time.monotonic() - began)
                except Exception as error:
                    self.failures.append(f"{type(error).__name__}: {error}"[:200])
                time.sleep(0.2)

    def told(self, what: str) -> None:
        """Write down the figures of a run."""
        longest = max(self.answers, default=0)
        print(
            f"{what}: {len(self.answers)} answers, {len(self.failures)} failures, longest {longest:.1f} s",
            self.failures[:3],
        )


# HAProxy takes 64 words in a line.
REFUSED = ["-e", json.dumps({"gateway_cors_origins": [f"https://{number}.example" for number in range(70)]})]


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the arguments that put the host into the group."""
    inventory = tmp_path_factory.mktemp("inventory")
    values = {
        "gateway_host": "0.0.0.0",
        "gateway_keys": [
            row("load", KEY),
            row("expired", EXPIRED, expires="2020-01-01"),
            row("few", FEW, parallel=4),
        ],
        "vllm_host": "127.0.0.1",
        "vllm_port": 8001,
        "vllm_allow_unauthenticated": False,
        "vllm_extra_args": [
            "--enforce-eager",
            "--enable-force-include-usage",
            "--enable-request-id-headers",
        ],
        "backend_host": "127.0.0.1",
        "backend_port": 8081,
        "backend_vllm_url": "",
        "backend_environment": {
            "VLLM_BASE_URL": "http://127.0.0.1:8000/v1",
            "REQUEST_SECONDS": "400",
            "TEMPERATURE": "0",
        },
        "backend_secrets": {"OPENAI_API_KEY": KEY},
    }
    (inventory / "hosts.yml").write_text(json.dumps({"gateway": {"hosts": {"alpha": None}}}))
    # As an operator does it: variables in the file of hosts would give way to group_vars/all.yml.
    (inventory / "group_vars").mkdir()
    (inventory / "group_vars/gateway.yml").write_text(json.dumps(values))
    return ["-i", str(inventory / "hosts.yml")]


@pytest.fixture(scope="module")
def door(deployed: Host, switch: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Throw the switch, and at the end throw it back; write down what a client sees meanwhile."""
    with archive(deployed, "haproxy", folder=tmp_path_factory.mktemp("packages") / "debs"):
        try:
            with Load(deployed.vllm, clients=1) as load:
                done = deployed.playbook("deploy.yml", "--diff", "-v", *switch, seconds=1500)
            assert done.returncode == 0, done.stdout[-6000:]
            assert KEY not in done.stdout
            assert deployed.ssh("systemctl is-enabled haproxy").stdout.strip() == "disabled"
            load.told("the switch on")
            yield deployed
        finally:  # Other tests share the host.
            with Load(deployed.vllm, clients=1) as load:
                done = deployed.playbook("deploy.yml", seconds=1500)
            assert done.returncode == 0, done.stdout[-6000:]
            load.told("the switch off")
            assert deployed.chat().status_code == 200  # at the guide's port, without a key, as before
            assert deployed.ssh("test -e /etc/systemd/system/gateway.service").returncode == 1


def chat(host: Host, key: str = KEY, **body: object) -> requests.Response:
    head = {"Authorization": f"Bearer {key}"} if key else {}
    return requests.post(f"{host.vllm}/v1/chat/completions", json=BODY | body, headers=head, timeout=60)


@pytest.mark.parametrize("why", ["haproxy.cfg", "/opt/vllm/gateway/tls"])
def test_a_first_one_that_fails_leaves_all_where_it_was(
    deployed: Host, switch: list[str], tmp_path: Path, why: str
) -> None:
    """vLLM and the backend had made room for it; its files come before its release, whose configuration HAProxy refuses."""
    before = deployed.told("cat /run/vllm-deploy/vllm /run/vllm-deploy/backend")
    if why == "haproxy.cfg":
        switch = switch + REFUSED
    else:
        deployed.told(f"mkdir -p {Path(why).parent} && rm -rf {why} && touch {why}")
    with archive(deployed, "haproxy", folder=tmp_path / "debs"):
        done = deployed.playbook("deploy.yml", *switch, seconds=1500)
    deployed.told("rm -rf /opt/vllm/gateway/tls")
    assert done.returncode != 0 and why in done.stdout, done.stdout
    assert deployed.told("cat /run/vllm-deploy/vllm /run/vllm-deploy/backend") == before
    assert deployed.chat().status_code == 200  # at the guide's port, without a key
    assert deployed.ssh("systemctl is-active gateway").stdout.strip() == "inactive"


def test_the_switch(door: Host) -> None:
    assert chat(door).status_code == 200 and chat(door, "").status_code == 401
    assert door.ssh("systemctl is-active gateway vllm backend").stdout.split() == ["active"] * 3
    for port in (8001, 8081):
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://{door.address}:{port}/health", timeout=5)
    asked = {"message": "Hello", "session_id": "through-the-gateway"}
    reply = requests.post(
        f"{door.backend}/v1/chat", json=asked, headers={"Authorization": f"Bearer {KEY}"}, timeout=60
    )
    assert reply.status_code == 200, reply.text


def test_a_second_deploy_changes_nothing(door: Host, switch: list[str]) -> None:
    done = door.playbook("deploy.yml", *switch)
    assert done.returncode == 0 and "changed=0" in done.stdout, done.stdout[-3000:]


def test_the_unit_is_hardened(door: Host) -> None:
    last = door.told("systemd-analyze security --no-pager gateway.service").splitlines()[-1]
    assert float(last.partition(": ")[2].split()[0]) <= 2.0, last
    assert "Cannot raise FD limit" not in door.log("gateway", 200)


def test_the_canary_and_the_screen_tell_of_it(door: Host) -> None:
    def told() -> bool:
        lines = door.told("cat /opt/vllm/metrics/canary.prom").splitlines()
        wanted = (("answers", 1), ("holds", 0))
        return all(
            f'vllm_probe_gateway_{name}{{probe="canary",service="vllm"}} {value}.0' in lines
            for name, value in wanted
        )

    door.until(told, 90, "the canary has measured the gateway")
    said = door.told("/opt/vllm/bin/checks status --format json; true")
    [result] = json.loads(said)["results"]
    assert ["  leads to", "vllm, backend", 0] in [list(line) for line in result["evidence"]["screen"]], said


def test_a_restart_by_hand_costs_waiting_and_no_error(door: Host) -> None:
    with Load(door.vllm) as load:
        time.sleep(5)
        door.told("systemctl restart vllm", seconds=START)
        time.sleep(5)
    load.told("systemctl restart vllm")
    assert load.failures == [] and len(load.answers) > 16


def test_the_same_load_without_the_gateway_fails(door: Host) -> None:
    """Side by side, on the host itself: vLLM's own port is loopback's."""
    script = f"""
import time, urllib.request
while True:
    time.sleep(0.3)
    try:
        head = {{"Content-Type": "application/json"}}
        request = urllib.request.Request("http://127.0.0.1:8001/v1/chat/completions", {json.dumps(BODY).encode()!r}, head)
        print(urllib.request.urlopen(request, timeout=60).status, flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""
    door.told(
        f"cat >/tmp/direct.py <<'END'\n{script}\nEND\n"
        "systemd-run --quiet --unit direct -p StandardOutput=truncate:/tmp/direct.txt python3 /tmp/direct.py"
    )
    door.told("sleep 3; systemctl restart vllm; sleep 3; systemctl stop direct", seconds=START)
    codes = door.told("cat /tmp/direct.txt").split()
    print("direct:", {code: codes.count(code) for code in sorted(set(codes))})
    assert any(code != "200" for code in codes)


def test_a_deploy_with_a_changed_flag_and_a_rollback(door: Host, switch: list[str]) -> None:
    with Load(door.vllm) as load:
        time.sleep(3)
        done = door.playbook("deploy.yml", *switch, "-e", "vllm_shutdown_timeout=31", seconds=1500)
        assert done.returncode == 0, done.stdout[-4000:]
        middle = len(load.answers)
        done = door.playbook("ansible/rollback.yml", *switch, seconds=1500)
        assert done.returncode == 0, done.stdout[-4000:]
    load.told("deploy and rollback")
    assert load.failures == [] and middle > 8 and len(load.answers) > middle


def test_planned_work_costs_waiting_and_no_error(door: Host, switch: list[str]) -> None:
    """Without the gateway being told, clients that never pause would never leave vLLM without a request."""
    with Load(door.vllm) as load:
        time.sleep(3)
        done = door.playbook("ansible/drain.yml", *switch, "-e", "drain_seconds=60")
        assert done.returncode == 0 and door.show("vllm", "ActiveState") == "inactive", done.stdout[-3000:]
        door.told("systemctl start vllm", seconds=START)
        time.sleep(5)
    load.told("a drain and a start")
    assert load.failures == [] and len(load.answers) > 16


def test_a_dead_engine_fails_only_what_was_in_flight(door: Host) -> None:
    with Load(door.vllm) as load:
        time.sleep(5)
        [engine] = door.processes(title="VLLM::EngineCore")
        before = len(load.failures)
        door.told(f"kill -9 {engine}")
        time.sleep(10)
        door.until(lambda: door.show("vllm", "ActiveState") == "active", START, "vLLM serves again")
        time.sleep(5)
    load.told("kill -9 of the engine")
    assert before == 0 and len(load.failures) <= load.clients


def test_the_gateway_takes_up_a_change_without_a_cut_stream(door: Host, switch: list[str]) -> None:
    with Load(door.vllm, clients=4) as load:
        pid = door.pid("gateway")
        done = door.playbook("deploy.yml", *switch, "-e", "gateway_body_mib=17", seconds=900)
        assert done.returncode == 0, done.stdout[-4000:]
    load.told("a reload by a deploy")
    assert load.failures == [] and door.pid("gateway") == pid  # the master
    assert "17825792" in door.told("cat /opt/vllm/releases/gateway/current/tree/haproxy.cfg")


def test_what_haproxy_refuses_never_stops_what_serves(door: Host, switch: list[str]) -> None:
    with Load(door.vllm, clients=2) as load:
        assert door.playbook("deploy.yml", *switch, *REFUSED, seconds=900).returncode != 0
    assert load.failures == [] and chat(door).status_code == 200


def test_a_certificate_that_is_none_is_refused_in_advance(door: Host, switch: list[str]) -> None:
    bad = {"gateway_certificate": "/etc/hostname", "gateway_certificate_key": "/etc/hostname"}
    done = door.playbook("ansible/check.yml", *switch, "-e", json.dumps(bad))
    assert done.returncode == 2 and "are not a certificate and its key" in said(done), done.stdout


def test_every_route_of_vllm_with_every_key(door: Host) -> None:
    """The routes are those that vLLM's own application lists."""
    listed = json.loads(door.fetched("http://127.0.0.1:8001/openapi.json"))["paths"]
    allowed = {
        ("post", "/v1/chat/completions"), ("post", "/v1/completions"), ("post", "/v1/responses"), ("post", "/v1/embeddings"),
        ("get", "/v1/models"),
    }  # fmt: skip
    assert len(listed) > 15 and ("post", "/invocations") in {
        (method, path) for path in listed for method in listed[path]
    }
    for path, methods in listed.items():
        for method in methods:
            for key in ("", "wrong", EXPIRED, KEY):
                head = {"Authorization": f"Bearer {key}"} if key else {}
                reply = requests.request(
                    method, door.vllm + path, headers=head, json={} if method == "post" else None, timeout=30
                )
                wanted = {200} if (method, path) == ("get", "/health") else {404}
                if (method, path) in allowed:
                    wanted = (
                        {401} if key != KEY else {200, 400, 404, 422}
                    )  # vLLM's own words about an empty request
                assert reply.status_code in wanted, (method, path, key, reply.status_code)


def test_streams_are_as_quick_as_direct_ones(door: Host) -> None:
    first, between, _, reads = compared(door, 100, "/v1/chat/completions", BODY | {"max_tokens": 32})
    print(f"first token {first * 1000:+.2f} ms; gaps {between:.3f} times, reads {reads:.2f}")
    assert first <= 0.002
    assert between <= 1.05
    assert reads >= 0.75  # a proxy that collects a stream gives it in one or two


def test_the_throughput_is_that_of_direct_streams(door: Host, switch: list[str]) -> None:
    """With a core that vLLM's workers do not take, as on a host with GPUs; else the gateway's share comes out of theirs."""
    alone = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "0"}
    given = json.dumps({"vllm_tensor_parallel_size": 1, "vllm_environment": alone})
    # The nano model answers a chat with a dozen tokens, in which the way to the first one counts most.
    body = {"model": MODEL, "prompt": "Hello", "max_tokens": 512, "ignore_eos": True}
    try:
        done = door.playbook("deploy.yml", *switch, "-e", given, seconds=900)
        assert done.returncode == 0, done.stdout[-4000:]
        throughput = compared(door, 20, "/v1/completions", body)[2]
    finally:
        done = door.playbook("deploy.yml", *switch, seconds=900)
    assert done.returncode == 0, done.stdout[-4000:]
    print(f"throughput {throughput:.3f} times")
    assert throughput >= 0.98


def first_token(host: Host, key: str) -> float:
    """Return the seconds to the first token of a stream."""
    head, began = {"Authorization": f"Bearer {key}"}, time.monotonic()
    url = f"{host.vllm}/v1/chat/completions"
    with requests.post(url, json=BODY | {"stream": True}, headers=head, stream=True, timeout=60) as reply:
        assert reply.status_code == 200 and reply.raw.read1(65536)
        return time.monotonic() - began


def test_a_key_that_asks_for_twenty_at_once_slows_nobody(door: Host) -> None:
    usual = statistics.median(first_token(door, KEY) for _ in range(10))
    with ThreadPoolExecutor(20) as pool:
        many = [pool.submit(chat, door, FEW, max_tokens=200) for _ in range(20)]
        meanwhile = [first_token(door, KEY) for _ in range(5)]
        codes = [each.result().status_code for each in many]
    print(f"first token: {usual:.3f} s, beside twenty of another key {statistics.median(meanwhile):.3f} s")
    assert codes.count(200) >= 4 and codes.count(429) >= 8 and set(codes) == {200, 429}
    assert statistics.median(meanwhile) <= 2 * usual + 0.02


def test_malformed_slow_and_large_requests_slow_nobody(door: Host) -> None:
    """Minutes of all of it at once, from outside: a good key is answered by vLLM within twice its usual time."""

    def ask() -> None:
        assert chat(door).status_code == 200

    processes = door.pid("gateway"), door.pid("vllm")
    abuse = Abuse((door.address, 8000), KEY, mib=16, number=10_000, seconds=150)
    alone, meanwhile = beside(abuse, ask)
    assert sum(abuse.answers.values()) > 10_000 and not any(b" 200 " in answer for answer in abuse.answers)
    assert sum(abuse.slow.values()) > 100  # told that they were too slow
    assert statistics.median(meanwhile) <= 2 * alone + 0.02
    assert (door.pid("gateway"), door.pid("vllm")) == processes and chat(door).status_code == 200


def test_the_books_are_vllms_own_count(door: Host) -> None:
    def total(name: str) -> int:
        text = door.fetched("http://127.0.0.1:8001/metrics")
        return sum(
            int(float(line.split()[-1]))
            for line in text.splitlines()
            if line.startswith(f"vllm:{name}_total")
        )

    def counted() -> tuple[int, int]:
        lines = door.told("cat /opt/vllm/gateway/usage/*.jsonl").splitlines()
        books = [json.loads(line) for line in lines]
        return sum(line["prompt"] for line in books), sum(line["completion"] for line in books)

    door.told("systemctl stop canary.timer")  # it asks vLLM itself
    try:
        before, was = counted(), (total("prompt_tokens"), total("generation_tokens"))
        for number in range(50):
            with chat(
                door, KEY if number % 5 else "wrong", max_tokens=5 + number, stream=bool(number % 2)
            ) as reply:
                assert reply.status_code == (200 if number % 5 else 401)
        time.sleep(2)
        after, now = counted(), (total("prompt_tokens"), total("generation_tokens"))
        assert after[0] - before[0] == now[0] - was[0]
        assert after[1] - before[1] == now[1] - was[1]
    finally:
        door.told("systemctl start canary.timer")
    door.told("systemctl start usage.service")
    shown = door.told("/opt/vllm/bin/checks usage --books /opt/vllm/watch/usage.sqlite --format screen")
    assert "load" in shown
    assert "vllm_gateway_key_tokens_total" in door.told("cat /opt/vllm/metrics/usage.prom")


def test_the_key_is_nowhere(door: Host) -> None:
    places = "/opt/vllm/gateway /opt/vllm/releases /opt/vllm/logs /var/lib/gateway /etc/systemd/system"
    assert door.ssh(f"grep -rlF {KEY} {places} 2>/dev/null").stdout == ""
    assert door.ssh(f"ps -eww -o args= | grep -F {KEY} | grep -v grep").stdout == ""
    assert KEY not in door.told("systemctl show gateway vllm")


def test_replies_through_it_are_vllms_own(door: Host) -> None:
    checks = "/opt/vllm/bin/checks conformance --url http://127.0.0.1:8001"
    said = door.told(
        f"{checks} --model {MODEL} --through http://127.0.0.1:8000 --through-key-file /opt/vllm/gateway/probe.key; true",
        seconds=300,
    )
    print(said)
    assert "CRITICAL" not in said


def test_a_killed_gateway_comes_back_with_its_keys(door: Host) -> None:
    door.told(f"kill -9 {door.pid('gateway')}")
    door.until(
        lambda: chat(door).status_code == 200 if door.pid("gateway") else False,
        30,
        "the gateway serves again",
    )
    assert chat(door, "wrong").status_code == 401
