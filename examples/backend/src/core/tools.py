"""The two tools of the agent. Both read sample data files and answer with one JSON object as text."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from langchain_core.tools import BaseTool, tool

DATA = Path(__file__).parents[1] / "data"
HANGUL = re.compile("[가-힣]")
CITY_SUFFIX = re.compile("(특별자치시|특별시|광역시|시)$")


@lru_cache
def _rows(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((DATA / name).read_text(encoding="utf-8"))
    return rows


def _to_json(reply: dict[str, Any]) -> str:
    return json.dumps(reply, ensure_ascii=False)


def _squeeze(text: str) -> str:
    """Drop case and blanks: Korean compounds are written with and without blanks."""
    return re.sub(r"\s+", "", text).casefold()


@tool
def get_weather(location: Annotated[str, "도시 이름 (예: Seoul, Tokyo)"]) -> str:
    """특정 위치의 현재 날씨를 가져옵니다"""
    wanted = _squeeze(location.partition(",")[0])
    for row in _rows("weather.json"):
        names = {_squeeze(name) for name in (row["location"], *row["names"])}
        if wanted in names or CITY_SUFFIX.sub("", wanted) in names:
            return _to_json({key: row[key] for key in ("location", "temperature_c", "condition")})
    return _to_json({"error": f"no weather data for {location!r}"})


@tool
def search_policy(query: Annotated[str, "검색어 (예: 휴가, remote work)"]) -> str:
    """회사 정책을 검색합니다"""
    rows, text = _rows("policies.json"), _squeeze(query)

    def score(row: dict[str, Any]) -> int:
        return sum(len(word) for word in map(_squeeze, row["keywords"]) if word in text)

    best = max(rows, key=score)
    if score(best) == 0:
        return _to_json({"error": f"no policy found for {query!r}"})
    language = "ko" if HANGUL.search(query) else "en"
    hit = next((row for row in rows if row["id"] == best["id"] and row["language"] == language), best)
    return _to_json({"title": hit["title"], "text": hit["text"]})


TOOLS: list[BaseTool] = [get_weather, search_policy]
