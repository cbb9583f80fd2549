"""The quality model as a metric of pyiqa: ``register_in_pyiqa()`` lets ``pyiqa.create_metric("mslique")`` make it."""

from torch import Tensor, nn

from .sharing import TINY, load_model


class MSLIQENet(nn.Module):
    """What ``pyiqa.create_metric("mslique", model=...)`` builds: images (B, 3, H, W) in [0, 1] to scores (B, 1).

    Args:
        model: folder, hub id or Lightning checkpoint.
    """

    def __init__(self, model: str = TINY) -> None:
        super().__init__()
        self.model = load_model(model).requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images).unsqueeze(1)


def register_in_pyiqa() -> None:
    """Make ``mslique`` a name that pyiqa knows, in this process; a second call changes nothing."""
    from pyiqa.default_model_configs import DEFAULT_CONFIGS
    from pyiqa.utils.registry import ARCH_REGISTRY

    if "mslique" in DEFAULT_CONFIGS:
        return
    ARCH_REGISTRY.register()(MSLIQENet)
    DEFAULT_CONFIGS["mslique"] = {"metric_opts": {"type": "MSLIQENet"}, "metric_mode": "NR", "score_range": "1, 5"}
