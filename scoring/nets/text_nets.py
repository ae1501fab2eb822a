"""Nets that read texts: token ids [N, L] as made by `scoring.data.texts`, 0 for padding.

Words are embedded, the resulting features are pooled over the words of the text, and a linear layer
maps them to logits. Representer points compare texts by that layer's input.
"""

import torch
from torch import Tensor, nn

from scoring.nets.sizes import scaled
from scoring.tokens import IDS, PADDING

_EMBEDDED = 64
_SCALE = 0.1  # of untrained embeddings: PyTorch's 1 would drown out what is learnt


def _embedding(size: int) -> nn.Embedding:
    embedding = nn.Embedding(IDS, size, padding_idx=PADDING)
    with torch.no_grad():
        embedding.weight.mul_(_SCALE)
    return embedding


class Pooling(nn.Module):
    """Mean and maximum of each feature over the words of a text."""

    def forward(self, features: Tensor, words: Tensor) -> Tensor:
        """Pool features [N, L, E] to [N, 2 E]; `words` [N, L] is true at words, not padding."""
        inside = words.unsqueeze(2)
        count = inside.sum(dim=1).clamp(min=1)
        mean = (features * inside).sum(dim=1) / count
        largest = features.masked_fill(~inside, -torch.inf).amax(dim=1)
        return torch.cat([mean, largest.where(inside.any(dim=1), 0.0)], dim=1)


class BagOfEmbeddings(nn.Module):
    """Word embeddings, pooled regardless of word order, and a linear layer."""

    def __init__(self, classes: int, width: float, dropout: float) -> None:
        super().__init__()
        size = scaled(_EMBEDDED, width)
        self.embedding = _embedding(size)
        self.pooling = Pooling()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * size, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token ids [N, L] to logits [N, C]."""
        pooled = self.pooling(self.dropout(self.embedding(tokens)), tokens != PADDING)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits


class LSTM(nn.Module):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) of 128 units, pooled over the text."""

    def __init__(self, classes: int, width: float, dropout: float) -> None:
        super().__init__()
        units = scaled(128, width)
        self.embedding = _embedding(scaled(_EMBEDDED, width))
        self.lstm = nn.LSTM(self.embedding.embedding_dim, units, batch_first=True)
        self.pooling = Pooling()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * units, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token ids [N, L] to logits [N, C], ignoring the states of padding at the end."""
        states, _ = self.lstm(self.dropout(self.embedding(tokens)))
        logits: Tensor = self.head(self.dropout(self.pooling(states, tokens != PADDING)))
        return logits
