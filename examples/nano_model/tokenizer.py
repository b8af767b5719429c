"""Writes gpt-oss's tokenizer from the vocabulary that openai_harmony carries; nothing is downloaded."""

import json
from pathlib import Path

from harmony import ENCODING
from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

ORDINARY, ALL = 199998, 201088  # o200k's byte-pair tokens come first, then Harmony's special ones
NAMES = {199998: "<|startoftext|>", 199999: "<|endoftext|>", 200018: "<|endofprompt|>"}
# How o200k cuts a text into words before it joins bytes.
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
WORDS = "|".join(
    [
        rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTION}",
        rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTION}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)


def write_tokenizer(directory: Path) -> None:
    """Writes tokenizer.json, tokenizer_config.json and special_tokens_map.json."""
    ranks = {_bytes(token): token for token in range(ORDINARY)}
    letters = _letters()
    spelt = {token: "".join(letters[byte] for byte in word) for word, token in ranks.items()}
    merges = [
        (spelt[ranks[word[:cut]]], spelt[ranks[word[cut:]]])
        for word in ranks  # in the order of their ranks
        for cut in sorted(
            (cut for cut in range(1, len(word)) if word[:cut] in ranks and word[cut:] in ranks),
            key=lambda cut: (ranks[word[:cut]], ranks[word[cut:]]),
        )
    ]
    model = BPE({name: token for token, name in spelt.items()}, merges, ignore_merges=True)
    tokenizer = Tokenizer(model)
    split = pre_tokenizers.Split(Regex(WORDS), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(_special(token), normalized=False) for token in range(ORDINARY, ALL)]
    )
    tokenizer.save(str(directory / "tokenizer.json"), pretty=False)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": NAMES[199998],
        "eos_token": "<|return|>",
        "pad_token": NAMES[199999],
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": 131072,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _bytes(token: int) -> bytes:
    return ENCODING.decode([token], errors="surrogateescape").encode("utf-8", "surrogateescape")


def _special(token: int) -> str:
    """A special token's name; Harmony reserves the ids that it does not use."""
    if token in NAMES:
        return NAMES[token]
    try:
        return ENCODING.decode_utf8([token])
    except Exception:
        return f"<|reserved_{token}|>"


def _letters() -> dict[int, str]:
    """GPT-2's way to write bytes as visible letters."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {byte: chr(byte) for byte in shown} | {byte: chr(256 + i) for i, byte in enumerate(hidden)}
