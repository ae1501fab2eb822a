"""Turn texts into token ids of one length, without a vocabulary: words are hashed.

Feature hashing (Weinberger et al. 2009, arXiv:0902.2206): a word's id depends on the word alone.
Ids therefore stay valid as a dataset grows, nothing has to be stored or agreed on, and words that
training never saw have ids too. Two words may share an id, but with 32,767 ids few common words do.

A word is a run of letters and digits in lower case ("don't" is one word); every other mark is a
word of its own, and markup such as <br /> is dropped. Languages written without spaces need spaces
added first.
"""

import hashlib
import html
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from scoring.tokens import IDS, PADDING

Tokens = npt.NDArray[np.int16]

_MARKUP = re.compile(r"<[^<>]*>")
_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_CACHED_WORDS = 1 << 17  # enough for most words of a text


@dataclass(frozen=True, kw_only=True)
class TextShape:
    """The shape that every text of a dataset is decoded to."""

    column: ClassVar[str] = "text"
    """Name of the column in shards."""
    plural: ClassVar[str] = "texts"
    dtype: ClassVar[np.dtype[np.int16]] = np.dtype(np.int16)

    tokens: int
    """L: shorter texts are padded at the end, longer ones lose their middle."""

    @property
    def dims(self) -> tuple[int]:
        """(L,)."""
        return (self.tokens,)

    @property
    def nbytes(self) -> int:
        """Bytes of one decoded text."""
        return self.tokens * self.dtype.itemsize

    def decode(self, data: bytes | None) -> Tokens | None:
        """Decode one text in UTF-8 to [L] int16 ids, or None if it has no words."""
        words = _WORD.findall(plain_text(data).lower())
        if not words:
            return None
        tail = self.tokens // 2
        if len(words) > self.tokens:
            words = words[: self.tokens - tail] + words[len(words) - tail :]
        ids = np.full(self.tokens, PADDING, dtype=np.int16)
        ids[: len(words)] = [_id_of(word) for word in words]
        return ids

    def __str__(self) -> str:
        return f"{self.tokens} tokens"


def plain_text(data: bytes | None) -> str:
    """Return a text in readable form: on one line, without markup; "" for None."""
    text = html.unescape((data or b"").decode(errors="replace"))
    return " ".join(_MARKUP.sub(" ", text).split())


@lru_cache(maxsize=_CACHED_WORDS)
def _id_of(word: str) -> int:
    """Return the word's id, from 1 to IDS - 1."""
    return 1 + int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest()) % (IDS - 1)
