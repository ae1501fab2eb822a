"""Out-of-distribution detectors that use no classifier: baselines for our metrics.

Each is fitted to training images alone and scores how far an image is from them, high = far; none
sees a corrupted image while fitting. All but the autoencoder come from scikit-learn, with default
settings except where chosen below. Agarwal, D'souza & Hooker, "Estimating Example Difficulty using
Variance of Gradients", CVPR 2022, arXiv:2008.11600, Table 1, compare VoG with such detectors.
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
"""[N, P] float32, pixels in [0, 1]."""
Detector = Callable[[Images], Floats]
"""Maps images to scores [N], high = far from the training images."""

_COMPONENTS = 40  # keep about 80 % of the variance of MNIST's 784 pixels
_EPOCHS, _BATCH = 30, 128


def pca_reconstruction(train: Images, seed: int) -> Detector:
    """Score by squared distance from the span of the leading principal components."""
    return _reconstruction(PCA(_components(train), random_state=seed).fit(train))


def kernel_pca(train: Images, seed: int) -> Detector:
    """Score by squared distance from the pre-image of the RBF kernel PCA projection."""
    gamma = 1 / (train.shape[1] * train.var())
    model = KernelPCA(
        _components(train),
        kernel="rbf",
        gamma=gamma,
        fit_inverse_transform=True,
        eigen_solver="randomized",
        random_state=seed,
    )
    return _reconstruction(model.fit(train))


def kernel_density(train: Images, seed: int) -> Detector:
    """Score by minus the log-density of a Gaussian kernel estimate on whitened components."""
    model = make_pipeline(
        PCA(_components(train), whiten=True, random_state=seed), KernelDensity(bandwidth="scott")
    )
    fitted = model.fit(train)
    return lambda images: -fitted.score_samples(images)


def mahalanobis(train: Images, seed: int) -> Detector:
    """Score by squared Mahalanobis distance to a Gaussian with Ledoit-Wolf shrinkage."""
    gaussian = LedoitWolf().fit(train)
    return lambda images: np.asarray(gaussian.mahalanobis(images), dtype=np.float64)


def robust_covariance(train: Images, seed: int) -> Detector:
    """Score by squared Mahalanobis distance in components, by minimum covariance determinant."""
    components = PCA(_components(train), random_state=seed).fit(train)
    gaussian = MinCovDet(support_fraction=0.9, random_state=seed)
    gaussian.fit(components.transform(train))
    return lambda images: np.asarray(gaussian.mahalanobis(components.transform(images)))


def one_class_svm(train: Images, seed: int) -> Detector:
    """Score by minus the signed distance to the frontier of a one-class RBF SVM."""
    model = OneClassSVM(gamma="scale", nu=0.1).fit(train)
    return lambda images: -model.decision_function(images)


def autoencoder(train: Images, seed: int) -> Detector:
    """Score by the squared error of an autoencoder with P-128-32-128-P units."""
    width = train.shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            *(nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 32), nn.ReLU()),
            *(nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, width), nn.Sigmoid()),
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
            pixels = torch.from_numpy(images)
            error: Floats = (net(pixels) - pixels).square().sum(dim=1).double().numpy()
            return error

    return score


def _reconstruction(model: PCA | KernelPCA) -> Detector:
    def score(images: Images) -> Floats:
        reconstructed = model.inverse_transform(model.transform(images))
        return np.asarray(((images - reconstructed) ** 2).sum(axis=1), dtype=np.float64)

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
"""Name to the function that fits it: (training images, seed) -> detector."""
