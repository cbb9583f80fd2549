from pathlib import Path

import pytest
import torch

from mslique import UserError
from mslique.data.synthetic import DegradedCrops


def test_each_round_shows_every_photo_once(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Path] = []
    monkeypatch.setattr(
        "mslique.data.synthetic.read_photo", lambda path: (shown.append(path), torch.zeros(3, 64, 64).byte())[1]
    )
    dataset = DegradedCrops(sorted(photo_folder.iterdir()), 8, 64, seed=0)
    _ = [dataset[i] for i in range(40)]
    assert all(len(set(shown[i : i + 4])) == 4 for i in range(0, 40, 4))
    assert len({tuple(shown[i : i + 4]) for i in range(0, 40, 4)}) > 1


def test_the_next_photograph_stands_in_for_a_damaged_one(photo_folder: Path, tmp_path: Path) -> None:
    whole = sorted(photo_folder.iterdir())
    cut = tmp_path / "cut.png"
    cut.write_bytes(whole[1].read_bytes()[:2000])
    with_cut, with_next = (DegradedCrops([whole[0], one, whole[2]], 6, 64, seed=0) for one in (cut, whole[2]))
    for index in range(6):
        assert torch.equal(with_cut[index].image, with_next[index].image)
    with pytest.raises(UserError, match="none of the 1 photographs can be decoded"):
        DegradedCrops([cut], 1, 64, seed=0)[0]


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
