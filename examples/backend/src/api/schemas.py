"""What clients send."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from src.config.settings import get_settings

Message = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=get_settings().MAX_MESSAGE_CHARS)
]


class ChatRequest(BaseModel):
    """One message of a user in a session."""

    model_config = ConfigDict(extra="forbid")

    message: Message
    session_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
