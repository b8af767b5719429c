"""Settings: environment variables first, then `.env` in the working directory, then systemd credentials."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

SYSTEM_PROMPT = (
    "You are a company assistant. Use search_policy for company rules and get_weather for the weather. "
    "Answer briefly, in the language of the question, and only from what the tools return."
)


class Settings(BaseSettings):
    """All that an operator may set; each field is an environment variable of the same name."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        # systemd's LoadCredential= puts OPENAI_API_KEY here, so that it is in no environment and no unit.
        secrets_dir=os.environ.get("CREDENTIALS_DIRECTORY"),
    )

    VLLM_BASE_URL: Annotated[str, Field(pattern=r"^https?://")] = "http://localhost:8000/v1"
    OPENAI_API_KEY: SecretStr = SecretStr("")
    MODEL_NAME: Annotated[str, Field(min_length=1)] = "gpt-oss-120b"
    TEMPERATURE: Annotated[float, Field(ge=0, le=2)] = 0.7
    REASONING_EFFORT: Literal["low", "medium", "high"] | None = None
    SYSTEM_PROMPT: str = SYSTEM_PROMPT
    MAX_ANSWER_TOKENS: Annotated[int, Field(ge=16)] = 4096
    MAX_STEPS: Annotated[int, Field(ge=2, le=100)] = 8
    """Model calls in one turn."""
    REQUEST_SECONDS: Annotated[float, Field(gt=0)] = 120
    READY_SECONDS: Annotated[float, Field(gt=0)] = 10
    MAX_MESSAGE_CHARS: Annotated[int, Field(ge=1)] = 8000
    HISTORY_TOKENS: Annotated[int, Field(ge=0)] = 32_000
    """About how many tokens of earlier turns a session keeps and the model sees."""
    MAX_TURNS: Annotated[int, Field(ge=1)] = 128
    """Turns at once, waiting ones included."""
    SESSIONS_DB: Path = Path("sessions.sqlite3")
    SESSION_DAYS: Annotated[float, Field(gt=0)] = 30
    MAX_SESSIONS: Annotated[int, Field(ge=1)] = 10_000
    MAX_SESSIONS_MB: Annotated[int, Field(ge=1)] = 1024


@lru_cache
def get_settings() -> Settings:
    """Return the settings of this process, read once.

    Raises:
        SystemExit: A setting is not valid; the message names it and never shows its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SystemExit(f"invalid settings: {faults}") from None
