import pytest
from torch.utils.data import DataLoader, Dataset

from mslique import UserError
from mslique.lightning_cli import main, sentence


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


class _Broken(Dataset[int]):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        raise UserError("b.png is broken")
