"""The package as it is built and installed: everything that ships is in it, and works from an empty folder."""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import setuptools
import skimage.data
from PIL import Image

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, of a copy, because a build leaves files beside the sources."""
    copy = tmp_path_factory.mktemp("source")
    for folder in ("src", "configs", "data"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    code = "from setuptools import build_meta; build_meta.build_sdist('dist')"
    subprocess.run([sys.executable, "-c", code], cwd=copy, check=True, capture_output=True)
    (built,) = copy.glob("dist/*.tar.gz")
    return built


@pytest.fixture(scope="module")
def installed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of a fresh environment with this package; the others come from the current one."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, symlinks=True)
    packages = Path(setuptools.__file__).parents[1]
    (here,) = home.glob("lib/python*/site-packages")
    (here / "others.pth").write_text(f"{packages}\n")
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed"]
    subprocess.run([home / "bin" / "python", "-m", "pip", "install", "--quiet", *offline, archive], check=True)
    return home / "bin"


@pytest.mark.slow
def test_the_installed_commands_work_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "PHOTOS").mkdir()
    Image.fromarray(skimage.data.astronaut()[:256, 100:356]).save(tmp_path / "PHOTOS" / "a.png")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    example = re.search(r"^```python\n(from dlmap.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert example is not None
    code = (
        f"import torch; images = torch.rand(1, 3, 64, 64)\n{example[1]}\nassert results[0].image.shape == (3, 64, 64)"
    )
    for command in (
        ["dlmap", "enhance", "PHOTOS", "OUT", "--trainer.accelerator=cpu"],
        ["lightning", "predict", "--config", "configs/dlmap/tiny.yaml", "--data.folder=PHOTOS", "--output=OUT2"],
        ["mslique", "score", "PHOTOS", "--model", "data/mslique-witness", "--csv", "scores.csv"],
        ["dlmap", "calibrate", "PHOTOS", "--quality", "data/mslique-tiny", "--samples=8"],
        ["python", "-c", "import mslique; assert 'site-packages' in mslique.__file__, mslique.__file__"],
        ["python", "-c", code],
    ):
        done = subprocess.run(
            [installed / command[0], *command[1:]], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    (home,) = installed.parent.glob("lib/python*/site-packages/mslique/shipped")
    for folder in ("data", "configs"):
        kept = {file.relative_to(home): file.read_bytes() for file in (home / folder).rglob("*") if file.is_file()}
        assert kept == {f.relative_to(ROOT): f.read_bytes() for f in (ROOT / folder).rglob("*") if f.is_file()}
    for output in ("OUT", "OUT2"):
        assert (tmp_path / output / "a.png").is_file()
