"""Messages in another language: how it is chosen, read and printed, and what stays English."""

import importlib.util
import io
import json
import re
from pathlib import Path
from types import ModuleType
from unicodedata import east_asian_width

import pytest
from babel.messages.pofile import read_po

from python_checks.checks import doctor
from python_checks.core import hidden
from python_checks.core.result import Fault, Line, Result, State, conclude, one_line, shorten
from python_checks.core.say import Said, count, joined, say, translated
from python_checks.report import columns, formats, language
from python_checks.service.last_words import LastWords
from tests.python_checks.doctor_support import signs
from tests.python_checks.hosted import Hosted
from tests.python_checks.pseudo import PSEUDO
from tests.python_checks.support import ROOT

KOREAN = ROOT / "python_checks/locale/ko.po"
HOSTILE = "one\x1b[31m \u202e\r two sk-0123456789abcdef"


@pytest.fixture(scope="module")
def words() -> ModuleType:
    """Give docs/words.py, which extracts the messages."""
    spec = importlib.util.spec_from_file_location("words", ROOT / "docs/words.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def host() -> Result:
    """Return what the doctor says of a host on which a start failed; a line of its log looks like a message."""
    log = LastWords(
        cause="OSError: No space left on device", remedy=say("read the log"), last="vllm stopped: disk, clock"
    )
    return doctor.judge(signs("systemd_failed", logs={"vllm": log, "backend": LastWords()}), "ml35")


@pytest.mark.parametrize(
    ("environment", "spoken"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko"}, "ko"),
        ({"LANG": "kok_IN.UTF-8"}, "en"),  # Konkani
        ({"LANG": "ko_KR.UTF-8", "LC_MESSAGES": "C"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "LC_MESSAGES": "", "LC_ALL": ""}, "ko"),
        ({"LANG": "C", "LC_MESSAGES": "ko_KR@x"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_MESSAGES": "ko_KR.UTF-8", "LC_ALL": "en_US.UTF-8"}, "en"),
        ({"LC_ALL": "ko_KR.eucKR", "LANG": "C"}, "ko"),
        ({"LC_CTYPE": "ko_KR.UTF-8"}, "en"),
    ],
)
def test_the_locale_chooses(environment: dict[str, str], spoken: str) -> None:
    assert language.by_locale(environment) == spoken


def test_the_catalogue_is_read_as_babel_reads_it() -> None:
    with KOREAN.open("rb") as file:
        known = {
            entry.id if isinstance(entry.id, str) else entry.id[0]: entry.string
            for entry in read_po(file)
            if entry.id and entry.string
        }
    assert language.catalogue("ko") == known and len(known) > 900


def test_escapes_fuzzy_entries_and_lines_are_read_as_babel_reads_them() -> None:
    text = r"""
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\n"

#: a.py:1
msgid "one \"two\"\n"
"three\\"
msgstr "하나 \"둘\"\n"
"셋\\"

#, fuzzy
msgid "guessed"
msgstr "추측"

msgid "empty"
msgstr ""
"""
    known = {
        str(entry.id): entry.string
        for entry in read_po(io.BytesIO(text.encode()))
        if entry.id and not entry.fuzzy
    }
    assert language.read(text) == {name: words for name, words in known.items() if words}


def test_every_message_is_in_the_catalogue_with_its_holes(words: ModuleType) -> None:
    with KOREAN.open("rb") as file:
        assert list(words.faults(read_po(file), words.messages())) == []


def test_what_is_missing_dead_or_has_other_holes_is_told(words: ModuleType) -> None:
    known = read_po(io.BytesIO('msgid "a {x}"\nmsgstr "가 {y}"\n\nmsgid "b"\nmsgstr "나"\n'.encode()))
    assert list(words.faults(known, ["a {x}", "c"])) == ["other holes: a {x}", "missing: c", "dead: b"]


POLISH = r"""
msgid ""
msgstr ""
"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && "
"(n%100<10 || n%100>=20) ? 1 : 2);\n"

msgid "{number} warning"
msgid_plural "{number} warnings"
msgstr[0] "{number} ostrzeżenie"
msgstr[1] "{number} ostrzeżenia"
msgstr[2] "{number} ostrzeżeń"
"""


@pytest.mark.parametrize(
    ("number", "english", "polish", "korean"),
    [
        (0, "0 warnings", "0 ostrzeżeń", "경고 0건"),
        (1, "1 warning", "1 ostrzeżenie", "경고 1건"),
        (2, "2 warnings", "2 ostrzeżenia", "경고 2건"),
        (5, "5 warnings", "5 ostrzeżeń", "경고 5건"),
        (22, "22 warnings", "22 ostrzeżenia", "경고 22건"),
    ],
)
def test_a_number_takes_the_form_of_its_language(number: int, english: str, polish: str, korean: str) -> None:
    said = count(number, "{number} warning", "{number} warnings")
    assert said == english and said.filled(other=1) == english and said.through(str.upper) == english.upper()
    assert translated(said, language.read(POLISH)) == polish
    assert translated(joined(", ", [said, said]), language.catalogue("ko")) == f"{korean}, {korean}"


def test_what_is_counted_is_extracted_with_both_forms(words: ModuleType, tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('count(1, "{number} day", "{number} days", none=msg("no day"))\n')
    assert list(words.of_module(module)) == [("{number} day", "{number} days"), "no day"]
    entry = 'msgid "{number} day"\nmsgid_plural "{number} days"\n'
    for forms, faults in {
        'msgstr[0] "{number}일"\n': [],
        'msgstr[0] ""\n': ["missing: {number} day"],
        'msgstr[0] "{n}일"\n': ["other holes: {number} day"],
    }.items():
        known = read_po(io.BytesIO((entry + forms).encode()), locale="ko")
        assert list(words.faults(known, [("{number} day", "{number} days")])) == faults
        assert (
            words.updated(known, [("{number} day", "{number} days")]).get("{number} day").string
            == known.get("{number} day").string
        )


def test_a_plural_behind_a_number_has_a_form_for_one(words: ModuleType) -> None:
    counted = re.compile(r"\{number\} (?:\w+ )?\w+s\b")
    messages = words.messages()
    assert [text for text in messages if isinstance(text, str) and counted.search(text)] == []
    assert ("{number} request", "{number} requests") in messages


def test_the_screen_in_korean() -> None:
    [result] = language.shown([host()], "screen", "ko")
    shown = {line.label: line.words for line in result.evidence["screen"]}
    assert shown["ml35"] == "심각 1건" and "재시작 포기(지난 24시간 동안 자동 재시작 14회)" in shown["증상"]
    assert shown["근거"] == "/opt/vllm/logs/vllm.log 끝부분: vllm stopped: disk, clock"
    assert shown["해결"] == "로그를 확인하세요; 그다음: systemctl reset-failed vllm; systemctl start vllm"
    assert shown["정상"] == "backend (0.0.0.0:8080), health, 디스크, 컴파일러"


@pytest.mark.parametrize("form", ["json", "text", "junit"])
def test_what_machines_read_is_english_in_every_language(form: str) -> None:
    korean, english = io.StringIO(), io.StringIO()
    formats.FORMATS[form](language.shown([host()], form, "ko"), korean)
    formats.FORMATS[form]([host()], english)
    assert korean.getvalue() == english.getvalue() and "vllm failed" in english.getvalue()


def test_another_language_is_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: ModuleType
) -> None:
    entries = ['msgid ""\nmsgstr "Plural-Forms: nplurals=1; plural=0;"\n']
    for text in words.messages():
        one, many = (text, "") if isinstance(text, str) else text
        keyword = f"msgid_plural {json.dumps(many)}\nmsgstr[0]" if many else "msgstr"
        entries.append(
            f"msgid {json.dumps(one)}\n{keyword} {json.dumps(PSEUDO.get(one), ensure_ascii=False)}\n"
        )
    (tmp_path / "xx.po").write_text("\n".join(entries), encoding="utf-8")
    monkeypatch.setattr(language, "DIRECTORY", tmp_path)
    assert language.languages() == ["en", "xx"] and language.by_locale({"LANG": "xx_XX.UTF-8"}) == "xx"
    [result] = language.shown([host()], "screen", "xx")
    wanted = language.told(host(), PSEUDO)
    assert result.evidence == wanted.evidence and result.reason == wanted.reason
    assert "⟦" in result.reason and result.evidence["screen"] != host().evidence["screen"]


def test_a_message_keeps_its_translation_on_its_way() -> None:
    inner = say("read the log")
    fault = Fault(
        say("its program {path} is not there", path="/x"), joined("; ", [inner, "systemctl start x"])
    )
    result = conclude("x", [fault, fault], "")
    ways = [
        result.reason,
        str(ValueError(result.reason)),
        one_line(result.reason),
        "a: " + inner,
        inner + ": a",
    ]
    assert all(isinstance(text, Said) for text in ways)
    told = language.told(Result("x", State.CRITICAL, *ways[:2]), language.catalogue("ko"))
    assert told.reason == "프로그램 /x 파일이 없습니다; 프로그램 /x 파일이 없습니다"
    assert translated(ways[3], language.catalogue("ko")) == "a: 로그를 확인하세요"
    assert translated(result.remedy, language.catalogue("ko")) == "로그를 확인하세요; systemctl start x"


def test_no_control_character_and_no_key_gets_into_a_translation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hidden, "_words", {})
    hidden.hide("sk-0123456789abcdef")
    said = say("its program {path} is not there", path=HOSTILE)
    lines = [Line("evidence", said), Line("cause", joined(": ", [said, HOSTILE]))]
    result = conclude("doctor", [Fault(said, shorten(said))], "", {"screen": lines})
    for spoken in ("en", "ko"):
        for form in language.FOR_PEOPLE:
            printed = io.StringIO()
            formats.FORMATS[form](language.shown([result], form, spoken), printed)
            text = printed.getvalue()
            assert "sk-" not in text and "***" in text
            assert all(char.isprintable() or char == "\n" for char in text)


@pytest.mark.parametrize(
    ("locale", "options", "label"),
    [
        ("ko_KR.UTF-8", (), "증상"),
        ("ko_KR.UTF-8", ("--language", "en"), "symptom"),
        ("C", ("--language", "ko"), "증상"),
    ],
)
def test_the_doctor_as_a_process(hosted: Hosted, locale: str, options: tuple[str, ...], label: str) -> None:
    """The labels stand in one column, and no line is wider than the screen, as a terminal counts."""
    command = ["python", "-m", "x", "--model", "/nowhere/" + "long/" * 9, "--port", "8000"]
    vllm = {"state": "stopped", "ended": "exit status 0", "start": "START", "command": command}
    done = hosted.recorded({"vllm": vllm}, "doctor", *options, LC_ALL=locale, PYTHONIOENCODING="utf-8")
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    widths = [sum(1 + (east_asian_width(char) in "WF") for char in line) for line in lines]
    assert 70 < max(widths) <= 80
    [first] = [line for line in lines if label in line and "vllm" in line]
    begin = sum(1 + (east_asian_width(char) in "WF") for char in first[: first.index("vllm")])
    wrapped = [line for line in lines if line.startswith("    ") and line.strip()]
    assert wrapped and {len(line) - len(line.lstrip()) for line in wrapped} == {begin}


def test_a_command_is_never_cut_and_korean_takes_two_columns() -> None:
    path = "/" + "a" * 120
    assert columns.fill(f"가나다 {path} 라", "  해결  ", 20) == f"  해결  가나다\n        {path}\n        라"
    assert columns.fill("가나 다라 마바", "x ", 11) == "x 가나 다라\n  마바"
    assert columns.fill("", "  정상  ", 20) == "  정상"
    assert (columns.pad("원인", 7), columns.pad("cause", 7)) == ("원인   ", "cause  ")
