import json
from collections.abc import Callable
from pathlib import Path

import open_clip
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mslique import MSLIQE, MultiScaleViews, UserError
from mslique.vocabulary import quality_prompts

Make = Callable[..., MSLIQE]


def by_the_book(model: MSLIQE, clip: open_clip.CLIP, image: Tensor, tokens: Tensor) -> Tensor:
    """The score of one image (3, H, W), view by view, prompt by prompt, with open_clip's own logits."""
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    logits = torch.stack([clip.get_logits(((v - mean) / std)[None], tokens)[0][0] for v in model.views(image[None])[0]])
    return sum(k * p for k, p in enumerate(F.softmax(logits.mean(0) / 2, dim=0), start=1))


@pytest.mark.parametrize("kind", ["resnet", "transformer"])
def test_scores_follow_the_method(kind: str, tiny_model: Make) -> None:
    model = tiny_model(kind)
    tokens = open_clip.SimpleTokenizer(context_length=16)(quality_prompts())
    images = torch.stack([torch.rand(3, 90, 120), torch.zeros(3, 90, 120)])
    expected = torch.stack([by_the_book(model, model.clip, image, tokens) for image in images])
    torch.testing.assert_close(model(images), expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 1e-4  # the two images are told apart


def test_scores_are_between_one_and_five_and_probabilities_add_up(tiny_model: Make) -> None:
    model = tiny_model()
    images = torch.stack([torch.zeros(3, 64, 64), torch.ones(3, 64, 64), torch.rand(3, 64, 64)])
    probabilities = model.level_probabilities(images)
    assert probabilities.shape == (3, 5)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(3))
    scores = model(images)
    assert scores.shape == (3,) and (scores >= 1).all() and (scores <= 5).all()


