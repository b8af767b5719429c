"""Settings come from the environment; a wrong one is named and its value is not shown."""

from pathlib import Path

import pytest
from running import BACKEND
from src.config.settings import Settings, get_settings
from src.core.llm_service import LLMService


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()


def test_defaults_are_those_of_the_guide() -> None:
    llm = LLMService.get_llm()
    assert llm.openai_api_base == "http://localhost:8000/v1"
    assert llm.model_name == "gpt-oss-120b"
    assert llm.temperature == 0.7
    assert llm.root_async_client.api_key == "dummies"


def test_environment_reaches_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_BASE_URL", "http://gpu:9000/v1")
    monkeypatch.setenv("MODEL_NAME", "other")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    llm = LLMService.get_llm(temperature=0)
    assert (llm.openai_api_base, llm.model_name, llm.temperature) == ("http://gpu:9000/v1", "other", 0)
    assert llm.root_async_client.api_key == "secret"
    assert LLMService.get_llm("mine").model_name == "mine"


def test_key_is_not_in_the_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert "secret" not in repr(get_settings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VLLM_BASE_URL", "gpu:9000"),
        ("REQUEST_SECONDS", "-7"),
        ("MAX_STEPS", "many"),
        ("REASONING_EFFORT", "huge"),
    ],
)
def test_wrong_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        get_settings()
    assert name in str(ended.value)
    assert value not in str(ended.value).replace(name, "")


def test_readme_lists_each_setting_with_its_default() -> None:
    readme = (BACKEND / "README.md").read_text(encoding="utf-8")
    missing = [name for name in Settings.model_fields if f"| `{name}` |" not in readme]
    assert not missing
