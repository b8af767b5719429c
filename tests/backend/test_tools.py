"""The tools answer with JSON, in the language of the question."""

import json

import pytest
from src.core.tools import get_weather, search_policy


@pytest.mark.parametrize(
    "location", ["Seoul", "seoul", "서울", "서울시", "서울특별시", " 서울 ", "Seoul, South Korea"]
)
def test_weather_knows_a_city_by_each_of_its_names(location: str) -> None:
    found = json.loads(get_weather.invoke({"location": location}))
    assert found == {"location": "Seoul", "temperature_c": 21, "condition": "맑음"}


@pytest.mark.parametrize("location", ["Atlantis", "", "시"])
def test_weather_says_so_for_an_unknown_city(location: str) -> None:
    assert list(json.loads(get_weather.invoke({"location": location}))) == ["error"]


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("회사 휴가 정책", "휴가 정책"),
        ("연차", "휴가 정책"),
        ("vacation 규정", "휴가 정책"),
        ("근무시간", "근무 시간 정책"),
        ("Vacation policy", "Vacation policy"),
        ("annual  leave", "Vacation policy"),
        ("I lost my PASSWORD", "Security policy"),
    ],
)
def test_search_finds_the_policy_in_the_language_of_the_query(query: str, title: str) -> None:
    found = json.loads(search_policy.invoke({"query": query}))
    assert found["title"] == title
    assert found["text"]


def test_search_keeps_korean_readable_for_the_model() -> None:
    assert "15일" in search_policy.invoke({"query": "휴가"})


@pytest.mark.parametrize("query", ["dragons", ""])
def test_search_says_so_when_nothing_fits(query: str) -> None:
    assert list(json.loads(search_policy.invoke({"query": query}))) == ["error"]
