"""Extracts the features that a layer of a net takes in: one forward pass per readable row."""

import numpy as np
import torch

from scoring.data.shards import Shard, ShardRecord
from scoring.representers.layer import Layer
from scoring.score.signals import SignalOptions, Signals
from scoring.staged.features import StagedFeatures, write_features
from scoring.store.layout import features_path
from scoring.store.storage import Storage


class Extractor:
    """Stages the features of one shard after another."""

    def __init__(self, storage: Storage, run: str, layer: str, options: SignalOptions) -> None:
        """Load a finished run.

        Raises:
            UserError: it has no such layer.
        """
        self._storage, self._run, self._name = storage, run, layer
        self._signals = Signals(storage, options)
        self._layer = Layer(self._signals.model(run), layer)

    def stage(self, record: ShardRecord, shard: Shard) -> None:
        """Write the layer's features and outputs of a shard."""
        features, outputs = [], []
        with torch.inference_mode():
            for real, rows in self._signals.batches(np.flatnonzero(shard.decodable)):
                seen = self._layer.capture(self._signals.inputs(shard, rows))
                features.append(seen.features[:real].cpu())
                outputs.append(seen.outputs[:real].cpu())
        if not features:
            features, outputs = ([torch.empty(0, width)] for width in self._layer.weights.T.shape)
        staged = StagedFeatures(
            ids=shard.ids[shard.decodable],
            labels=shard.labels[shard.decodable],
            features=torch.cat(features).numpy(),
            outputs=torch.cat(outputs).numpy(),
        )
        write_features(self._storage, features_path(self._run, self._name, record.content), staged)