def test_a_score_does_not_depend_on_the_batch(tiny_model: Make) -> None:
    model = tiny_model(crop_rule="even", n_crops=3)
    images = torch.rand(5, 3, 70, 100)
    together, alone = model(images), torch.cat([model(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(model(images.flip(0)), together.flip(0), rtol=0, atol=1e-5)


def test_the_gradient_reaches_the_image_and_is_right(tiny_model: Make) -> None:
    model = tiny_model("transformer", n_crops=2).double()
    image = torch.rand(1, 3, 44, 50, dtype=torch.float64, requires_grad=True)
    score = model(image)
    (gradient,) = torch.autograd.grad(score.sum(), image)
    direction = torch.randn_like(image)
    step = 1e-5
    with torch.no_grad():
        change = (model(image + step * direction) - model(image - step * direction)) / (2 * step)
    torch.testing.assert_close(change.item(), (gradient * direction).sum().item(), rtol=1e-5, atol=1e-9)
    assert (gradient != 0).float().mean() > 0.9  # the whole-image view covers everything


def test_text_is_encoded_once_in_eval_and_with_gradients_in_training(
    tiny_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, images, calls = tiny_model(), torch.rand(1, 3, 64, 64), []
    encode = model.clip.encode_text
    monkeypatch.setattr(model.clip, "encode_text", lambda *a, **k: (calls.append(1), encode(*a, **k))[1])
    model(images), model(images)
    assert len(calls) == 1
    model.train()(images).sum().backward()
    assert len(calls) == 2 and model.clip.token_embedding.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("change", ["train", "load", "dtype"])
def test_cached_text_never_outlives_the_weights(change: str, tiny_model: Make) -> None:
    model, other, images = tiny_model(seed=0), tiny_model(seed=1), torch.rand(2, 3, 64, 64)
    stale = model(images)
    if change == "train":
        model.train()
        model.clip.token_embedding.weight.data.copy_(other.clip.token_embedding.weight)
        model.eval()
        assert not torch.equal(model(images), stale)
    elif change == "load":
        model.load_state_dict(other.state_dict())
        torch.testing.assert_close(model(images), other(images))
    else:
        assert model.double()(images.double()).dtype == torch.float64


def test_scoring_in_inference_mode_does_not_spoil_later_gradients(tiny_model: Make) -> None:
    model = tiny_model()
    with torch.inference_mode():
        model(torch.rand(1, 3, 64, 64))
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    model(image).sum().backward()
    assert image.grad.abs().sum() > 0


def test_autocast_does_not_round_the_score(tiny_model: Make) -> None:
    model, images = tiny_model(), torch.rand(32, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        scores = model(images)
    assert scores.dtype == torch.float32 and len(scores.unique()) > 28
    torch.testing.assert_close(scores, model(images), rtol=0, atol=0.05)


def test_other_views_can_be_given_for_one_call(tiny_model: Make) -> None:
    model, images = tiny_model(), torch.rand(2, 3, 64, 80)
    alone = MultiScaleViews(64, n_crops=0)
    assert not torch.equal(model(images, alone), model(images))
    assert torch.equal(tiny_model(n_crops=0)(images), model(images, alone))


def test_the_divisor_softens_the_levels(tiny_model: Make) -> None:
    images = torch.rand(1, 3, 64, 64)
    sharp, soft = (tiny_model(softmax_divisor=d).level_probabilities(images).log() for d in (1.0, 4.0))
    torch.testing.assert_close((sharp - sharp[:, :1]) / 4, soft - soft[:, :1], rtol=1e-4, atol=1e-5)


def test_images_of_the_wrong_shape_are_refused(tiny_model: Make) -> None:
    with pytest.raises(ValueError, match=r"\(2, 1, 64, 64\)"):
        tiny_model()(torch.rand(2, 1, 64, 64))


def test_a_saved_model_comes_back_the_same(tiny_model: Make, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    model, images = tiny_model(scales=(1.0, 0.5), n_crops=4, crop_rule="even"), torch.rand(2, 3, 64, 90)
    model.save_pretrained(tmp_path)
    assert {"config.json", "model.safetensors"} <= {p.name for p in tmp_path.iterdir()}
    loaded = MSLIQE.from_pretrained(tmp_path)
    assert not loaded.training and loaded.views == model.views
    assert torch.equal(loaded(images), model(images))
    assert capsys.readouterr().out == ""


def test_a_folder_that_is_no_model_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.json and no model\.safetensors"):
        MSLIQE.from_pretrained(tmp_path)


def test_a_foreign_or_mismatched_folder_is_refused(tiny_model: Make, tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["backbone"]["embed_dim"] = 8
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="do not match"):
        MSLIQE.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "UNet2DModel"}))
    with pytest.raises(UserError, match="names no backbone"):
        MSLIQE.from_pretrained(tmp_path)


def test_a_hub_model_that_cannot_be_reached_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> str:
        raise OSError("no network")

    monkeypatch.setattr("mslique.io.hub.hf_hub_download", unreachable)
    with pytest.raises(UserError, match="neither a folder .* nor a model on the hub"):
        MSLIQE.from_pretrained("nobody/nothing")


def published_rule(clip: open_clip.CLIP, image: Tensor, scales: tuple[float, ...], n_crops: int, size: int) -> Tensor:
    """The score of one image (3, H, W) by plain loops: torch's resizing, unfolding, open_clip's own logits."""
    image = image[None]
    views = [F.interpolate(image, (size, size), mode="bicubic")[0]]
    for scale in scales:
        scaled = image if scale == 1 else F.interpolate(image, scale_factor=scale, mode="bicubic")
        grid = scaled.unfold(2, size, 32).unfold(3, size, 32)[0]
        rows, columns = grid.shape[1:3]
        chosen = [k * (rows * columns // n_crops) for k in range(n_crops)]
        views += [grid[:, index // columns, index % columns] for index in chosen]
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    tokens = open_clip.SimpleTokenizer(context_length=clip.context_length)(quality_prompts())
    logits = torch.cat([clip.get_logits(((view - mean) / std)[None], tokens)[0] for view in views])
    return sum(k * p for k, p in enumerate(F.softmax(logits.mean(0) / 2, dim=0), start=1))


@pytest.mark.parametrize(("scales", "n_crops"), [((1.0, 0.75), 7), ((1.0,), 15)])
@pytest.mark.parametrize("shape", [(43, 59), (120, 97), (250, 331)])
def test_scores_equal_an_independent_evaluation(
    scales: tuple[float, ...], n_crops: int, shape: tuple[int, int], tiny_model: Make
) -> None:
    model = tiny_model("transformer", scales=scales, n_crops=n_crops, stride=32)
    images = torch.rand(3, 3, *shape)
    expected = torch.stack([published_rule(model.clip, image, scales, n_crops, 32) for image in images])
    torch.testing.assert_close(model(images), expected, rtol=0, atol=1e-5)


def test_liqe_marginalises_scenes_and_distortions(tiny_model: Make) -> None:
    words = {"scenes": ["animal", "night"], "distortions": ["noise", "blur", "color"]}
    prompt = "a photo of a {scene} with {distortion} artifacts, which is of {level} quality"
    model = tiny_model("transformer", prompt=prompt, softmax_divisor=1.0, **words)
    image = torch.rand(1, 3, 50, 60)
    joint = [
        (
            k,
            open_clip.SimpleTokenizer(context_length=16)(
                [f"a photo of a {s} with {d} artifacts, which is of {q} quality"]
            ),
        )
        for k, q in enumerate(("bad", "poor", "fair", "good", "perfect"), start=1)
        for s in words["scenes"]
        for d in words["distortions"]
    ]
    crops = (model.views(image)[0] - model.mean) / model.std
    logits = torch.stack([model.clip.get_logits(crops, tokens)[0].mean() for _, tokens in joint])
    expected = (logits.softmax(0) * torch.tensor([float(k) for k, _ in joint])).sum()
    torch.testing.assert_close(model(image)[0], expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_openai_checkpoint_of_the_published_size_scores_as_an_independent_evaluation(tmp_path: Path) -> None:
    torch.manual_seed(0)
    clip = open_clip.create_model("ViT-B-32", force_quick_gelu=True).eval()
    with torch.no_grad():
        for parameter in clip.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    torch.save({"model_state_dict": clip.state_dict()}, tmp_path / "MS_LIQE.pt")
    model = MSLIQE.from_clip_checkpoint(tmp_path / "MS_LIQE.pt", backbone="ViT-B-32")
    image = torch.rand(3, 310, 401)
    with torch.no_grad():
        expected = published_rule(clip, image, (1.0, 0.75), 7, 224)
        torch.testing.assert_close(model(image[None])[0], expected, rtol=0, atol=1e-4)
    assert model.views == MultiScaleViews()
