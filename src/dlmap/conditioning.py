"""What a network is told beside the image and the time: embeddings of a prompt, and guidance."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mslique import UserError

SCALE = "guidance_scale"


class Condition(nn.Module):
    """Tensors by name, each of one row for a prompt, or of two for a negative prompt and a prompt.

    With ``guidance_scale`` g there are two rows, and the prediction is negative + g (prompt - negative), at twice the
    cost (Ho and Salimans, "Classifier-Free Diffusion Guidance", arXiv 2207.12598, eq. 6 with g = w + 1).

    Args:
        tensors: each (1, ...) or (2, ...).
        guidance_scale: of classifier-free guidance; None: one row.

    Raises:
        UserError: the number of rows is another.
    """

    def __init__(self, tensors: Mapping[str, Tensor], guidance_scale: float | None = None) -> None:
        super().__init__()
        self.guidance_scale = guidance_scale
        rows = 1 if guidance_scale is None else 2
        for name, tensor in tensors.items():
            if len(tensor) != rows:
                raise UserError(
                    f"the embedding {name} has {len(tensor)} rows: it takes one for a prompt, or two, a negative prompt"
                    " and a prompt, with guidance_scale"
                )
            self.register_buffer(name, tensor.detach(), persistent=False)

    def tensors(self, batch: int = 1) -> dict[str, Tensor]:
        """Every tensor with each of its rows repeated ``batch`` times."""
        return {name: tensor.repeat_interleave(batch, dim=0) for name, tensor in self.named_buffers()}

    def save(self, path: str | Path) -> None:
        """Write the embeddings to a safetensors file."""
        metadata = {} if self.guidance_scale is None else {SCALE: str(self.guidance_scale)}
        tensors = {name: tensor.contiguous() for name, tensor in self.named_buffers()}
        Path(path).write_bytes(save(tensors, metadata))  # save_file would keep it from all other users

    @classmethod
    def load(cls, path: str | Path) -> "Condition":
        """Read what ``save`` wrote.

        Raises:
            UserError: the file is missing or damaged.
        """
        try:
            with safe_open(path, framework="pt") as file:
                names = file.keys()
                tensors = {name: file.get_tensor(name) for name in names}
                scale = (file.metadata() or {}).get(SCALE)
            return cls(tensors, None if scale is None else float(scale))
        except UserError:
            raise
        except (OSError, SafetensorError, TypeError, KeyError, ValueError) as reason:  # a file may hold anything
            raise UserError(f"{path} holds no embeddings ({reason}): make it by dlmap embed") from reason
