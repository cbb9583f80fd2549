"""The sizes of the families of priors, which are computed on the meta device."""

from pathlib import Path

import families
import family_sizes as sizes
import pytest
import torch

from dlmap import DiffusionPrior
from dlmap.activations import kept_bytes


@pytest.mark.parametrize("name", [name for name, family in sizes.FAMILIES.items() if family.published])
def test_parameters_are_as_published(name: str) -> None:
    family, digits = sizes.FAMILIES[name], sizes.FAMILIES[name].published.partition(".")[2]
    with sizes.META:
        found = sizes.parameters(family.kind(**family.options)) / 1e9
    assert f"{found:.{len(digits)}f}" == family.published


@pytest.mark.parametrize(
    "name, published", [("CLIP-L", "0.123"), ("OpenCLIP-bigG", "0.695"), ("T5-XXL encoder", "4.76")]
)
def test_parameters_of_text_encoders_are_as_published(name: str, published: str) -> None:
    with sizes.META:
        found = sizes.parameters(sizes.OTHERS[name]()) / 1e9
    assert f"{found:.{len(published) - 2}f}" == published


@pytest.mark.parametrize("precision", sizes.PRECISIONS)
@pytest.mark.parametrize("name", families.FAMILIES)
def test_what_is_kept_is_what_a_real_network_keeps(name: str, precision: str, tmp_path: Path) -> None:
    families.pipeline(name, tmp_path / "parts").save_pretrained(tmp_path / "model")
    options = {"prompt": "a", "num_steps": 2, "tile": 32, "precision": precision}
    prior = DiffusionPrior.from_pretrained(str(tmp_path / "model"), **options)
    given = torch.rand(2, 4, 16, 16, dtype=torch.float64)
    call = kept_bytes(prior.denoiser, prior.denoiser, given, 1)
    decoding = kept_bytes(lambda latents, _: prior.decode(latents), prior.codec, given, 1)
    prior.to(sizes.META)
    given = given.to(sizes.META)
    # normalisations keep their statistics in bf16 on a CPU, in float32 on a GPU and on meta
    assert sizes.kept_by_call(prior, given) == pytest.approx(call, rel=0 if precision == "float32" else 0.02)
    assert sizes.kept_by_decoding(prior, given) == decoding > 0
