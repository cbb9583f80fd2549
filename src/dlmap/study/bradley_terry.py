"""Bradley-Terry scores with a side bias, by maximum likelihood.

    logit P(left is chosen) = s_left - s_right + b

(Bradley and Terry 1952; the term for order: Davidson and Beaver 1977.) b is how much observers lean to the left
whatever they are shown: a preference for one side cannot pass for one for a contestant. A normal prior of standard
deviation ``PRIOR`` on every parameter keeps separable data finite; it takes less than 0.1 % off the scores where there
are some hundred answers. Parameters are (M + 1,): s of the M contestants, of mean 0, then b. Counts are those of
:class:`~.tally.Tally`.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from mslique import UserError

from .tally import Floats

PRIOR = 10.0
"""Standard deviation of the prior, in logits: e ** 10 to 1 is no odd bet before the first answer."""
ITERATIONS, TOLERANCE = 200, 1e-7


def fit(counts: Floats) -> Floats:
    """Parameters (M + 1,) of the counts (2, M * M), by scikit-learn's LogisticRegression.

    Raises:
        UserError: scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ModuleNotFoundError as reason:
        raise UserError("ranking needs scikit-learn: pip install '.[study]'") from reason
    shown, chosen = counts
    rows = design(len(shown))
    model = LogisticRegression(
        C=PRIOR**2, fit_intercept=False, solver="newton-cholesky", tol=1e-12, max_iter=ITERATIONS
    )
    outcome = np.repeat([1, 0], len(rows))
    model.fit(np.concatenate([rows, rows]), outcome, sample_weight=np.concatenate([chosen, shown - chosen]))
    return _centred(model.coef_[0])


def fit_many(counts: Floats) -> Floats:
    """The same for many tables at once, (2, R, M * M) -> (R, M + 1): what a bootstrap needs, in seconds.

    Newton's method with the damped step log(1 + r) / r, r the largest change of a logit, with which it converges from
    anywhere (Sun and Tran-Dinh 2019, generalized self-concordant functions, nu = 2).
    """
    shown, chosen = counts
    rows = design(shown.shape[-1])
    found = np.zeros((len(shown), rows.shape[1]))
    for _ in range(ITERATIONS):
        probability = expit(found @ rows.T)
        slope = (chosen - shown * probability) @ rows - found / PRIOR**2
        step = np.linalg.solve(_curvature(shown * probability * (1 - probability), rows), slope[..., None])[..., 0]
        largest = np.abs(step @ rows.T).max(axis=1, keepdims=True) + 1e-300
        found += step * np.log1p(largest) / largest
        if largest.max() < TOLERANCE:
            return _centred(found)
    raise ArithmeticError(f"Bradley-Terry scores have not converged in {ITERATIONS} steps")


def covariance(parameters: Floats, counts: Floats) -> Floats:
    """Inverse information (M + 1, M + 1): the covariance if all answers were independent."""
    rows = design(counts.shape[-1])
    probability = expit(rows @ parameters)
    return np.linalg.inv(_curvature(counts[0] * probability * (1 - probability), rows))


def design(cells: int) -> Floats:
    """(M * M, M + 1): which parameters, with which sign, make the logit of an ordered pair."""
    m = round(cells**0.5)
    one = np.eye(m)
    rows = np.repeat(one, m, axis=0) - np.tile(one, (m, 1))
    return np.hstack([rows, np.ones((cells, 1))])


def check_connected(counts: Floats, contestants: Sequence[str]) -> None:
    """Raise a UserError if there are contestants that no chain of comparisons links."""
    shown = counts[0].reshape(len(contestants), -1)
    groups = _components(shown, contestants, "weak")
    if len(groups) > 1:
        raise UserError(
            f"{' and '.join(groups)} were never compared with one another, so they cannot stand in one ranking:"
            " collect answers to pairs across, or rank them apart"
        )


def separated(counts: Floats, contestants: Sequence[str]) -> list[str]:
    """Groups of contestants of which one always beat the other: only the prior bounds their distance. Else none."""
    m = len(contestants)
    shown, chosen = counts.reshape(2, m, m)
    groups = _components(chosen + (shown - chosen).T, contestants, "strong")
    return groups if len(groups) > 1 else []


def _components(edges: Floats, contestants: Sequence[str], connection: str) -> list[str]:
    number, label = connected_components(csr_array(edges), connection=connection)
    return [f"({', '.join(n for n, g in zip(contestants, label, strict=True) if g == k)})" for k in range(number)]


def _curvature(weight: Floats, rows: Floats) -> Floats:
    """Second derivatives of the negative log posterior, (..., M + 1, M + 1), at weights (..., M * M)."""
    return (rows.T * weight[..., None, :]) @ rows + np.eye(rows.shape[1]) / PRIOR**2


def _centred(parameters: Floats) -> Floats:
    scores, side = parameters[..., :-1], parameters[..., -1:]
    return np.concatenate([scores - scores.mean(axis=-1, keepdims=True), side], axis=-1)
