import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # toys.py
sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))  # family_sizes.py

import pytest
from playwright.sync_api import Browser, sync_playwright
from toys import photos, save_prior, save_quality

from dlmap.run.pictures import save_png

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options that put tiny models in the place of the embedded ones."""
    folder = tmp_path_factory.mktemp("models")
    save_prior(str(folder / "prior"))
    save_quality(str(folder / "quality"))
    return [
        f"--model.prior.path={folder / 'prior'}",
        "--model.prior.num_steps=2",
        f"--model.objective.quality.model={folder / 'quality'}",
        "--model.ascent.iterations=2",
        "--model.objective.fidelity_weight=20",  # such models gain little: it must not hold them at the start
        "--trainer.accelerator=cpu",
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three sizes, two of them equal, one in a folder below."""
    for k, (name, side) in enumerate((("a.png", 40), ("b.png", 40), ("sub/c.png", 50))):
        save_png(photos(1, 32, side, seed=k)[0], tmp_path / "in" / name)
    return tmp_path / "in"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium from the system's packages; without it the test is skipped."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
