"""`idle`: waits for the last request, says what it waits for, and never past its deadline."""

from tests.python_checks.support import Probe, Server

METRICS = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="a"}} {running}.0
vllm:num_requests_running{{engine="1",model_name="a"}} 0.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{engine="0",model_name="a"}} {waiting}.0
vllm:num_requests_waiting_by_reason{{engine="0",model_name="a",reason="capacity"}} 7.0
"""


def test_it_waits_for_the_last_request(probe: Probe, server: Server) -> None:
    queues = [(2, 1), (1, 0), (0, 0)]
    server.answers["/metrics"] = lambda _: (
        200,
        METRICS.format(**dict(zip(("running", "waiting"), queues.pop(0), strict=True))),
    )
    done = probe("idle", "--url", server.url)
    assert done.returncode == 0 and "no request running or waiting" in done.stdout
    assert "2 requests running, 1 waiting" in done.stderr and "1 request running, none waiting" in done.stderr
    assert not queues


def test_the_deadline_is_a_warning(probe: Probe, server: Server) -> None:
    server.answers["/metrics"] = (200, METRICS.format(running=1, waiting=0))
    done = probe("idle", "--url", server.url, "--deadline", "2")
    assert done.returncode == 1
    assert done.stdout.startswith("idle WARNING: 1 request running, none waiting after ")


def test_a_server_that_is_gone_has_nothing_to_do(probe: Probe, free_port: int) -> None:
    done = probe("idle", "--url", f"http://127.0.0.1:{free_port}")
    assert done.returncode == 0 and "nothing is under way" in done.stdout


def test_what_tells_no_queue_is_not_idle(probe: Probe, server: Server) -> None:
    server.answers["/metrics"] = (200, "up 1\n")
    done = probe("idle", "--url", server.url)
    assert done.returncode == 3 and "tells no queue" in done.stdout
