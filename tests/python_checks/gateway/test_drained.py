"""What a reload is told of the servers that were taken out of the rotation."""

from python_checks.gateway.drained import kept


def test_what_a_reload_is_told() -> None:
    head = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight"
    state = f"1\n{head}\n5 vllm 1 main 127.0.0.1 2 8 1\n7 backend 1 main 127.0.0.1 2 0 1\n"
    assert kept(state) == f"1\n{head}\n5 vllm 1 main 127.0.0.1 2 8 1\n"
    assert kept(state, "vllm") == f"1\n{head}\n"
    assert kept("") == "1\n"
