"""Folders of diffusion models that are damaged, of another kind, or meant to do harm: refused by name, never run."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from toys import save_prior, stable_diffusion

from dlmap import DiffusionPrior
from mslique import UserError

UNET, VAE, TEXT = (
    f"{part}/{name}.safetensors"
    for part, name in (
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
    )
)
INDEX, SCHEDULER = "model_index.json", "scheduler/scheduler_config.json"
CODE = "import pathlib\npathlib.Path(__file__ + '.ran').touch()\nclass Evil: pass\n"
Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    save_prior(str(folder / "pixels"))
    (folder / "tokens").mkdir()
    stable_diffusion(folder / "tokens").save_pretrained(folder / "text")
    return folder


def cut(file: str) -> Change:
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:-100]) and None


def weights(file: str, change: Callable[[dict[str, Any], str], None]) -> Change:
    def edit(folder: Path) -> None:
        found = load_file(folder / file)
        change(found, sorted(found)[3])
        save_file(found, folder / file, metadata={"format": "pt"})

    return edit


def without(part: str) -> Change:
    return lambda folder: shutil.rmtree(folder / part)


def options(file: str, **values: Any) -> Change:
    def edit(folder: Path) -> None:
        found = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(found | values))

    return edit


def code(file: str, *names: Any) -> Change:
    """A class of the model's own, with its code beside it."""

    def edit(folder: Path) -> None:
        (folder / file).write_text(CODE)
        options(INDEX, **dict([names]))(folder)

    return edit


def nan(found: dict[str, Any], name: str) -> None:
    found[name].flatten()[0] = float("nan")


def wrong_shape(found: dict[str, Any], name: str) -> None:
    found[name] = torch.zeros(7, 7)


def without_key(file: str, key: str) -> Change:
    def edit(folder: Path) -> None:
        found = json.loads((folder / file).read_text())
        del found[key]
        (folder / file).write_text(json.dumps(found))

    return edit


def euler(**values: Any) -> Change:
    def edit(folder: Path) -> None:
        options(INDEX, scheduler=["diffusers", "EulerDiscreteScheduler"])(folder)
        options(SCHEDULER, _class_name="EulerDiscreteScheduler", **values)(folder)

    return edit


def other_scheduler(name: str) -> Change:
    return options(INDEX, scheduler=["diffusers", name])


CASES: list[tuple[str, str, Change, str]] = [
    ("pixels", "cut off", cut(UNET), "Unable to load weights from checkpoint file .*unet"),
    ("pixels", "wrong shape", weights(UNET, wrong_shape), "conv_norm_out.weight expected shape"),
    ("pixels", "incomplete", weights(UNET, dict.__delitem__), "the unet of .* lacks 1 weights, such as conv_norm_out"),
    ("pixels", "nan", weights(UNET, nan), "the unet of .* holds numbers that are not finite"),
    ("text", "nan in the vae", weights(VAE, nan), "the vae of .* holds numbers that are not finite"),
    ("text", "nan in the text encoder", weights(TEXT, nan), "the text_encoder of .* holds numbers that are not finite"),
    ("pixels", "no scheduler", without("scheduler"), "scheduler_config.json"),
    ("text", "no vae", without("vae"), "no file named config.json"),
    ("pixels", "karras", euler(use_karras_sigmas=True), "EulerDiscreteScheduler has use_karras_sigmas"),
    ("pixels", "exponential", euler(use_exponential_sigmas=True), "has use_exponential_sigmas"),
    ("pixels", "edm", other_scheduler("EDMEulerScheduler"), "EDMEulerScheduler is neither a discrete DDPM"),
    ("pixels", "betas", options(SCHEDULER, beta_end=float("nan")), "betas are not finite or not in"),
    ("pixels", "unknown betas", options(SCHEDULER, beta_schedule="weird"), "weird is not implemented"),
    ("pixels", "no json", lambda folder: (folder / INDEX).write_text("{") and None, "is not a diffusers folder"),
    ("pixels", "a shell", options(INDEX, unet=["subprocess", "Popen"]), "takes its unet from subprocess"),
    ("pixels", "no network", without_key(INDEX, "unet"), "is a DDPMPipeline without a U-Net or transformer"),
    ("pixels", "another class", options(INDEX, unet=["diffusers", "Popen"]), "takes Popen as its unet, which"),
    ("pixels", "not a model", options(INDEX, unet=["diffusers", "DDPMPipeline"]), "takes DDPMPipeline as its unet"),
    ("pixels", "own network", code("unet/evil.py", "unet", ["evil", "Evil"]), "takes its unet from evil"),
    ("pixels", "own pipeline", code("evil.py", "_class_name", ["evil", "Evil"]), "has a pipeline with code of its own"),
    (
        "pixels",
        "own scheduler",
        code("scheduler/evil.py", "scheduler", ["evil", "Evil"]),
        "takes its scheduler from evil",
    ),
]


@pytest.mark.parametrize(("kind", "change", "sentence"), [pytest.param(k, c, s, id=name) for k, name, c, s in CASES])
def test_it_is_refused_by_name(kind: str, change: Change, sentence: str, sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(sound / kind, folder)
    DiffusionPrior.from_pretrained(str(folder), num_steps=2)
    change(folder)
    with pytest.raises(UserError, match=sentence) as error:
        DiffusionPrior.from_pretrained(str(folder), num_steps=2)
    assert str(folder) in str(error.value) or "cheduler" in str(error.value)
    assert not list(folder.rglob("*.ran"))


def test_networks_of_different_models(sound: Path, tmp_path: Path) -> None:
    """Each of them is sound, but the U-Net takes the latents of another autoencoder."""
    from toys import unet

    folder = tmp_path / "model"
    shutil.copytree(sound / "text", folder)
    shutil.rmtree(folder / "unet")
    unet(2).save_pretrained(folder / "unet")
    options(INDEX, unet=["diffusers", "UNet2DModel"], _class_name="LDMPipeline", vqvae=["diffusers", "AutoencoderKL"])(
        folder
    )
    shutil.copytree(folder / "vae", folder / "vqvae")
    with pytest.raises(UserError, match="takes 12 channels, the autoencoder has latents of 4"):
        DiffusionPrior.from_pretrained(str(folder), num_steps=2)
