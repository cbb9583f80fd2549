from pathlib import Path

import denoising
import pytest
import skimage.data
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio
from toys import save_prior

from dlmap import DiffusionPrior
from dlmap.run.pictures import save_png


def test_the_table_is_of_the_noise_that_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean = torch.from_numpy(skimage.data.astronaut()[100:140, 200:240].copy()).permute(2, 0, 1) / 255
    save_png(clean, tmp_path / "photos" / "one.png")
    save_prior(str(tmp_path / "prior"))
    arguments = [str(tmp_path / "photos"), f"--prior={tmp_path / 'prior'}", "--side=32", "--sigmas=20"]
    assert denoising.main(arguments) == 0
    sigma, noisy, means, bm3d, prior = map(float, capsys.readouterr().out.splitlines()[-1].split("|")[1:6])
    assert sigma == 20 and noisy == pytest.approx(22.1, abs=0.4) and bm3d > means > noisy  # 20 log10(255 / 20)
    crop = denoising.square(clean, 32)
    given = crop + torch.randn(crop.shape, generator=torch.Generator().manual_seed(0)) * 20 / 255
    with torch.no_grad():
        result = DiffusionPrior.from_pretrained(str(tmp_path / "prior")).denoise(given[None], 40 / 255)[0]
    assert prior == pytest.approx(peak_signal_noise_ratio(result, crop, data_range=1.0).item(), abs=0.02)
