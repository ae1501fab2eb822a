import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from scoring.analysis.novelty import DETECTORS
from scoring.data.named import NamedSource


@pytest.fixture(scope="module")
def digits():
    source = NamedSource(name="digits")
    pixels = source.read("train", source.pieces("train")[0]).pixels
    return pixels.reshape(len(pixels), -1).astype(np.float32) / 255


@pytest.mark.parametrize("name", DETECTORS)
def test_noise_is_far_from_digits(name, digits):
    score = DETECTORS[name](digits[:500], 0)
    noise = np.random.default_rng(0).random((200, 64), dtype=np.float32)
    clean, far = score(digits[500:700]), score(noise)
    assert clean.shape == (200,)
    assert clean.dtype == np.float64
    assert roc_auc_score(np.repeat([0, 1], 200), np.concatenate([clean, far])) > 0.9


@pytest.mark.parametrize("name", DETECTORS)
def test_scores_depend_on_the_seed_and_the_row_alone(name, digits):
    scores = DETECTORS[name](digits[:300], 0)(digits[300:320])
    again = DETECTORS[name](digits[:300], 0)(digits[310:320])
    np.testing.assert_allclose(again, scores[10:], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", DETECTORS)
def test_few_images_are_enough(name, digits):
    assert np.isfinite(DETECTORS[name](digits[:30], 0)(digits[30:35])).all()
