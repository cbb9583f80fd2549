"""A differentiable no-reference image quality model in the style of MS-LIQE."""

from typing import Any

from .correlation import Calibration, fit_calibration, plcc, srcc
from .data.committee import reference_quality
from .data.degradations.mixture import DEGRADATIONS, degrade, degrade_by
from .data.degradations.unseen import UNSEEN_DEGRADATIONS
from .fidelity_loss import fidelity_loss
from .io.decoding import Decoded, decode_image, read_image
from .io.errors import UserError
from .io.listing import list_images
from .io.opening import image_size
from .io.trust import check_finite, only_weights, restrict_classes
from .model import MSLIQE
from .pyiqa_metric import register_in_pyiqa
from .sharing import load_model
from .views import MultiScaleViews

register_in_pyiqa()

__all__ = [
    "DEGRADATIONS",
    "UNSEEN_DEGRADATIONS",
    "MSLIQE",
    "Calibration",
    "Decoded",
    "MultiScaleViews",
    "UserError",
    "check_finite",
    "decode_image",
    "degrade",
    "degrade_by",
    "fidelity_loss",
    "fit_calibration",
    "image_size",
    "list_images",
    "load_model",
    "only_weights",
    "restrict_classes",
    "plcc",
    "read_image",
    "reference_quality",
    "srcc",
]


def __getattr__(name: str) -> Any:
    if name == "MSLIQEMetric":  # torchmetrics takes seconds to import
        from .metric import MSLIQEMetric

        return MSLIQEMetric
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
