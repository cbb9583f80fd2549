from .ascent import enhance
from .critic import GainCritic
from .enhanced import Enhanced
from .fidelity import MSE, NLPD, PyiqaFidelity
from .objective import MAPObjective
from .options import Ascent, PriorOptions
from .prior import DiffusionPrior
from .quality import Mixture, MSLIQEQuality, PyiqaQuality
from .run.configuration import load_config

__all__ = [
    "Ascent",
    "DiffusionPrior",
    "enhance",
    "Enhanced",
    "GainCritic",
    "load_config",
    "MAPObjective",
    "Mixture",
    "MSE",
    "MSLIQEQuality",
    "NLPD",
    "PriorOptions",
    "PyiqaFidelity",
    "PyiqaQuality",
]
