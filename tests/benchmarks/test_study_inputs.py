from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlmap.study import models
from dlmap.study.models import from_texts


def test_photographs_and_weights_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import study_inputs

    save = study_inputs.save_weights
    monkeypatch.setattr(study_inputs, "save_weights", lambda photos, path: save(photos, path, samples=4, steps=2))
    assert study_inputs.main(tmp_path) == 0
    pictures = [Image.open(path) for path in sorted((tmp_path / "photos").iterdir())]
    assert len(pictures) == 6 and {picture.size for picture in pictures} == {(256, 256)}
    assert min(np.asarray(picture).std() for picture in pictures) > 20
    entries = from_texts([f"pyiqa:cnniqa,pretrained_model_path={tmp_path / 'cnniqa.pth'}"])
    models.check(entries, calibrated=False)
