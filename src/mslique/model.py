"""MS-LIQE: CLIP compares the views of an image with five prompts about quality.

Source: arXiv 2403.06406 (MS-LIQE) and Zhang et al., CVPR 2023 (LIQE). For view v and level k, with normalised image
and text features f_v and t_k:

    logit_k = mean over v of exp(logit_scale) f_v . t_k,   p = softmax(logit / divisor),   score = sum_k k p_k

Where prompts also name scenes and distortions (LIQE), p_k is the sum over the prompts of level k.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .clip import build_clip, image_size
from .clip_weights import load_clip_weights, load_openai_weights
from .correlation import make_calibration
from .io.errors import UserError, above_zero
from .pretrained import SharedModel
from .tokens import prompt_tokens
from .towers import PUBLISHED, Backbone, find_tower, openai_name
from .views import CropRule, MultiScaleViews, usual_stride
from .vocabulary import LEVELS, PROMPT, quality_prompts


class MSLIQE(SharedModel, library_name="mslique", tags=["image-quality-assessment", "clip"]):
    """Images (B, 3, H, W) in [0, 1] to quality scores (B,) in [1, n_levels]. A score does not depend on the batch.

    Args:
        backbone: see :data:`mslique.towers.Backbone`; the side of a view is the backbone's image size.
        scales, n_crops, whole_image, stride, crop_rule, antialias: see :class:`MultiScaleViews`; stride None: a seventh
            of the view [ours].
        levels, prompt, scenes, distortions: see :func:`mslique.vocabulary.quality_prompts`.
        softmax_divisor: divides the logits; 2 in MS-LIQE.
        mean, std: per channel, of the images that the backbone knows; None: as it was trained.
        center, scale: constants of the calibration 100 / (1 + exp(-(score - center) / scale)), which enhancement
            maximises; ``dlmap calibrate`` fits them. None: not calibrated.
        piece: side in pixels of pieces; enhancement takes their mean score of a larger image [ours]. None: no pieces.
        tokens: of the prompts, a row for each; None: the backbone's tokenizer makes them.
    """

    needed = "backbone"
    way_out = "give a folder of mslique export, or of mslique import, which reads a CLIP of transformers too"
    mean: Tensor
    std: Tensor
    tokens: Tensor
    points: Tensor

    def __init__(
        self,
        backbone: Backbone = PUBLISHED,
        scales: Sequence[float] = (1.0, 0.75),
        n_crops: int = 7,
        whole_image: bool = True,
        stride: int | None = None,
        crop_rule: CropRule = "official",
        antialias: bool = False,
        levels: Sequence[str] = LEVELS,
        prompt: str = PROMPT,
        scenes: Sequence[str] = (),
        distortions: Sequence[str] = (),
        softmax_divisor: float = 2.0,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        center: float | None = None,
        scale: float | None = None,
        piece: int | None = None,
        tokens: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        above_zero(softmax_divisor=softmax_divisor)
        self.calibration = make_calibration(center, scale)
        if piece is not None and piece < 1:
            raise UserError(f"piece must be a number of pixels, or null, got {piece}")
        self.piece = piece
        self.clip = build_clip(backbone)
        tower, size = find_tower(backbone), image_size(self.clip)
        stride = usual_stride(size) if stride is None else stride
        mean = [float(value) for value in (tower.mean if mean is None else mean)]
        std = [float(value) for value in (tower.std if std is None else std)]
        prompts = quality_prompts(levels, prompt, scenes, distortions)
        self.views = MultiScaleViews(size, tuple(scales), n_crops, whole_image, stride, crop_rule, antialias)
        self.softmax_divisor = softmax_divisor
        constants = {
            "mean": torch.tensor(mean).view(3, 1, 1),
            "std": torch.tensor(std).view(3, 1, 1),
            "tokens": prompt_tokens(prompts, tower, self.clip, tokens),
            "points": torch.arange(1.0, len(levels) + 1),
        }
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)
        found = {"tokens": self.tokens.tolist()} if tower.foreign_tokenizer else {}
        self.keep(backbone=tower.config, stride=stride, mean=mean, std=std, **found)
        self._text_cache: Tensor | None = None
        self.register_load_state_dict_post_hook(_forget_text)

    def forward(self, images: Tensor, views: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """(B, 3, H, W) in [0, 1] to scores (B,) in [1, n_levels], float32 or wider, differentiable in the images."""
        return self.score(self.level_probabilities(images, views))

    def score(self, probabilities: Tensor) -> Tensor:
        """Probabilities (B, n_levels) to scores (B,): the expected level."""
        return (probabilities * self.points).sum(dim=-1)  # autocast would round a matrix product to bf16

    def level_probabilities(self, images: Tensor, views: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """(B, 3, H, W) in [0, 1] to (B, n_levels), each row adding up to 1.

        ``views`` replaces the model's own views, for instance by fewer random ones in training [ours].

        Raises:
            ValueError: the images are not a batch of three channels.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"expected images of shape (B, 3, H, W), received {tuple(images.shape)}")
        return self.probabilities_of_views(list((views or self.views)(images)))

    def probabilities_of_views(self, views: Sequence[Tensor]) -> Tensor:
        """The views of B images, each (V, 3, s, s) in [0, 1] with a V of its own, to probabilities (B, n_levels)."""
        crops = torch.cat(list(views)).contiguous(memory_format=torch.channels_last)  # faster on CPUs
        features = self.clip.encode_image((crops - self.mean) / self.std)
        features = F.normalize(features.to(torch.promote_types(features.dtype, torch.float32)), dim=-1)
        parts = features.split([len(image) for image in views])
        pooled = torch.stack([part.mean(dim=0) for part in parts])  # the mean of the logits, which are linear
        with torch.autocast(pooled.device.type, enabled=False):
            logits = self.clip.logit_scale.exp() * pooled @ self.text_features().to(pooled).T
        probabilities = (logits / self.softmax_divisor).softmax(dim=-1)
        return probabilities.unflatten(1, (len(self.points), -1)).sum(dim=-1)

    def text_features(self) -> Tensor:
        """(n_prompts, embed_dim), normalised; in eval mode computed once, without gradients."""
        if self.training:
            return self.clip.encode_text(self.tokens, normalize=True)
        if self._text_cache is None:
            # no inference tensor, even in inference mode: a later call may need the gradient of an image
            with torch.inference_mode(False), torch.no_grad(), torch.autocast(self.tokens.device.type, enabled=False):
                self._text_cache = self.clip.encode_text(self.tokens.clone(), normalize=True)
        return self._text_cache

    def train(self, mode: bool = True) -> "MSLIQE":
        """As in torch. The text features are computed again, since training changes them."""
        _forget_text(self)
        return super().train(mode)

    def _apply(self, *args: Any, **kwargs: Any) -> "MSLIQE":
        _forget_text(self)
        return super()._apply(*args, **kwargs)

    @classmethod
    def from_clip_checkpoint(cls, path: str | Path, backbone: str | None = None, **config: Any) -> "MSLIQE":
        """The model, in eval mode, of a file in the layout of OpenAI's CLIP, such as the authors' ``MS_LIQE.pt``.

        Args:
            path: see :func:`mslique.clip_weights.read_openai_layout`; or a folder of open_clip or transformers.
            backbone: OpenAI's name for the architecture, whose QuickGELU is implied; or another one, or a folder.
                None: the path, if it is a folder, or ViT-B-32.
            config: other arguments of the class.

        Raises:
            UserError: the file is missing, of another kind, or does not fit the backbone.
        """
        backbone = backbone or (str(path) if Path(path).is_dir() else "ViT-B-32")
        model = cls(backbone=openai_name(backbone), **config)
        if Path(path).is_dir():
            load_clip_weights(model.clip, str(path), backbone)
        else:
            load_openai_weights(model.clip, path)
        return model.eval()


def _forget_text(model: nn.Module, *_: Any) -> None:
    model._text_cache = None  # type: ignore[assignment]
