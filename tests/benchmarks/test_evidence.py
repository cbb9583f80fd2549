import json
from pathlib import Path
from typing import Any

import evidence
import numpy as np
import pytest
import skimage.color
import torch
import yaml
from evidence import Trace
from evidence_tables import interval
from judges import NIQE, color_shift
from scipy.stats import bootstrap
from toys import photos, save_prior, save_quality

from dlmap import MSE, MAPObjective
from dlmap.run.pictures import save_png

ROOT = Path(__file__).parents[2]


def test_a_trace_is_cut_where_it_says() -> None:
    quality, drift = torch.tensor([10.0, 30.0, 20.0, 60.0, 95.0]), torch.tensor([0.0, 1.0, 3.0, 2.0, 9.0])
    trace = Trace(torch.zeros(5, 3, 2, 2), quality, torch.tensor([10.0, 29.0, 15.0, 28.0, 99.0]), drift)
    assert trace.final(target=1000) == 4
    assert trace.final(target=60) == 1  # the best by objective until the target is reached
    assert trace.at_score(25) == 1 and trace.at_score(96) is None
    assert trace.at_drift(2.5) == 1 and trace.at_drift(9) == 4 and trace.at_drift(0.5) == 0


class Brightness(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 100 * images.mean((1, 2, 3))


@pytest.mark.parametrize("count", [1, 2])
def test_a_trace_keeps_every_step_of_an_ascent(count: int) -> None:
    objective = MAPObjective(Brightness(), MSE(), fidelity_weight=0.0)
    for trace in evidence.traced(photos(count, 16, 16), objective, evidence.PIXEL_STEPS):
        torch.testing.assert_close(Brightness()(trace.images), trace.quality)
        assert trace.drift[0] == 0 and (trace.drift.diff() > 0).all()


def test_intervals_are_those_of_a_bootstrap_over_photographs() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(3, 1, 40)
    mean, low, high = interval({("group", str(k)): value for k, value in enumerate(numbers)})
    theirs = bootstrap((numbers,), np.mean, method="percentile", rng=rng).confidence_interval
    assert mean == pytest.approx(numbers.mean())
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.03)
    twice = {(group, str(k)): value for k, value in enumerate(numbers) for group in "ab"}
    assert interval(twice) == pytest.approx((mean, low, high))  # a second copy of each tells nothing new


def test_noise_is_estimated_on_a_picture() -> None:
    ramp = np.linspace(0.2, 0.8, 200, dtype=np.float32)[None, :, None].repeat(200, 0).repeat(3, 2)
    noisy = ramp + np.random.default_rng(0).normal(0, 0.05, ramp.shape).astype(np.float32)
    assert evidence.noise_level(ramp) < 1e-3
    assert evidence.noise_level(noisy) == pytest.approx(0.05, rel=0.03)


def test_niqe_prefers_what_it_was_fitted_to() -> None:
    clean = photos(4, 192, 192)
    judge = NIQE(image[None] for image in clean[:3])
    noisy = (clean[3] + 0.2 * torch.randn(3, 192, 192, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    assert judge(noisy[None]) < judge(clean[3][None]) <= 0


def test_the_colour_shift_is_that_of_the_patch_that_moved_most() -> None:
    before = torch.full((3, 40, 40), 0.5)
    assert color_shift(before, before) == 0
    after = before.clone()
    after[:, 16:32, 16:32] = 0.55
    lightness = (skimage.color.rgb2lab(np.full((1, 1, 3), level))[0, 0, 0] for level in (0.5, 0.55))
    assert color_shift(after, before) == pytest.approx(abs(np.subtract(*lightness)), rel=0.07)  # greys: weight near 1
    checks = before + 0.1 * (torch.arange(40) % 2 - 0.5)
    assert color_shift(checks, before) < 0.01  # texture is no colour


def test_the_square_with_the_finest_texture_is_found_and_oversharpened(tmp_path: Path) -> None:
    picture = torch.full((3, 128, 192), 0.5)
    picture[:, :, 150:] += 0.1 * (torch.arange(42) % 2 - 0.5)
    save_png(picture.repeat_interleave(4, 1).repeat_interleave(4, 2), tmp_path / "a.png")
    fine = evidence.finest(tmp_path / "a.png", 0, evidence.FINE_UNDAMAGED, 128)
    assert fine.clean is not None and fine.image.shape == (3, 128, 128) and torch.equal(fine.image, fine.clean)
    assert fine.image[..., 90:].diff().abs().mean() > 0.05 and fine.image[..., :80].std() < 0.01  # its right end
    sharp = evidence.finest(tmp_path / "a.png", 0, evidence.FINE, 128)
    assert torch.equal(sharp.clean, fine.clean) and sharp.image.std() > 1.5 * fine.image.std()


@pytest.mark.slow
def test_the_command_goes_on_where_it_was_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for k in range(2):
        photo = torch.nn.functional.interpolate(photos(1, 100, 100, seed=k), scale_factor=3, mode="bicubic")[0]
        save_png(photo, tmp_path / "in" / f"{k}.png")
    save_prior(str(tmp_path / "prior"))
    save_quality(str(tmp_path / "quality"))
    config = yaml.safe_load((ROOT / "configs/dlmap/tiny.yaml").read_text())
    arguments = config["model"]["init_args"]
    arguments["prior"]["init_args"] |= {"path": str(tmp_path / "prior"), "num_steps": 2}
    arguments["objective"]["init_args"]["quality"]["init_args"] |= {"model": str(tmp_path / "quality")}
    arguments["objective"]["init_args"]["critic"] = None
    arguments["ascent"]["iterations"] = 1
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    command = [*[str(tmp_path / "in")] * 3, str(tmp_path / "out"), "--quick", f"--configs={tmp_path / 'config.yaml'}"]
    command += [f"--witness={tmp_path / 'quality'}"]
    assert evidence.main(command) == 0
    tables, rows = capsys.readouterr().out, sorted((tmp_path / "out/rows").glob("*/*.json"))
    assert len(rows) == 2 * (2 + 4) + 1 and "at equal drift | 4 |" in tables
    assert (tmp_path / "out/pictures.png").is_file()
    before = [(path.stat().st_mtime_ns, scores(path)) for path in rows]
    for path in rows[:2]:  # one batch: with another number of images rounding would differ
        path.unlink()
    assert evidence.main(command) == 0
    after = [(path.stat().st_mtime_ns, scores(path)) for path in rows]
    assert after[2:] == before[2:]
    assert [row[1] for row in after[:2]] == [row[1] for row in before[:2]]


def scores(path: Path) -> list[dict[str, Any]]:
    return [{**row, "seconds": None} for row in json.loads(path.read_text())["rows"]]
