import os
from pathlib import Path
from typing import Any

import pytest
import torch

from mslique import UserError
from mslique.checkpoint import check_checkpoint, last_checkpoint

MODULE = "mslique.module.QualityModule"
WHOLE: dict[str, Any] = {
    "pytorch-lightning_version": "2.6.0",
    "state_dict": {"weight": torch.ones(2)},
    "optimizer_states": [],
    "hyper_parameters": {"_class_path": MODULE},
}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "is not a checkpoint of lightning fit"),
        (WHOLE["state_dict"], "is not a checkpoint of lightning fit"),
        (
            {**WHOLE, "hyper_parameters": {"_class_path": "dlmap.pretrain.module.PriorTraining"}},
            "not of mslique.module",
        ),
        ({**WHOLE, "state_dict": {"weight": torch.tensor(float("nan"))}}, "not finite, in weight"),
        ({name: value for name, value in WHOLE.items() if name != "optimizer_states"}, "holds weights alone"),
    ],
)
def test_what_is_no_checkpoint_of_this_training_is_refused(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match=message):
        check_checkpoint(tmp_path / "a.ckpt", MODULE, training=True)


def test_a_checkpoint_passes_and_weights_alone_can_be_tested(tmp_path: Path) -> None:
    torch.save(WHOLE, tmp_path / "a.ckpt")
    check_checkpoint(tmp_path / "a.ckpt", MODULE, training=True)
    del (alone := dict(WHOLE))["optimizer_states"]
    torch.save(alone, tmp_path / "b.ckpt")
    check_checkpoint(tmp_path / "b.ckpt", MODULE, training=False)


def test_the_last_checkpoint_is_the_newest(tmp_path: Path) -> None:
    for second, name in enumerate(("last.ckpt", "last-v1.ckpt", "epoch=3.ckpt")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (second, second))
    assert last_checkpoint([tmp_path, tmp_path / "none"], needed=True) == str(tmp_path / "last-v1.ckpt")
    assert last_checkpoint([tmp_path / "none"], needed=False) is None
    with pytest.raises(UserError, match="there is no last checkpoint .*none"):
        last_checkpoint([tmp_path / "none"], needed=True)
