"""How much memory kept activations take, how much there is for them, and whether it ran out."""

from pathlib import Path

import psutil
import torch
import torch.distributed
from torch import Tensor, nn

from .solvers.reversible import Denoise

SHARE = 0.5
"""The part of the free memory that "auto" fills. Codec, quality model and fidelity need the rest [ours]."""
OVERHEAD = 1.25
"""Gaps between allocations, as a factor; 1.17 was seen with glibc's allocator on tensors of a megabyte [ours]."""
CGROUP = Path("/sys/fs/cgroup")
CPU_MESSAGES = ("not enough memory", "can't allocate memory")
"""In the messages of PyTorch's CPU allocator, which raises a plain RuntimeError."""


def kept_bytes(denoise: Denoise, weights: nn.Module, latents: Tensor, i: int) -> int:
    """What autograd keeps of one call ``denoise(latents, i)``, in bytes. Each storage counts once.

    On the meta device this needs neither memory nor time.

    Args:
        weights: a module whose parameters do not count, since they are in memory anyway.
    """
    seen: set[torch.UntypedStorage] = set()  # held, so that no storage comes twice

    def pack(tensor: Tensor) -> None:  # a result that the graph held would hold the graph, and stay for ever
        seen.add(tensor.untyped_storage())

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda nothing: nothing):
        denoise(latents.detach().requires_grad_(), i)
    known = {parameter.untyped_storage() for parameter in weights.parameters()}
    return sum(storage.nbytes() for storage in seen - known)


def free_bytes(device: torch.device) -> int:
    """Memory in bytes that this process can still take on the device.

    On the CPU this is an equal share for each process of a run. It counts what the machine has free, and no more than
    the limit of the control group, if there is one.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    processes = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
    return min(psutil.virtual_memory().available, _limit(CGROUP)) // processes


def _limit(group: Path) -> int:
    """What a control group (version 2) leaves, in bytes. Files in its page cache do not count as taken."""
    try:
        limit = (group / "memory.max").read_text().strip()
        if limit == "max":
            return 2**63
        taken = int((group / "memory.current").read_text())
        cached = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except FileNotFoundError:
        return 2**63
    return max(int(limit) - taken + int(cached.get("inactive_file", 0)), 0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error says that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(words in str(error).lower() for words in CPU_MESSAGES)
