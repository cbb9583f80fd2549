from pathlib import Path

import pytest
import torch

from mslique import UserError
from mslique.data.batch import Batch
from mslique.data.synthetic_datamodule import DegradedPhotos


def make(folder: Path, **options: object) -> DegradedPhotos:
    defaults = {"crop_size": 64, "batch_size": 4, "samples_per_epoch": 12, "val_samples": 6}
    data = DegradedPhotos(str(folder), **{**defaults, **options})  # type: ignore[arg-type]
    data.setup("fit")
    return data


def test_a_batch_is_images_labels_and_dataset_ids(photo_folder: Path) -> None:
    batch = next(iter(make(photo_folder).train_dataloader()))
    assert isinstance(batch, Batch)
    images, labels, ids, numbers = batch
    assert images.shape == (4, 3, 64, 64) and images.min() >= 0 and images.max() <= 1
    assert labels.shape == ids.shape == (4,) and labels.min() >= 0 and labels.max() <= 100.1
    assert ids.tolist() == [0, 0, 0, 0] and numbers.tolist() == [0, 1, 2, 3]


def test_samples_depend_on_seed_and_index_alone(photo_folder: Path) -> None:
    first, again, other = (make(photo_folder, seed=seed).train_set for seed in (3, 3, 4))
    assert all(torch.equal(first[i][0], again[i][0]) for i in (7, 0, 7))
    assert not torch.equal(first[0][0], other[0][0]) and not torch.equal(first[0][0], first[1][0])


def test_samples_kept_are_made_by_workers_before_the_first_step(photo_folder: Path) -> None:
    alone, shared = (make(photo_folder, distinct_samples=8, num_workers=workers) for workers in (0, 2))
    batches = [list(data.train_dataloader()) for data in (alone, shared)]
    assert sorted(shared.train_set._kept) == [0, 1] and len(batches[0]) == 3
    assert all(torch.equal(a, b) for pair in zip(*batches, strict=True) for a, b in zip(*pair, strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_every_epoch_is_new_and_can_be_repeated(photo_folder: Path, workers: int) -> None:
    def labels(epoch: int) -> torch.Tensor:
        loader = make(photo_folder, num_workers=workers).train_dataloader()
        loader.sampler.set_epoch(epoch)
        return torch.cat([batch.labels for batch in loader])

    assert torch.equal(labels(1), labels(1)) and not torch.equal(labels(0), labels(1))


def test_the_last_tenth_is_kept_out_of_training(photo_folder: Path) -> None:
    data = make(photo_folder)
    assert [p.name for p in data.val_set.paths] == ["rocket.png"]
    assert [p.name for p in data.train_set.paths] == ["astronaut.png", "chelsea.png", "coffee.png"]


def test_validation_is_always_the_same(photo_folder: Path) -> None:
    first, second = (list(make(photo_folder, seed=seed).val_dataloader()) for seed in (0, 1))
    assert sum(len(batch.labels) for batch in first) == 6
    assert all(torch.equal(a.images, b.images) for a, b in zip(first, second, strict=True))


def test_versions_of_one_crop_are_next_to_each_other(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mslique.data.synthetic.degrade", lambda image, *_: image)
    dataset = make(photo_folder, versions=3).train_set
    images = [dataset[i][0] for i in range(9)]
    assert all(torch.equal(images[i], images[j]) == (i // 3 == j // 3) for i in range(9) for j in range(9))


def test_mistakes_are_explained(photo_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        make(tmp_path / "none")
    with pytest.raises(UserError, match="holds no image"):
        make(photo_folder, val_folder=str(tmp_path))
    (tmp_path / "one.png").write_bytes((photo_folder / "chelsea.png").read_bytes())
    with pytest.raises(UserError, match="single photograph"):
        make(tmp_path)
    with pytest.raises(UserError, match="at least 64"):
        make(photo_folder, crop_size=32)


def test_an_epoch_has_a_full_batch(photo_folder: Path) -> None:
    with pytest.raises(UserError, match="12 samples has no full batch of 16 in each of 1 processes"):
        make(photo_folder, batch_size=16).train_dataloader()


def test_kept_samples_must_fit_the_versions(photo_folder: Path) -> None:
    with pytest.raises(UserError, match="distinct_samples is 6: give a multiple of versions"):
        DegradedPhotos(str(photo_folder), versions=4, distinct_samples=6)
