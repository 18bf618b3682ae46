"""The tiny model's tokenizer: byte-level BPE learnt from a small text, in the file format of `tokenizers`."""

import re
from collections import Counter
from itertools import pairwise
from typing import Any

VOCABULARY_SIZE = 1024
ORDINARY_TOKENS = 1000
SPECIAL_TOKENS = (
    "<|im_start|>",
    "<|im_end|>",
    "<|pad|>",
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
)
"""From id 1000 on; what is left up to the vocabulary's end is reserved, as large models' vocabularies have it."""

KEPT_IN_TEXT = frozenset({"<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"})
"""Tokens that parsers look for in the decoded text: they are not dropped as special when decoding."""

_WORD = re.compile(r" ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9]+|\s+")
_WORD_OF_TOKENIZERS = r" ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+"

Pair = tuple[str, str]


def tokenizer(corpus: str) -> dict[str, Any]:
    """Return the content of tokenizer.json with merges learnt from `corpus`.

    Raises:
        ValueError: The corpus is too small to yield the merges that the vocabulary has room for.
    """
    alphabet = _byte_characters()
    merges = _learn(corpus, alphabet, ORDINARY_TOKENS - len(alphabet))
    ordinary = [*alphabet, *(left + right for left, right in merges)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": token_id, "content": content, **_token_flags(content)}
            for token_id, content in added_tokens().items()
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": _WORD_OF_TOKENIZERS},
                    "behavior": "Isolated",
                    "invert": False,
                },
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
            ],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: token_id for token_id, token in enumerate(ordinary)},
            "merges": [f"{left} {right}" for left, right in merges],
        },
    }


def tokenizer_config(model_max_length: int) -> dict[str, Any]:
    """Return the content of tokenizer_config.json; the chat template is a file of its own."""
    return {
        "added_tokens_decoder": {
            str(token_id): {"content": content, **_token_flags(content)} for token_id, content in added_tokens().items()
        },
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "model_max_length": model_max_length,
        "pad_token": "<|pad|>",
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": None,
    }


def added_tokens() -> dict[int, str]:
    """Return the tokens beside the learnt ones by id."""
    reserved = VOCABULARY_SIZE - ORDINARY_TOKENS - len(SPECIAL_TOKENS)
    names = [*SPECIAL_TOKENS, *(f"<|reserved_{number}|>" for number in range(reserved))]
    return {ORDINARY_TOKENS + position: name for position, name in enumerate(names)}


def _token_flags(content: str) -> dict[str, bool]:
    return {
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": content not in KEPT_IN_TEXT,
    }


def _byte_characters() -> list[str]:
    """Return the printable stand-in of each byte value, in the order of the bytes (the alphabet of byte-level BPE)."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    stand_ins = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(stand_ins)) for byte in range(0x100)]


def _learn(corpus: str, alphabet: list[str], count: int) -> list[Pair]:
    words = Counter(
        tuple(alphabet[byte] for byte in word.encode()) for word in _WORD.findall(corpus.replace("\n", " "))
    )
    merges: list[Pair] = []
    while len(merges) < count:
        pairs: Counter[Pair] = Counter()
        for word, occurrences in words.items():
            for pair in pairwise(word):
                pairs[pair] += occurrences
        if not pairs:
            raise ValueError(f"the corpus yields {len(merges)} merges, {count} are needed: give it more words")
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = Counter({_merged(word, best): occurrences for word, occurrences in words.items()})
    return merges


def _merged(word: tuple[str, ...], pair: Pair) -> tuple[str, ...]:
    parts: list[str] = []
    for part in word:
        if parts and (parts[-1], part) == pair:
            parts[-1] += part
        else:
            parts.append(part)
    return tuple(parts)
