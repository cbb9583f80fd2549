"""How well scores agree with labels (SRCC, PLCC), and the map from raw scores to 0..100.

The four-parameter logistic of VQEG (2000), b2 + (b1 - b2) / (1 + exp(-(s - b3) / |b4|)), takes out a monotone
non-linearity before the linear correlation. The calibration 100 / (1 + exp(-(s - C) / S)) is its two-parameter case.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .io.errors import UserError

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Raw score s to quality 100 / (1 + exp(-(s - center) / scale)) in (0, 100); differentiable."""

    center: float
    scale: float

    def __call__(self, scores: Tensor) -> Tensor:
        """Scores of any shape to qualities of the same shape."""
        return 100 * torch.sigmoid((scores - self.center) / self.scale)


def make_calibration(center: float | None, scale: float | None) -> Calibration | None:
    """The calibration with these constants; None if both are None.

    Raises:
        UserError: one is given without the other, or the scale is not positive.
    """
    if center is None and scale is None:
        return None
    if center is None or scale is None or not scale > 0:
        raise UserError(f"a calibration needs both center and a positive scale, got {center} and {scale}")
    return Calibration(center, scale)


def srcc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Spearman's rank correlation in [-1, 1], ties sharing their mean rank; nan if either side is constant."""
    from scipy.stats import rankdata

    x, y = _pair(scores, labels)
    return _pearson(rankdata(x), rankdata(y))


def plcc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Pearson's correlation in [-1, 1] after the four-parameter logistic; nan if either side is constant.

    Where the logistic cannot be fitted (fewer than four points, no convergence) a warning says so and the raw scores
    are correlated.
    """
    x, y = _pair(scores, labels)
    curve = fitted(x, y)
    if curve is None and np.ptp(x) > 0 and np.ptp(y) > 0:
        warnings.warn("PLCC of raw scores: the logistic could not be fitted", stacklevel=2)
    return _pearson(x if curve is None else curve(x), y)


def fitted(scores: ArrayLike, labels: ArrayLike) -> Callable[[Vector], Vector] | None:
    """The four-parameter logistic from scores to labels; None where there is none (constants, too few points)."""
    x, y = _pair(scores, labels)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    start = [y.max(), y.min(), float(np.median(x)), float(x.std())]
    try:
        parameters = _fit(_logistic, x, y, start)
    except (RuntimeError, TypeError):  # no convergence, or fewer points than parameters
        return None
    return lambda values: _logistic(values, *parameters)


def fit_calibration(scores: ArrayLike, labels: ArrayLike) -> Calibration:
    """The calibration that maps ``scores`` closest (least squares) to ``labels`` in 0..100, both higher-is-better.

    Raises:
        ValueError: constant scores, or scores that fall as the labels rise.
    """
    x, y = _pair(scores, labels)
    if not srcc(x, y) > 0:
        raise ValueError(f"scores must vary and rise with the labels, received SRCC {srcc(x, y)}")
    center, scale = _fit(_two_parameter, x, y, [float(np.median(x)), float(x.std())])
    return Calibration(float(center), abs(float(scale)))


def _pair(scores: ArrayLike, labels: ArrayLike) -> tuple[Vector, Vector]:
    x, y = np.asarray(scores, np.float64), np.asarray(labels, np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2 or not np.isfinite(x).all() or not np.isfinite(y).all():
        raise ValueError(f"expected two finite vectors of one length >= 2, received shapes {x.shape} and {y.shape}")
    return x, y


def _pearson(x: Vector, y: Vector) -> float:
    return math.nan if np.ptp(x) == 0 or np.ptp(y) == 0 else float(np.corrcoef(x, y)[0, 1])


def _fit(curve: object, x: Vector, y: Vector, start: list[float]) -> Vector:
    from scipy.optimize import OptimizeWarning, curve_fit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)  # about the covariance, which is not used
        return curve_fit(curve, x, y, p0=start, maxfev=20000)[0]


def _logistic(x: Vector, top: float, bottom: float, center: float, scale: float) -> Vector:
    return bottom + (top - bottom) * _sigmoid((x - center) / (abs(scale) + 1e-12))


def _two_parameter(x: Vector, center: float, scale: float) -> Vector:
    return 100 * _sigmoid((x - center) / (abs(scale) + 1e-12))


def _sigmoid(x: Vector) -> Vector:
    return 0.5 * (1 + np.tanh(x / 2))
