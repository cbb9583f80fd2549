from pathlib import Path

import pytest
import torch
from numpy.random import default_rng

from mslique import UserError
from mslique.data.batch import Batch
from mslique.data.crops import clean_crop, varied
from mslique.data.samplers import EverySampleOnce, FreshSamples
from mslique.data.synthetic import DegradedCrops
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


def test_processes_share_an_epoch_without_overlap(photo_folder: Path) -> None:
    dataset = make(photo_folder).train_set
    samplers = [FreshSamples(dataset, num_replicas=3, rank=rank, shuffle=False) for rank in range(3)]
    for sampler in samplers:
        sampler.set_epoch(2)
    assert sorted(i for sampler in samplers for i in sampler) == list(range(24, 36))
    assert [len(list(sampler)) for sampler in samplers] == [len(s) for s in samplers] == [4, 4, 4]


def test_evaluation_shares_every_sample_once(photo_folder: Path) -> None:
    dataset = make(photo_folder, val_samples=7).val_set
    samplers = [EverySampleOnce(dataset, 3, rank) for rank in range(3)]
    assert sorted(i for sampler in samplers for i in sampler) == list(range(7))
    assert [len(list(sampler)) for sampler in samplers] == [len(sampler) for sampler in samplers] == [3, 2, 2]


def test_each_round_shows_every_photo_once(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Path] = []
    monkeypatch.setattr(
        "mslique.data.synthetic.read_photo", lambda path: (shown.append(path), torch.zeros(3, 64, 64).byte())[1]
    )
    dataset = DegradedCrops(sorted(photo_folder.iterdir()), 8, 64, seed=0)
    _ = [dataset[i] for i in range(40)]
    assert all(len(set(shown[i : i + 4])) == 4 for i in range(0, 40, 4))
    assert len({tuple(shown[i : i + 4]) for i in range(0, 40, 4)}) > 1


def test_the_last_tenth_is_kept_out_of_training(photo_folder: Path) -> None:
    data = make(photo_folder)
    assert [p.name for p in data.val_set.paths] == ["rocket.png"]
    assert [p.name for p in data.train_set.paths] == ["astronaut.png", "chelsea.png", "coffee.png"]


def test_validation_is_always_the_same(photo_folder: Path) -> None:
    first, second = (list(make(photo_folder, seed=seed).val_dataloader()) for seed in (0, 1))
    assert sum(len(batch.labels) for batch in first) == 6
    assert all(torch.equal(a.images, b.images) for a, b in zip(first, second, strict=True))


def test_crops_show_several_scales_and_skip_empty_sky() -> None:
    photo = torch.full((3, 256, 256), 128, dtype=torch.uint8)
    photo[:, :, 128:] = torch.arange(128).remainder(2).mul(255)  # a smooth half and a half of one-pixel stripes
    crops = [clean_crop(photo, 64, default_rng(seed)) for seed in range(60)]
    contrast = torch.stack([crop.std() for crop in crops])
    assert (contrast < 0.01).float().mean() < 0.15  # 1/4 or more of all squares are smooth
    striped = contrast[contrast > 0.01]
    assert striped.min() < 0.05 and striped.max() > 0.25  # shrinking blends the stripes


def test_versions_of_one_crop_are_next_to_each_other(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mslique.data.synthetic.degrade", lambda image, *_: image)
    dataset = make(photo_folder, versions=3).train_set
    images = [dataset[i][0] for i in range(9)]
    assert all(torch.equal(images[i], images[j]) == (i // 3 == j // 3) for i in range(9) for j in range(9))


def test_variations_rearrange_a_crop_and_change_no_value() -> None:
    crop = torch.rand(3, 16, 16)
    results = torch.stack([varied(crop, default_rng(seed)) for seed in range(200)])
    assert torch.equal(results.flatten(1).sort().values, crop.flatten().sort().values.expand(200, -1))
    assert len(results.unique(dim=0)) == 48  # 8 symmetries of the square, 6 orders of the channels, none rare


@pytest.mark.parametrize("size", [(40, 200), (64, 64), (63, 500)])
def test_photos_smaller_than_a_crop_are_enlarged(size: tuple[int, int]) -> None:
    photo = torch.randint(256, (3, *size), dtype=torch.uint8)
    crop = clean_crop(photo, 64, default_rng(0))
    assert crop.shape == (3, 64, 64) and crop.min() >= 0 and crop.max() <= 1


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


def test_kept_samples_come_again_in_another_order_turned_and_mirrored(photo_folder: Path) -> None:
    paths = sorted(photo_folder.iterdir())
    stream = DegradedCrops(paths, 16, 64, seed=3, versions=2)
    kept = DegradedCrops(paths, 16, 64, seed=3, versions=2, distinct=8)
    labels = [kept[index][1].item() for index in range(16)]
    expected = sorted(stream[index][1].item() for index in range(8))
    assert sorted(labels[:8]) == expected and sorted(labels[8:]) == expected
    assert labels[:8] != labels[8:]
    originals = [stream[index][0] for index in range(8)]
    shapes = set()
    for index in range(16):
        image = kept[index][0]
        found = [
            (number, turns, flip)
            for number, original in enumerate(originals)
            for turns in range(4)
            for flip in (False, True)
            if (image - _seen(original, turns, flip)).abs().max() <= 0.5 / 255 + 1e-6
        ]
        assert len(found) == 1
        shapes.add(found[0][1:])
    assert len(shapes) > 4  # of eight


def _seen(image: torch.Tensor, turns: int, flip: bool) -> torch.Tensor:
    turned = torch.rot90(image, turns, (1, 2))
    return turned.flip(2) if flip else turned


def test_kept_samples_must_fit_the_versions(photo_folder: Path) -> None:
    with pytest.raises(UserError, match="distinct_samples is 6: give a multiple of versions"):
        DegradedPhotos(str(photo_folder), versions=4, distinct_samples=6)
