import errno
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mslique import UserError
from mslique.lightning_cli import main, run, sentence
from mslique.module import QualityModule

TINY = Path(__file__).parents[2] / "configs" / "mslique" / "tiny.yaml"


def test_a_users_mistake_is_a_sentence_even_when_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    def wrapped() -> None:
        raise ValueError("Problem with given class_path") from UserError("no such folder: give another")

    assert sentence(wrapped) == 1
    assert capsys.readouterr().err == "error: no such folder: give another\n"


def test_other_errors_are_not_hidden() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        sentence(int, "x")


@pytest.mark.parametrize("subcommand", ["fit", "validate", "test", "predict"])
def test_every_subcommand_explains_itself(subcommand: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([subcommand, "--help"])
    assert stop.value.code == 0
    assert "--output" in capsys.readouterr().out


def test_a_workers_traceback_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    def in_worker() -> None:
        raise UserError('Caught UserError in DataLoader worker process 0.\n  File "x.py"\nUserError: a.png is broken\n')

    assert sentence(in_worker) == 1
    assert capsys.readouterr().err == "error: a.png is broken\n"


def test_a_message_that_quotes_an_error_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    def quoting() -> None:
        raise UserError("a.png cannot be decoded (UserError: 9 x 9 pixels are too many)")

    assert sentence(quoting) == 1
    assert capsys.readouterr().err == "error: a.png cannot be decoded (UserError: 9 x 9 pixels are too many)\n"


def test_an_error_in_a_real_worker_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    def read() -> None:
        list(DataLoader(dataset=_Broken(), num_workers=1))

    assert sentence(read) == 1
    assert capsys.readouterr().err == "error: b.png is broken\n"


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOTDIR, errno.EEXIST, errno.ENOSPC])
def test_a_refusal_of_the_file_system_is_a_sentence(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    def write() -> None:
        raise OSError(number, os.strerror(number), "a.csv")

    assert sentence(write) == 1
    assert capsys.readouterr().err.startswith(f"error: a.csv cannot be written ({os.strerror(number)}): ")


def test_ctrl_c_is_not_lost_while_an_object_is_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    """Such as a data loader, whose __del__ waits for its processes; Python ignores exceptions in it."""

    class Slow:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def work() -> None:
        Slow()
        time.sleep(10)

    before = sys.unraisablehook
    with pytest.raises(KeyboardInterrupt):
        sentence(work)
    assert sys.unraisablehook == before and not capsys.readouterr().err


def tiny(folder: Path, output: Path, backbone: str, *more: str) -> list[str]:
    """The arguments after the subcommand, of a training of two steps."""
    return [
        f"--config={TINY}",
        f"--data.folder={folder}",
        f"--output={output}",
        f"--model.model.backbone={backbone}",
        "--model.clip_weights=null",
        "--model.train_scales=[1.0]",
        "--data.crop_size=64",
        "--data.batch_size=2",
        "--data.samples_per_epoch=4",
        "--data.val_samples=4",
        "--data.distinct_samples=null",
        "--trainer.max_epochs=1",
        "--trainer.accelerator=cpu",
        "--trainer.precision=32-true",
        "--trainer.enable_progress_bar=false",
        "--trainer.enable_model_summary=false",
        *more,
    ]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--ckpt_path=last", "there is no last checkpoint"),
        ("--ckpt_path=best", "give the path of a checkpoint"),
        ("--ckpt_path=lastt", "lastt is not a file"),
        ("--trainer.devices=0", "the trainer refuses its options"),
        ("--model.train_crops=-1", "train_crops is -1: give 0 or more"),
        ("--model.model.n_crops=-1", "model: sizes, strides and scales are positive"),
        ("--model.model.typo=1", "model: .*'typo'"),
        ("--model.model.softmax_divisor=0", "softmax_divisor is 0: give a number above 0"),
        ("--seed_everything=-1", "seed_everything is -1: give 0 or more"),
        ("--data.seed=-1", "seed is -1: give 0 or more"),
        ("--config=PHOTO", "--config is not a text in UTF-8"),
    ],
)
def test_mistakes_in_options_are_sentences(
    option: str,
    message: str,
    photo_folder: Path,
    tiny_transformer: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    option = option.replace("PHOTO", str(photo_folder / "coffee.png"))
    assert main(["test", *tiny(photo_folder, tmp_path, tiny_transformer, option)]) == 1
    shown = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(shown) == 1 and re.search(message, shown[0]), shown


def test_a_training_that_sigterm_ends_has_not_succeeded_and_goes_on(
    photo_folder: Path,
    tiny_transformer: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = tiny(photo_folder, tmp_path, tiny_transformer, "--trainer.max_epochs=2")
    whole = QualityModule.training_step

    def interrupted(module: QualityModule, batch: Any, number: int) -> Any:
        if module.current_epoch == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(module, batch, number)

    with monkeypatch.context() as patch:
        patch.setattr(QualityModule, "training_step", interrupted)
        assert main(["fit", *arguments]) == 1
    assert "SIGTERM has ended the training: the same command with --ckpt_path last" in capsys.readouterr().err
    last = tmp_path / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == 2
    assert main(["fit", *arguments, "--ckpt_path=last"]) == 0
    assert torch.load(last, weights_only=True)["global_step"] == 4
    other = json.loads(tiny_transformer)
    other["vision_cfg"]["width"] *= 2
    found = torch.load(last, weights_only=True)
    found["hyper_parameters"]["model"]["backbone"] = other
    torch.save(found, tmp_path / "other.ckpt")
    assert main(["validate", *arguments, f"--ckpt_path={tmp_path / 'other.ckpt'}"]) == 1
    assert "other.ckpt does not fit the model" in capsys.readouterr().err


def test_an_error_in_a_training_keeps_its_cause(
    photo_folder: Path, tiny_transformer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that is its own cause has no end for whoever follows the causes, as the command does."""

    def broken(*_: Any) -> None:
        raise ValueError("a wrong shape") from KeyError("the cause")

    monkeypatch.setattr(QualityModule, "training_step", broken)
    with pytest.raises(ValueError, match="a wrong shape") as found:
        run(["fit", *tiny(photo_folder, tmp_path, tiny_transformer)])
    assert isinstance(found.value.__cause__, KeyError)


class _Broken(Dataset[int]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        raise UserError("b.png is broken")
