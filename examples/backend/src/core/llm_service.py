"""The one place that knows how to reach the model."""

from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from src.config.settings import get_settings

CONNECT_SECONDS = 5.0


class LLMService:
    """Makes LLM clients for the vLLM server of the settings."""

    @staticmethod
    def get_llm(model_name: str | None = None, temperature: float = 0.7) -> ChatOpenAI:
        """Return an LLM connected to the vLLM server.

        Args:
            model_name: A name that vLLM serves (`--served-model-name`); None takes MODEL_NAME.
            temperature: Sampling temperature, 0 to 2.
        """
        settings = get_settings()
        # vLLM without --api-key takes any key, but the client insists on one.
        api_key = settings.OPENAI_API_KEY if settings.OPENAI_API_KEY else SecretStr("dummies")
        limit = settings.REQUEST_SECONDS
        return ChatOpenAI(
            base_url=settings.VLLM_BASE_URL,
            api_key=api_key,
            model=model_name or settings.MODEL_NAME,
            temperature=temperature,
            max_completion_tokens=settings.MAX_ANSWER_TOKENS,
            reasoning_effort=settings.REASONING_EFFORT,
            timeout=(CONNECT_SECONDS, limit, limit, limit),
            # One retry covers a connection that vLLM closed while idle; more would storm a server in trouble.
            max_retries=1,
            # REQUEST_SECONDS bounds the whole answer already.
            stream_chunk_timeout=None,
            use_responses_api=False,
        )
