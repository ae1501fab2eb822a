"""Nets that read texts: token ids [N, L] as `scoring.data.texts` makes them, 0 for padding.

Words are embedded, what is made of them is pooled over the words of the text, and a linear layer
gives the logits: what it sees is what representer points compare texts by.
"""

import torch
from torch import Tensor, nn

from scoring.nets.sizes import scaled
from scoring.tokens import IDS, PADDING

_EMBEDDED = 64
_SCALE = 0.1  # of untrained embeddings: at PyTorch's 1, words drown what is learnt of them


def _embedding(size: int) -> nn.Embedding:
    embedding = nn.Embedding(IDS, size, padding_idx=PADDING)
    with torch.no_grad():
        embedding.weight.mul_(_SCALE)
    return embedding


class Pooled(nn.Module):
    """Mean and largest value of each feature over the words of a text."""

    def forward(self, features: Tensor, words: Tensor) -> Tensor:
        """[N, L, E] features and [N, L] bool, where there is a word, to [N, 2 E]."""
        inside = words.unsqueeze(2)
        count = inside.sum(dim=1).clamp(min=1)
        mean = (features * inside).sum(dim=1) / count
        largest = features.masked_fill(~inside, -torch.inf).amax(dim=1)
        return torch.cat([mean, largest.where(inside.any(dim=1), 0.0)], dim=1)


class BagOfEmbeddings(nn.Module):
    """The words of a text, their order aside: embeddings, pooled, and a linear layer."""

    def __init__(self, classes: int, width: float, dropout: float) -> None:
        super().__init__()
        size = scaled(_EMBEDDED, width)
        self.embedding = _embedding(size)
        self.pooled = Pooled()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * size, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [N, C] of token ids [N, L]."""
        pooled = self.pooled(self.dropout(self.embedding(tokens)), tokens != PADDING)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits


class LSTM(nn.Module):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) of 128 units, pooled over the text."""

    def __init__(self, classes: int, width: float, dropout: float) -> None:
        super().__init__()
        units = scaled(128, width)
        self.embedding = _embedding(scaled(_EMBEDDED, width))
        self.lstm = nn.LSTM(self.embedding.embedding_dim, units, batch_first=True)
        self.pooled = Pooled()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * units, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [N, C] of token ids [N, L]; what padding would add, at the end, is left out."""
        states, _ = self.lstm(self.dropout(self.embedding(tokens)))
        logits: Tensor = self.head(self.dropout(self.pooled(states, tokens != PADDING)))
        return logits
