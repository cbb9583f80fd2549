"""The blocks of docs/extending.md, in their order, in one process as a reader would run them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from diffusers import AutoencoderKL, DDIMScheduler, DiTPipeline

from dlmap import DiffusionPrior
from dlmap.domain import DOMAINS
from dlmap.networks import FAMILIES
from dlmap.solvers import SOLVERS
from mslique.data.opinion import LabelSource

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(
    r"^```(python|yaml)\n(.*?)^```$", (ROOT / "docs" / "extending.md").read_text(), flags=re.DOTALL | re.MULTILINE
)


@pytest.fixture(scope="module")
def names() -> Iterator[dict[str, Any]]:
    """What the Python blocks define."""
    kept, families = (dict(SOLVERS), dict(DOMAINS)), list(FAMILIES)
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
    FAMILIES[:] = families


def test_every_block_is_short() -> None:
    assert [language for language, _ in BLOCKS] == ["python", "python", "python", "python", "yaml"]
    assert all(text.count("\n") < 30 for _, text in BLOCKS)


def test_the_solver_is_an_exact_bijection(names: dict[str, Any]) -> None:
    prior = names["prior"]
    latents = torch.rand(1, 3, 32, 32, dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        back = prior.sample(prior.invert_latents(latents))
    assert back.shape == (1, 2, 3, 32, 32) and (back - latents[:, None]).abs().max() <= 1e-10


def test_the_family_makes_the_steps_of_its_pipeline(names: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    vae = AutoencoderKL(**blocks, block_out_channels=(8, 8), norm_num_groups=4)
    network = names["DiTTransformer2DModel"](
        num_attention_heads=2, attention_head_dim=8, num_layers=1, sample_size=8, out_channels=8
    )
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    pipe = DiTPipeline(network.eval(), vae, DDIMScheduler(clip_sample=False))
    pipe.save_pretrained(tmp_path)
    prior = DiffusionPrior.from_pretrained(str(tmp_path), prompt="207", num_steps=5)
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    pipe.set_progress_bar_config(disable=True)
    options = {"guidance_scale": 1.0, "num_inference_steps": 5, "output_type": "np"}
    expected = pipe([207], **options, generator=torch.Generator().manual_seed(0)).images[0]
    with torch.no_grad():
        assert (prior.sample(prior.invert_latents(x))[:, 0] - x).abs().max() <= 1e-10
        for i in range(5, 0, -1):
            a, b = prior.schedule.jump(i, i - 1)
            x = a * x + b * prior.denoiser(x, i)
        found = prior.decode(x)[0].permute(1, 2, 0)
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=0, atol=1e-4)


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
