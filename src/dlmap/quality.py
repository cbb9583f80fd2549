"""Quality models on a common scale: 0 (worst) to 100 (best)."""

from torch import Tensor, nn

from mslique import MSLIQE, Calibration


class MSLIQEQuality(nn.Module):
    """A frozen MS-LIQE, calibrated.

    Args:
        model: folder or hub id of an exported MS-LIQE.
        center: raw score that maps to 50. The default is the published constant for the authors' weights, from LIVE.
        scale: raw-score difference that changes the odds by e; the same holds for its default.

    Raises:
        UserError: the folder or id is missing or holds no MS-LIQE.
    """

    def __init__(self, model: str = "data/mslique-tiny", center: float = 1.98447, scale: float = 0.93984) -> None:
        super().__init__()
        self.model = MSLIQE.from_pretrained(model).eval().requires_grad_(False)
        self.calibration = Calibration(center, scale)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B,) in [0, 100]; differentiable."""
        return self.calibration(self.model(images))
