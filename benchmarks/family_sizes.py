"""How large is every family of priors, and how much memory does a gradient need at least? Prints Markdown.

    python benchmarks/family_sizes.py

Nothing is loaded and nothing is measured: networks and tensors are on PyTorch's meta device, which has shapes and no
memory. Counted are the weights of the network and of the autoencoder (float32, as dlmap loads it), what autograd keeps
of the largest part that is differentiated at once, and the noise with its gradient. With gradient: checkpoint that part
is one call of the network, or the decoding of one image. Text encoders are not counted: dlmap frees them once
they have embedded the prompt. Temporary buffers and gaps between allocations come on top. Attention counts as a fused
kernel keeps it (its inputs, its result and one number for each of its rows), not as a matrix of all pairs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxTransformer2DModel,
    PixArtTransformer2DModel,
    PNDMScheduler,
    SchedulerMixin,
    SD3Transformer2DModel,
    UNet2DConditionModel,
)
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, T5Config, T5EncoderModel

from dlmap import DiffusionPrior, PriorOptions
from dlmap.activations import kept_bytes
from dlmap.codec import Codec
from dlmap.conditioning import Condition
from dlmap.networks import Network, make_network

META = torch.device("meta")
PRECISIONS = ("bf16", "float32")
TILE = 512
SD_BETAS: dict[str, Any] = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
SD3_VAE = {"latent_channels": 16, "use_quant_conv": False, "use_post_quant_conv": False}


@dataclass(frozen=True)
class Family:
    """A published model: what its configuration files say, and leave to diffusers' defaults.

    Args:
        kind, options: of the network.
        scheduler: of the model.
        published: parameters of the network in billions, with as many digits as were published; None: not known to us.
        vae: options of the autoencoder, beside those of Stable Diffusion's.
        side: native size in pixels.
        tokens: of the prompt.
    """

    kind: Callable[..., Any]
    options: dict[str, Any]
    scheduler: SchedulerMixin
    published: str | None
    vae: dict[str, Any]
    side: int
    tokens: int


SD3_MEDIUM: dict[str, Any] = {
    "sample_size": 128, "in_channels": 16, "out_channels": 16, "num_layers": 24, "num_attention_heads": 24,
    "attention_head_dim": 64, "joint_attention_dim": 4096, "caption_projection_dim": 1536,
    "pooled_projection_dim": 2048, "pos_embed_max_size": 192,
}  # fmt: skip
SD35_LARGE = {"num_layers": 38, "num_attention_heads": 38, "caption_projection_dim": 2432, "qk_norm": "rms_norm"}
SD35_MEDIUM = {"qk_norm": "rms_norm", "dual_attention_layers": tuple(range(13)), "pos_embed_max_size": 384}
SD3_FLOW = FlowMatchEulerDiscreteScheduler(shift=3.0)
SD3_CODEC = {**SD3_VAE, "scaling_factor": 1.5305, "shift_factor": 0.0609}
SDXL_CODEC = {"scaling_factor": 0.13025}
SDXL: dict[str, Any] = {
    "sample_size": 128, "block_out_channels": (320, 640, 1280), "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10), "attention_head_dim": (5, 10, 20), "cross_attention_dim": 2048,
    "addition_embed_type": "text_time", "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
    "use_linear_projection": True,
}  # fmt: skip
PIXART: dict[str, Any] = {
    "sample_size": 128, "in_channels": 4, "out_channels": 8, "num_layers": 28, "num_attention_heads": 16,
    "attention_head_dim": 72, "cross_attention_dim": 1152, "caption_channels": 4096, "interpolation_scale": 2,
    "use_additional_conditions": False,
}  # fmt: skip

FAMILIES = {
    "SD 1.5": Family(
        UNet2DConditionModel,
        {"sample_size": 64, "cross_attention_dim": 768},
        PNDMScheduler(**SD_BETAS, skip_prk_steps=True, steps_offset=1),
        "0.859520964", {}, 512, 77,
    ),
    "SDXL": Family(
        UNet2DConditionModel,
        SDXL,
        EulerDiscreteScheduler(**SD_BETAS, timestep_spacing="leading", steps_offset=1),
        "2.567463684", SDXL_CODEC, 1024, 77,
    ),
    "SD3 medium": Family(SD3Transformer2DModel, SD3_MEDIUM, SD3_FLOW, "2.03", SD3_CODEC, 1024, 333),
    "SD3.5 medium": Family(SD3Transformer2DModel, SD3_MEDIUM | SD35_MEDIUM, SD3_FLOW, None, SD3_CODEC, 1024, 333),
    "SD3.5 large": Family(SD3Transformer2DModel, SD3_MEDIUM | SD35_LARGE, SD3_FLOW, "8.06", SD3_CODEC, 1024, 333),
    "FLUX.1-dev": Family(
        FluxTransformer2DModel,
        {"guidance_embeds": True},
        FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        "11.9", {**SD3_VAE, "scaling_factor": 0.3611, "shift_factor": 0.1159}, 1024, 512,
    ),
    "PixArt-Sigma": Family(
        PixArtTransformer2DModel,
        PIXART,
        DPMSolverMultistepScheduler(beta_start=0.0001, beta_end=0.02),
        "0.61", SDXL_CODEC, 1024, 300,
    ),
}  # fmt: skip


def make_vae(**options: Any) -> AutoencoderKL:
    """Stable Diffusion's autoencoder, with these options changed."""
    published: dict[str, Any] = {
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
    }
    return AutoencoderKL(**published | options)


