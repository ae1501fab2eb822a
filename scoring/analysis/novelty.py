"""Detectors of out-of-distribution images that know no classifier: baselines for our metrics.

Each is fitted to training images and says of any image how far it is from them, high = far. All but
the autoencoder are scikit-learn's, at their defaults but for the choices below; none sees a
corrupted image. Agarwal, D'souza & Hooker, "Estimating Example Difficulty using Variance of
Gradients", CVPR 2022, arXiv:2008.11600, Table 1, compares VoG with such.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from sklearn.covariance import LedoitWolf, MinCovDet
from sklearn.decomposition import PCA, KernelPCA
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.svm import OneClassSVM
from torch import nn

from scoring.arrays import Floats

Images = npt.NDArray[np.float32]
"""[N, P], pixels in [0, 1]."""
Detector = Callable[[Images], Floats]
"""Images to scores [N], high = far from the training images."""

_COMPONENTS = 40  # of MNIST's 784 pixels they hold about 80 % of the variance
_EPOCHS, _BATCH = 30, 128


def pca_reconstruction(train: Images, seed: int) -> Detector:
    """Squared distance from the span of the first principal components."""
    return _reconstruction(PCA(_components(train), random_state=seed).fit(train))


def kernel_pca(train: Images, seed: int) -> Detector:
    """Squared distance from the pre-image of the projection on kernel components (RBF)."""
    width = 1 / (train.shape[1] * train.var())
    model = KernelPCA(
        _components(train),
        kernel="rbf",
        gamma=width,
        fit_inverse_transform=True,
        eigen_solver="randomized",
        random_state=seed,
    )
    return _reconstruction(model.fit(train))


def kernel_density(train: Images, seed: int) -> Detector:
    """Minus the log-density of a Gaussian kernel estimate on whitened components."""
    model = make_pipeline(
        PCA(_components(train), whiten=True, random_state=seed), KernelDensity(bandwidth="scott")
    )
    fitted = model.fit(train)
    return lambda images: -fitted.score_samples(images)


def mahalanobis(train: Images, seed: int) -> Detector:
    """Squared Mahalanobis distance to one Gaussian, its covariance shrunk (Ledoit-Wolf)."""
    gaussian = LedoitWolf().fit(train)
    return lambda images: np.asarray(gaussian.mahalanobis(images), dtype=np.float64)


def robust_covariance(train: Images, seed: int) -> Detector:
    """The same on the components, the Gaussian that of the minimum covariance determinant."""
    components = PCA(_components(train), random_state=seed).fit(train)
    gaussian = MinCovDet(support_fraction=0.9, random_state=seed)
    gaussian.fit(components.transform(train))
    return lambda images: np.asarray(gaussian.mahalanobis(components.transform(images)))


def one_class_svm(train: Images, seed: int) -> Detector:
    """Minus the signed distance to a one-class support vector machine's frontier (RBF)."""
    model = OneClassSVM(gamma="scale", nu=0.1).fit(train)
    return lambda images: -model.decision_function(images)


def autoencoder(train: Images, seed: int) -> Detector:
    """Squared error of an autoencoder of 784-128-32-128-784 units or alike."""
    pixels = train.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            *(nn.Linear(pixels, 128), nn.ReLU(), nn.Linear(128, 32), nn.ReLU()),
            *(nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, pixels), nn.Sigmoid()),
        )
        data = torch.from_numpy(train)
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        for _ in range(_EPOCHS):
            for rows in torch.split(torch.randperm(len(data)), _BATCH):
                loss = nn.functional.mse_loss(net(data[rows]), data[rows])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()

    def score(images: Images) -> Floats:
        with torch.inference_mode():
            seen = torch.from_numpy(images)
            error: Floats = (net(seen) - seen).square().sum(dim=1).double().numpy()
            return error

    return score


def _reconstruction(model: PCA | KernelPCA) -> Detector:
    def score(images: Images) -> Floats:
        back = model.inverse_transform(model.transform(images))
        return np.asarray(((images - back) ** 2).sum(axis=1), dtype=np.float64)

    return score


def _components(train: Images) -> int:
    return int(min(_COMPONENTS, *train.shape))


DETECTORS: Mapping[str, Callable[[Images, int], Detector]] = {
    detector.__name__: detector
    for detector in (
        pca_reconstruction,
        kernel_pca,
        kernel_density,
        mahalanobis,
        robust_covariance,
        one_class_svm,
        autoencoder,
    )
}
"""Name to what fits it: (training images, seed) -> detector."""
