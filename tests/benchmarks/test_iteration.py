import sys

import iteration
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from toys import prior


def lines(options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """The cells of the table that the script prints, without the heads."""
    monkeypatch.setattr(sys, "argv", ["iteration.py", "--quick", "--steps=2", "--batches=1", *options])
    iteration.main()
    rows = [line.strip("|").split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[1:]]


def test_operations_are_those_of_all_calls_forward_and_back() -> None:
    """Of convolutions and matrices with frozen weights, a product with the Jacobian takes what the call takes."""
    one, latents = prior(), torch.rand(2, 3, 16, 16, dtype=torch.float64)
    with torch.no_grad(), FlopCounterMode(display=False) as forward:
        one.denoiser(latents, 1)
    found = iteration.operations(one, latents)
    assert found == pytest.approx(2 * iteration.calls(one) * forward.get_total_flops(), rel=0.02) and found > 0


@pytest.mark.slow
def test_every_mode_and_the_common_practice_are_timed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    *floors, _, practice = lines(["--tables", "floors", "practice", "--side=64"], monkeypatch, capsys)
    assert [row[1] for row in floors] == ["checkpoint", "full", "auto"]
    assert all(float(number) > 0 for row in floors for number in row[2:])
    ours, theirs, ratio = map(float, practice[1:])
    assert ratio == pytest.approx(theirs / ours, rel=0.02)


@pytest.mark.slow
def test_the_architecture_of_the_table_for_gpus_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = lines(["--network=sd15", "--tables=parts", "--side=64", "--precision=bf16"], monkeypatch, capsys)
    shares = {row[0]: float(row[2].rstrip("%")) for row in rows}
    assert shares.pop("everything outside the network") < 100
    assert sum(shares.values()) == pytest.approx(100, abs=1)
