"""The inversion of every photograph is checked by the first images that its noise gives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toys import photos, predict, prior, rows_of

from dlmap import Ascent, MAPObjective, enhance
from dlmap.denoiser import Denoiser
from dlmap.domain.latents import ROUND_TRIP, NotInverted, check_round_trip
from dlmap.fidelity import MSE

Network = Callable[[Denoiser, Tensor, int], Tensor]


def disturbed(monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor], Tensor]) -> None:
    network: Network = Denoiser._predict
    monkeypatch.setattr(Denoiser, "_predict", lambda self, x, i: change(network(self, x, i)))


def test_the_bound_is_on_the_worst_image_and_the_worst_sequence() -> None:
    model, latents = prior(), torch.zeros(2, 3, 8, 8, dtype=torch.float64)
    back = torch.zeros(2, 2, 3, 8, 8, dtype=torch.float64)
    check_round_trip(model, latents, back)
    back[1, 1] = 0.9 * ROUND_TRIP
    check_round_trip(model, latents, back)
    back[1, 1] = 1.1 * ROUND_TRIP
    with pytest.raises(NotInverted, match=r"error 0.0011, .* precision float32, coupling float64, solver EDICT and 4"):
        check_round_trip(model, latents, back)
    back[1, 1, 0, 0, 0] = torch.nan
    with pytest.raises(NotInverted, match="error nan"):
        check_round_trip(model, latents, back)


@pytest.mark.parametrize("solver", ["edict", "bdia", "obelm"])
def test_a_network_that_never_answers_the_same_is_refused(solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from toys import Brightness

    objective, ascent, model = MAPObjective(Brightness(), MSE()), Ascent(iterations=1), prior(solver=solver)
    assert len(enhance(photos(), model, objective, ascent)) == 2
    disturbed(monkeypatch, lambda eps: eps + 0.1 * torch.randn_like(eps))
    with pytest.raises(NotInverted, match=f"solver {type(model.solver).__name__} and 4 steps"):
        enhance(photos(), model, objective, ascent)


def test_a_run_whose_first_inversion_fails_is_refused(
    folder: Path, tmp_path: Path, models: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disturbed(monkeypatch, lambda eps: eps + 0.1 * torch.randn_like(eps))
    assert predict(folder, tmp_path / "out", *models) == 1
    error = capsys.readouterr().err
    assert "precision float32, coupling float64, solver EDICT and 2 steps" in error and "Traceback" not in error
    assert not (tmp_path / "out" / "results.csv").exists()


def test_nan_from_the_network_costs_only_the_photograph(
    folder: Path, tmp_path: Path, models: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nan(eps: Tensor) -> Any:
        return eps * (torch.nan if eps.shape[-1] > 40 else 1)  # sub/c.png, the last, is 50 pixels wide

    disturbed(monkeypatch, nan)
    assert predict(folder, tmp_path / "out", *models) == 1
    rows = rows_of(tmp_path / "out")
    assert [rows[name]["status"] for name in ("a.png", "b.png", "sub/c.png")] == ["ok", "ok", "failed"]
    assert "error nan" in rows["sub/c.png"]["error"]
    assert not (tmp_path / "out" / "sub").exists()
