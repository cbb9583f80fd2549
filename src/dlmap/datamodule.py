"""A folder of photographs as batches for ``lightning predict``."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mslique import UserError, list_images, read_image


@dataclass(frozen=True)
class Photo:
    """One input: its path relative to the folder, that of its output, its pixels (3, H, W) or why there are none."""

    name: Path
    output: Path
    image: Tensor | None
    error: str = ""


class PhotoFolder(Dataset[Photo]):
    """The photographs of a folder (searched recursively) or a single file; a bad file becomes an item with an error."""

    def __init__(self, folder: str | Path) -> None:
        root = Path(folder)
        self.paths = [root] if root.is_file() else list_images(root)
        self.root = root.parent if root.is_file() else root
        names = [path.relative_to(self.root) for path in self.paths]
        shared = Counter(name.with_suffix(".png") for name in names)
        self.names = [
            # a.jpg and a.bmp would both become a.png: each keeps its full name then
            (
                name,
                name.with_suffix(".png")
                if shared[name.with_suffix(".png")] == 1
                else name.with_name(f"{name.name}.png"),
            )
            for name in names
        ]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Photo:
        name, output = self.names[index]
        try:
            return Photo(name, output, read_image(self.paths[index]))
        except UserError as reason:
            return Photo(name, output, None, str(reason))


def _as_list(photos: list[Photo]) -> list[Photo]:
    return photos


class PhotoFolderData(L.LightningDataModule):
    """Batches (lists) of photographs of any sizes.

    Args:
        folder: photographs, searched recursively; or one file.
        batch_size: photographs at a time; those of equal size are enhanced together.
        num_workers: processes that read ahead.

    Raises:
        UserError: the folder is missing or holds no image.
    """

    def __init__(self, folder: str, batch_size: int = 4, num_workers: int = 0) -> None:
        super().__init__()
        self.photos = PhotoFolder(folder)
        self.batch_size, self.num_workers = batch_size, num_workers

    def transfer_batch_to_device(self, batch: list[Photo], device: torch.device, dataloader_idx: int) -> list[Photo]:
        return batch  # the module moves the stacks that it makes of equal sizes

    def predict_dataloader(self) -> DataLoader[Photo]:
        return DataLoader(
            dataset=self.photos, batch_size=self.batch_size, num_workers=self.num_workers, collate_fn=_as_list
        )
