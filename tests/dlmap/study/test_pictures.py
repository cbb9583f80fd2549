import io
from pathlib import Path

import numpy as np
import pytest
from handmade import CONTESTANTS, make_study, photographs
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from dlmap.study import Study, Trial
from dlmap.study.design import DEGRADED, ORIGINAL
from dlmap.study.pictures import check_pictures, degraded, picture
from mslique import UserError


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path, photographs(96))


def test_each_place_has_its_file(study: Study) -> None:
    trial = Trial("pair", "sub/chelsea.png", "sharp", "grainy")
    assert picture(study, trial, "left") == (study.folder / "outputs/sharp/sub/chelsea.png").read_bytes()
    assert picture(study, trial, "right") == (study.folder / "outputs/grainy/sub/chelsea.png").read_bytes()
    assert picture(study, trial, "original") == (study.folder / "originals/sub/chelsea.png").read_bytes()


def test_a_catch_trial_is_easy(study: Study) -> None:
    """Its worse side differs more from the photograph than a blur of 2 pixels does, and is always the same."""
    trial = Trial("catch", "astronaut.png", DEGRADED, ORIGINAL)
    original, soft, worse = (
        np.asarray(Image.open(io.BytesIO(data)))
        for data in (
            picture(study, trial, "right"),
            study.output("soft", "astronaut.png").read_bytes(),
            picture(study, trial, "left"),
        )
    )
    assert worse.shape == original.shape == (96, 96, 3)
    assert peak_signal_noise_ratio(original, worse) < peak_signal_noise_ratio(original, soft)
    again = degraded(study.original("astronaut.png"))
    degraded.cache_clear()
    assert degraded(study.original("astronaut.png")) == again


@pytest.mark.parametrize("missing", ["originals/astronaut.png", f"outputs/{CONTESTANTS[-1]}/sub/chelsea.png"])
def test_a_missing_picture_is_named(study: Study, missing: str) -> None:
    check_pictures(study)
    (study.folder / missing).unlink()
    with pytest.raises(UserError, match=missing):
        check_pictures(study)
