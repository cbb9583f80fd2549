from .correlation import Calibration, fit_calibration, make_calibration, plcc, srcc
from .data.committee import reference_quality
from .data.crops import first_readable, read_photo, warn_left_out
from .data.degradations.mixture import DEGRADATIONS, degrade, degrade_by
from .data.degradations.unseen import UNSEEN_DEGRADATIONS
from .data.loaders import make_loader
from .fidelity_loss import fidelity_loss
from .io.decoding import Decoded, decode_image, read_image
from .io.errors import UserError, above_zero, at_least, in_short
from .io.folders import filled
from .io.hub import model_source
from .io.listing import list_images
from .io.opening import image_size
from .io.shipped import SHIPPED, located
from .io.tables import decimal_number, table_rows
from .io.trust import check_finite, only_weights, restrict_classes
from .learning_rate import training_steps
from .metric import MSLIQEMetric
from .model import MSLIQE
from .pretrained import SharedModel
from .pyiqa_metric import register_in_pyiqa
from .randomness import generator_of, training_generator
from .sharing import load_model
from .views import MultiScaleViews

__all__ = [
    "above_zero",
    "at_least",
    "Calibration",
    "check_finite",
    "decimal_number",
    "decode_image",
    "Decoded",
    "DEGRADATIONS",
    "degrade",
    "degrade_by",
    "fidelity_loss",
    "filled",
    "first_readable",
    "fit_calibration",
    "generator_of",
    "image_size",
    "in_short",
    "list_images",
    "load_model",
    "located",
    "make_calibration",
    "make_loader",
    "model_source",
    "MSLIQE",
    "MSLIQEMetric",
    "MultiScaleViews",
    "only_weights",
    "plcc",
    "read_image",
    "read_photo",
    "reference_quality",
    "register_in_pyiqa",
    "restrict_classes",
    "SharedModel",
    "SHIPPED",
    "srcc",
    "table_rows",
    "training_generator",
    "training_steps",
    "UNSEEN_DEGRADATIONS",
    "UserError",
    "warn_left_out",
]
