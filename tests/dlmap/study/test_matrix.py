import csv
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlmap.study.matrix import make_matrix
from dlmap.study.matrix_figure import draw_matrix

NAMES = ("a", "b", "selfish")
OWN = {name: name for name in NAMES}


def scores() -> tuple[np.ndarray, np.ndarray]:
    """On four photographs a and b agree that a is best and selfish is worst; selfish prefers itself, then b."""
    judges = [[3.0, 2.0, 1.0], [30.0, 20.0, 10.0], [1.0, 2.0, 3.0]]
    return np.repeat(np.array(judges)[:, None], 4, axis=1), np.tile([[2.5], [5.0], [2.0]], 4)


def test_a_model_liked_only_by_itself_is_exposed(tmp_path: Path) -> None:
    matrix = make_matrix(NAMES, NAMES, OWN, *scores())
    assert matrix.contestants == matrix.judges == ("b", "a", "selfish")
    np.testing.assert_allclose(matrix.preference, [[0.5, 1, 1], [1, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(matrix.by_others, [1, 0.5, 0])
    np.testing.assert_allclose(matrix.over_original, [0, 0.5, 0.5])
    assert matrix.only_by_itself.tolist() == [False, False, True]
    assert "selfish is liked only by itself" in matrix.text() and "a is liked" not in matrix.text()
    matrix.write(tmp_path / "matrix.csv")
    rows = list(csv.DictReader((tmp_path / "matrix.csv").open()))
    assert [row["contestant"] for row in rows] == ["b", "a", "selfish"]
    assert [row["liked_only_by_itself"] for row in rows] == ["no", "no", "yes"]
    assert rows[2]["selfish"] == "1.0000" and rows[1]["preferred_by_the_others"] == "0.5000"


def test_preference_counts_comparisons_and_halves_ties() -> None:
    rng = np.random.default_rng(0)
    values, originals = rng.integers(0, 4, (2, 5, 4)).astype(float), rng.integers(0, 4, (2, 5)).astype(float)
    names, judges, own = ("a", "b", "c", "d"), ("x", "y"), {"a": "x", "b": "y"}
    matrix = make_matrix(names, judges, own, values, originals)
    won = np.zeros((4, 2))
    for j, p, (one, other) in ((j, p, pair) for j in range(2) for p in range(5) for pair in permutations(range(4), 2)):
        if own.get(names[one]) == judges[j] or own.get(names[other]) != judges[j]:
            won[one, j] += (values[j, p, one] > values[j, p, other]) + 0.5 * (values[j, p, one] == values[j, p, other])
    count = 5 * np.array([[3, 2], [2, 3], [2, 2], [2, 2]])
    order = [names.index(name) for name in matrix.contestants]
    columns = [judges.index(name) for name in matrix.judges]
    np.testing.assert_allclose(matrix.preference, (won / count)[order][:, columns])
    means = {"a": won[0, 1] / 10, "b": won[1, 0] / 10, "c": won[2].sum() / 20, "d": won[3].sum() / 20}
    np.testing.assert_allclose(matrix.by_others, [means[name] for name in matrix.contestants])
    assert list(matrix.by_others) == sorted(matrix.by_others, reverse=True)


def test_without_a_neutral_judge_nobody_is_blamed() -> None:
    pair = make_matrix(NAMES[:2], NAMES[:2], OWN, np.array([[[2.0, 1.0]], [[1.0, 2.0]]]), np.zeros((2, 1)))
    assert np.isnan(pair.by_others).all() and not pair.only_by_itself.any()
    values, originals = scores()
    matrix = make_matrix(NAMES, ("q",), dict.fromkeys(NAMES, "q"), values[:1], originals[:1])
    assert np.isnan(matrix.by_others).all() and not matrix.only_by_itself.any()
    assert "\na: 100% by q, which the ascent followed\n" in matrix.text()


@pytest.mark.parametrize("count", [2, 12])
def test_the_figure_is_a_picture(count: int, tmp_path: Path) -> None:
    names = tuple(f"model-{k}" for k in range(count))
    rng = np.random.default_rng(0)
    matrix = make_matrix(
        names, names, dict(zip(names, names, strict=True)), rng.random((count, 6, count)), rng.random((count, 6))
    )
    draw_matrix(matrix, tmp_path / "matrix.png")
    with Image.open(tmp_path / "matrix.png") as picture:
        assert min(picture.size) > 500 and len(picture.convert("RGB").getcolors(2**20)) > 100
