import math
import warnings

import numpy as np
import pytest
import torch
from scipy import stats

from mslique import Calibration, fit_calibration, plcc, srcc


def test_srcc_equals_scipy_with_ties() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, 60), rng.integers(0, 4, 60) + rng.integers(0, 2, 60)
    assert srcc(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert srcc(x, x**3) == pytest.approx(1)


def test_plcc_is_pearsons_where_the_relation_is_linear() -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 1, 300)
    y = x + 0.2 * rng.standard_normal(300)
    assert plcc(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=0.01)
    assert plcc(x, y) >= stats.pearsonr(x, y).statistic - 1e-6


def test_plcc_takes_out_a_logistic() -> None:
    x = np.linspace(-4, 4, 80)
    y = 10 + 80 / (1 + np.exp(-(x - 0.5) / 0.3))
    assert stats.pearsonr(x, y).statistic < 0.95
    assert plcc(x, y) == pytest.approx(1, abs=1e-6)


def test_plcc_keeps_a_falling_relation_from_hiding() -> None:
    x = np.linspace(0, 1, 50)
    assert srcc(x, -x) == pytest.approx(-1)


def test_plcc_warns_when_nothing_can_be_fitted() -> None:
    with pytest.warns(UserWarning, match="raw scores"):
        assert plcc([1, 2, 3], [1, 2, 4]) == pytest.approx(stats.pearsonr([1, 2, 3], [1, 2, 4]).statistic)


def test_constant_scores_have_no_correlation() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(srcc([1, 1, 1], [1, 2, 3])) and math.isnan(plcc([1, 1, 1], [1, 2, 3]))


@pytest.mark.parametrize(("x", "y"), [([1, 2], [1]), ([1], [1]), ([1, math.nan], [1, 2]), ([[1, 2]], [[1, 2]])])
def test_vectors_that_do_not_match_are_refused(x: list, y: list) -> None:
    with pytest.raises(ValueError, match="two finite vectors"):
        srcc(x, y)


def test_calibration_finds_the_constants_that_made_the_labels() -> None:
    scores = torch.linspace(1, 5, 60, dtype=torch.float64)
    truth = Calibration(center=1.98447, scale=0.93984)
    noise = torch.randn(60, generator=torch.Generator().manual_seed(0))
    fitted = fit_calibration(scores, truth(scores) + 0.5 * noise)
    assert fitted.center == pytest.approx(truth.center, abs=0.05)
    assert fitted.scale == pytest.approx(truth.scale, abs=0.05)


def test_calibration_is_the_papers_formula_and_differentiable() -> None:
    score = torch.tensor(2.5, requires_grad=True)
    quality = Calibration(2.0, 0.5)(score)
    assert quality.item() == pytest.approx(100 / (1 + math.exp(-1)))
    quality.backward()
    assert score.grad > 0


def test_calibration_refuses_scores_that_fall_with_the_labels() -> None:
    with pytest.raises(ValueError, match="rise with the labels"):
        fit_calibration([3, 2, 1], [10, 20, 30])
