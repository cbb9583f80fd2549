"""The command that draws figure 1, in-process, on tiny models."""

from pathlib import Path

import figure1
import pytest
import yaml
from PIL import Image
from toys import photos, save_prior, save_quality

from dlmap.run.pictures import save_png
from mslique import read_image

ROOT = Path(__file__).parents[2]


def test_a_picture_a_table_and_the_single_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_prior(str(tmp_path / "prior"))
    save_quality(str(tmp_path / "quality"))
    config = yaml.safe_load((ROOT / "configs" / "dlmap" / "figure1.yaml").read_text())
    arguments = config["model"]["init_args"]
    arguments["prior"]["init_args"] |= {"path": str(tmp_path / "prior"), "num_steps": 2}
    arguments["objective"]["init_args"]["quality"]["init_args"]["model"] = str(tmp_path / "quality")
    arguments["ascent"]["iterations"] = 1
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    for k in range(2):
        save_png(photos(1, 32, 40, seed=k)[0], tmp_path / f"{k}.png")
    paths = [str(tmp_path / name) for name in ("0.png", "1.png", "out.png")]
    options = ["--config", str(tmp_path / "config.yaml"), "--witness", str(tmp_path / "quality")]
    assert figure1.main([*paths, *options, "--weights", "100", "--pixel-iterations", "3"]) == 0
    with Image.open(tmp_path / "out.png") as sheet:
        assert sheet.size == (4 * figure1.CELL, figure1.HEAD + 2 * (figure1.CELL + figure1.FOOT))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| input",
        "| direct ascent",
        "| pixel MAP w=100",
        "| latent MAP w=100",
    ]
    quality = {line.split(" | ")[0][2:]: float(line.split(" | ")[1]) for line in lines[2:]}
    assert quality["direct ascent"] >= quality["input"]
    photo = read_image(tmp_path / "1.png")
    for name in ("direct-ascent", "pixel-MAP-w=100", "latent-MAP-w=100"):
        assert 0 < (read_image(tmp_path / "out" / name / "1.png") - photo).abs().max() < 0.5
