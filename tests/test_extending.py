"""The blocks of docs/extending.md, in their order, in one process as a reader would run them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dlmap.domain import DOMAINS
from dlmap.solvers import SOLVERS
from mslique.data.opinion import LabelSource

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(
    r"^```(python|yaml)\n(.*?)^```$", (ROOT / "docs" / "extending.md").read_text(), flags=re.DOTALL | re.MULTILINE
)


@pytest.fixture(scope="module")
def names() -> Iterator[dict[str, Any]]:
    """What the Python blocks define."""
    kept = dict(SOLVERS), dict(DOMAINS)
    found: dict[str, Any] = {"images": torch.linspace(0.2, 0.6, 64).expand(1, 3, 64, 64)}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for language, text in BLOCKS:
            if language == "python":
                exec(text, found)  # our own page
    yield found
    for registry, before in zip((SOLVERS, DOMAINS), kept, strict=True):
        registry.clear()
        registry.update(before)


def test_every_block_is_short() -> None:
    assert [language for language, _ in BLOCKS] == ["python", "python", "python", "yaml"]
    assert all(text.count("\n") < 30 for _, text in BLOCKS)


def test_the_solver_is_an_exact_bijection(names: dict[str, Any]) -> None:
    prior = names["prior"]
    latents = torch.rand(1, 3, 32, 32, dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        back = prior.sample(prior.invert_latents(latents))
    assert back.shape == (1, 2, 3, 32, 32) and (back - latents[:, None]).abs().max() <= 1e-10


def test_the_domain_is_moved_by_the_ascent(names: dict[str, Any]) -> None:
    (result,) = names["results"]
    assert result.image.shape == (3, 64, 64) and result.iterations == 3
    assert max(result.objective) > result.objective[0]


def test_the_quality_model_gives_qualities(names: dict[str, Any]) -> None:
    images = torch.rand(2, 3, 16, 16)
    terms = names["objective"](images, images)
    assert terms.quality.shape == (2,) and (terms.quality > 0).all()


def test_the_dataset_is_a_source_of_labels() -> None:
    (entry,) = (yaml.safe_load(text) for language, text in BLOCKS if language == "yaml")
    source = LabelSource(**entry["datasets"]["mine"])
    assert (source.format, source.image_column, source.score_column) == ("table", "image", "score")
