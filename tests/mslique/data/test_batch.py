import pickle

import pytest
import torch
from lightning.pytorch.utilities import move_data_to_device

from mslique.data.batch import Batch, Sample, batch_of_images, batch_of_views, joined


def sample(number: int, views: int = 2) -> Sample:
    return Sample(torch.rand(views, 3, 8, 8), torch.tensor(float(number)), 5, number)


def test_views_of_different_numbers_stay_apart_and_skipped_images_are_left_out() -> None:
    batch = batch_of_views([sample(1), None, sample(2, views=3)])
    assert [len(views) for views in batch.images] == [2, 3]
    assert batch.labels.tolist() == [1, 2] and batch.datasets.tolist() == [5, 5] and batch.numbers.tolist() == [1, 2]


def test_a_batch_may_be_empty() -> None:
    batch = batch_of_views([None])
    assert batch.images == [] and batch.labels.shape == batch.datasets.shape == batch.numbers.shape == (0,)
    assert batch.numbers.dtype == torch.long


def test_images_of_one_size_are_stacked() -> None:
    samples = [Sample(torch.rand(3, 8, 8), torch.tensor(0.5), 0, k) for k in range(3)]
    batch = batch_of_images(samples)
    assert torch.equal(batch.images, torch.stack([one.image for one in samples]))  # type: ignore[arg-type]


def test_batches_of_several_datasets_become_one() -> None:
    first, second = batch_of_views([sample(1)]), batch_of_views([sample(2), sample(3)])
    assert joined(first) is first
    both = joined({"a": first, "b": second})
    assert isinstance(both, Batch) and both.labels.tolist() == [1, 2, 3]
    assert torch.equal(both.images[2], second.images[1])


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_lightning_moves_a_batch_to_a_device(device: str) -> None:
    moved = move_data_to_device({"a": batch_of_views([sample(1), sample(2)])}, torch.device(device))["a"]
    assert isinstance(moved, Batch)
    assert {tensor.device.type for tensor in (*moved.images, *moved[1:])} == {device}


def test_a_batch_comes_from_another_process() -> None:
    batch = batch_of_views([sample(1)])
    assert isinstance(pickle.loads(pickle.dumps(batch)), Batch)