OTHERS: dict[str, Callable[[], nn.Module]] = {
    "CLIP-L": lambda: CLIPTextModel(
        CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    ),
    "OpenCLIP-bigG": lambda: CLIPTextModelWithProjection(
        CLIPTextConfig(
            hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20, projection_dim=1280
        )
    ),
    "T5-XXL encoder": lambda: T5EncoderModel(
        T5Config(
            vocab_size=32128, d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64,
            feed_forward_proj="gated-gelu",
        )
    ),
    "autoencoder, 4 channels": make_vae,
    "autoencoder, 16 channels": lambda: make_vae(**SD3_VAE),
}  # fmt: skip


def words(network: Network, tokens: int) -> Condition:
    """Random embeddings of so many tokens."""
    shapes: dict[str, tuple[int, ...]] = {name: (1, width) for name, width in network.widths().items()}
    shapes["encoder_hidden_states"] = (1, tokens, network.widths()["encoder_hidden_states"])
    tensors = {name: torch.rand(shape) for name, shape in shapes.items()}
    if isinstance(network.model, PixArtTransformer2DModel):
        tensors["encoder_attention_mask"] = torch.ones(1, tokens)
    return Condition(tensors)


class Fused(TorchFunctionMode):
    """Attention on the meta device as a fused kernel has it; PyTorch would take the matrix of all pairs there."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        return _fused(*args, **kwargs)


def _fused(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    result: Tensor = kernel(query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale)[0]
    return result


def meta_prior(family: Family, precision: str = "bf16") -> DiffusionPrior:
    with META:
        network, vae = make_network(family.kind(**family.options)), make_vae(**family.vae)
    options, condition = PriorOptions(num_steps=20, precision=precision), words(network, family.tokens)
    return DiffusionPrior(network, Codec(vae), family.scheduler, options, condition).to(META)


def latents(prior: DiffusionPrior, side: int) -> Tensor:
    """Of an image of ``side`` pixels, in the solver's precision."""
    h = side // prior.codec.factor
    channels, _ = prior.denoiser.network.channels
    return torch.empty(1, channels, h, h, dtype=prior.coupling, device=META)


def kept_by_call(prior: DiffusionPrior, given: Tensor) -> int:
    """Bytes that autograd keeps of one call of the network; ``given``: latents (B, C, h, w), taken in one piece."""
    prior.denoiser.tile = None
    with Fused():
        return kept_bytes(prior.denoiser, prior.denoiser, given, 1)


def kept_by_decoding(prior: DiffusionPrior, given: Tensor) -> int:
    """The same of the autoencoder."""
    prior.codec.tile = None
    with Fused():
        return kept_bytes(lambda latents, _: prior.decode(latents), prior.codec, given, 1)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def nbytes(model: nn.Module) -> int:
    """Of weights, and of tables that are in no file of weights."""
    return sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))


def gigabytes(family: Family, precision: str) -> list[float]:
    """Weights of the network; what a call keeps; the least for a gradient; the last two in one piece and in tiles."""
    prior = meta_prior(family, precision)
    weights, codec, calls, least = nbytes(prior.denoiser.network), nbytes(prior.codec), [], []
    noise = 2 * latents(prior, family.side).nbytes
    gradient = noise // 2  # float32
    for side in (family.side, TILE):
        calls.append(kept_by_call(prior, latents(prior, side)))
        decoding = kept_by_decoding(prior, latents(prior, side))
        least.append(weights + codec + noise + gradient + max(calls[-1], decoding))
    return [value / 1e9 for value in (weights, *calls, *least)]


def main() -> None:
    print("GB, of a bf16 / float32 network\n")
    print(
        "| model, native size | parameters, billions | published | weights | a call keeps, in one piece | a tile of 512"
        " | least for a gradient, in one piece | in tiles of 512 |\n|---|---|---|---|---|---|---|---|"
    )
    for name, family in FAMILIES.items():
        with META:
            count = parameters(family.kind(**family.options)) / 1e9
        cells = [f"{name}, {family.side}", f"{count:.4g}", family.published or ""]
        pairs = zip(*(gigabytes(family, precision) for precision in PRECISIONS), strict=True)
        print("| " + " | ".join([*cells, *(f"{half:.3g} / {full:.3g}" for half, full in pairs)]) + " |", flush=True)
    prior = meta_prior(FAMILIES["SD 1.5"])
    for side in (TILE, 2 * TILE):
        kept = kept_by_decoding(prior, latents(prior, side))
        print(f"\nDecoding an image of {side} pixels keeps {kept / 1e9:.3g} GB.", end="")
    print("\n\n| other part | parameters, millions |\n|---|---|")
    for name, make in OTHERS.items():
        with META:
            print(f"| {name} | {parameters(make()) / 1e6:.4g} |")


if __name__ == "__main__":
    main()
