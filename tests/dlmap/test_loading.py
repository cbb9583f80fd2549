from pathlib import Path

import pytest
import torch
from toys import prior, save_prior

from dlmap import DiffusionPrior
from mslique import UserError


def test_missing_and_wrong_folders_say_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere is neither a folder or file"):
        DiffusionPrior.from_pretrained(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="holds no model_index.json"):
        DiffusionPrior.from_pretrained(str(tmp_path))


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    save_prior(str(tmp_path))
    weights = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(prior().denoiser.network.model.state_dict(), weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(UserError, match="not a diffusers folder with safetensors"):
        DiffusionPrior.from_pretrained(str(tmp_path))


def test_an_id_that_cannot_be_reached_says_that_a_folder_will_do() -> None:
    with pytest.raises(UserError, match=r"check the id and the network; .*hf download ID .* is given as its folder"):
        DiffusionPrior.from_pretrained("stable-diffusion-v1-5/stable-diffusion-v1-5")


def test_a_single_file_names_its_conversion(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(UserError, match=r"is a single file: convert it .*from_single_file\('.*model.safetensors'\)"):
        DiffusionPrior.from_pretrained(str(tmp_path / "model.safetensors"))
