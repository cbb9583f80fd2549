import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr

from mslique import UserError
from mslique.evaluation import agreements, scored, write_report


def rows() -> torch.Tensor:
    rng = np.random.default_rng(0)
    scores, noise = rng.random(30), rng.random(30)
    datasets = np.repeat([0, 2], (20, 10))
    return torch.tensor(np.stack([scores, scores + 0.3 * noise, datasets, np.arange(30)], axis=1))


def test_each_dataset_has_its_own_correlations() -> None:
    table = rows()
    found = agreements(table[torch.randperm(30)], ["a", "b", "c"])
    assert [(entry.name, entry.images) for entry in found] == [("a", 20), ("c", 10)]
    for entry, part in zip(found, (table[:20], table[20:]), strict=True):
        assert entry.srcc == pytest.approx(spearmanr(part[:, 0], part[:, 1]).statistic)
        assert entry.plcc > 0.9
    (alone,) = agreements(table[:1])
    assert math.isnan(alone.srcc) and alone.name == "0"


def test_the_report_names_every_image_in_order(tmp_path: Path) -> None:
    table = rows()[torch.randperm(30)]
    write_report(tmp_path, agreements(table, ["a", "b", "c"]), table, lambda dataset, number: f"{dataset}/{number}.png")
    scores = list(csv.DictReader((tmp_path / "scores.csv").open()))
    assert [row["image"] for row in scores] == [f"{0 if k < 20 else 2}/{k}.png" for k in range(30)]
    assert [row["dataset"] for row in csv.DictReader((tmp_path / "correlations.csv").open())] == ["a", "c"]
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))
    assert (picture != 255).any(axis=2).mean() > 0.01


def test_scores_that_are_not_finite_or_missing_are_told() -> None:
    rows = torch.tensor([[1.0, 2.0, 0.0, 0.0], [float("nan"), 3.0, 0.0, 1.0]])
    with pytest.raises(UserError, match="1 of 2 scores of val are not finite"):
        scored(rows, "val")
    with pytest.raises(UserError, match="no image for test could be decoded"):
        scored([], "test")
    assert torch.equal(scored(rows[:1], "val"), rows[:1])


def test_a_dataset_of_one_image_does_not_cost_the_others_their_report(tmp_path: Path) -> None:
    table = torch.cat([rows(), torch.tensor([[1.0, 2.0, 1.0, 0.0]])])
    write_report(tmp_path, agreements(table, ["a", "b", "c"]), table, lambda dataset, number: str(number))
    assert (tmp_path / "b.png").is_file() and len(list(csv.reader((tmp_path / "scores.csv").open()))) == 32
