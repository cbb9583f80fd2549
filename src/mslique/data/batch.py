"""The form of the training data: both data modules make it, and the LightningModule takes it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Sample(NamedTuple):
    """One image with its label.

    ``image`` is (3, H, W), or the views (V, 3, s, s), in [0, 1]; ``label`` is a scalar, higher is better; ``dataset``
    and ``number`` are the number of the dataset and the number of the image in it.
    """

    image: Tensor
    label: Tensor
    dataset: int
    number: int


class Batch(NamedTuple):
    """B images with their labels.

    ``images`` is (B, 3, H, W) in [0, 1], or a list of B tensors of views (V, 3, s, s), where V can differ; ``labels``
    is (B,) float; ``datasets`` and ``numbers`` are (B,) int64. B is 0 where every image of a batch was skipped.
    """

    images: Tensor | list[Tensor]
    labels: Tensor
    datasets: Tensor
    numbers: Tensor


def batch_of_views(samples: Sequence[Sample | None]) -> Batch:
    """A batch of the samples; None stands for an image that was skipped."""
    kept = [sample for sample in samples if sample is not None]
    labels = torch.stack([sample.label for sample in kept]) if kept else torch.empty(0)
    numbers = torch.tensor([(sample.dataset, sample.number) for sample in kept], dtype=torch.long).view(-1, 2)
    return Batch([sample.image for sample in kept], labels, numbers[:, 0], numbers[:, 1])


def batch_of_images(samples: Sequence[Sample]) -> Batch:
    """A batch of samples whose images (3, H, W) have one size."""
    batch = batch_of_views(samples)
    return batch._replace(images=torch.stack(list(batch.images)))


def joined(batch: Batch | Mapping[str, Batch]) -> Batch:
    """The batch itself, or one batch of the views in several."""
    if isinstance(batch, Batch):
        return batch
    images, labels, datasets, numbers = zip(*batch.values(), strict=True)
    views = [views for part in images for views in part]
    return Batch(views, torch.cat(labels), torch.cat(datasets), torch.cat(numbers))
