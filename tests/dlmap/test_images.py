from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dlmap.images import save_png, write_atomically


def test_png_holds_the_rounded_values(tmp_path: Path) -> None:
    image = torch.tensor([0.0, 0.5, 1.2, 100.4 / 255]).view(1, 2, 2).expand(3, 2, 2)
    save_png(image, tmp_path / "a" / "b.png")
    assert np.asarray(Image.open(tmp_path / "a" / "b.png"))[..., 1].tolist() == [[0, 128], [255, 100]]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "x.csv"
    target.write_text("old")

    def fail(part: Path) -> None:
        part.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(target, fail)
    assert [p.name for p in tmp_path.iterdir()] == ["x.csv"] and target.read_text() == "old"
