from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mslique import MultiScaleViews, UserError
from mslique.data.labelled_views import LabelledViews
from mslique.data.opinion import LabelSource, load_labels
from mslique.data.parts import Label
from mslique.io.photo_cache import decoded

VIEWS = MultiScaleViews(32, n_crops=2, rule="random")
READ = partial(decoded, smaller_side=768)


def training(root: Path, **options: object) -> LabelledViews:
    images = load_labels("bid", LabelSource(), root, root, 1)
    return LabelledViews(images.folder, images.splits["train"], READ, VIEWS, 3, length=9, **options)  # type: ignore[arg-type]


def test_samples_depend_on_seed_and_index_alone(iqa_database: Path) -> None:
    first, again, other = training(iqa_database), training(iqa_database), training(iqa_database, seed=1)
    views, label, dataset, number = first[4]
    assert views.shape == (5, 3, 32, 32) and dataset == 3
    assert label == pytest.approx(first.labels[number].score)
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    assert torch.equal(again[4][0], views) and torch.equal(torch.random.get_rng_state(), before)
    assert any(first[i][3] != other[i][3] for i in range(9))
    assert sorted(first[i][3] for i in range(9, 18)) == list(range(9))  # every round shows every image


def test_a_sample_does_not_seed_the_accelerator(iqa_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    assert training(iqa_database)[0] is not None and not seeds


def test_corrupt_images_are_fatal_or_skipped(iqa_database: Path, tmp_path: Path, photo: Callable[..., Tensor]) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    good = next((iqa_database / "BID" / "ImageDatabase").iterdir())
    (tmp_path / "good.jpg").write_bytes(good.read_bytes())
    labels = [Label("bad.png", 1.0), Label("good.jpg", 2.0)]
    with pytest.raises(UserError, match=r"bad\.png.*set skip_bad_images"):
        LabelledViews(tmp_path, labels, READ, VIEWS, 0)[0]
    assert LabelledViews(tmp_path, labels, READ, VIEWS, 0, skip_bad_images=True)[0] is None
    shown = LabelledViews(tmp_path, labels, READ, VIEWS, 0, length=6, skip_bad_images=True)
    assert [shown[i][3] for i in range(6)] == [1] * 6  # type: ignore[index]
    with pytest.raises(UserError, match="no image below"):
        LabelledViews(tmp_path, labels[:1], READ, VIEWS, 0, length=1, skip_bad_images=True)[0]
