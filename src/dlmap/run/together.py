"""Processes of one run end together: when one dies, the others say so and end instead of waiting for it for ever."""

import os
import signal
import subprocess
import threading
from collections.abc import Sequence

import lightning as L
from lightning.pytorch.callbacks import Callback

SECONDS = 0.05
"""Between two looks. Lightning's own observer looks every 5 s, tells no way out, and does not see a parent's death."""


class EndTogether(Callback):
    """Watches, while predictions are made, the processes that this one launched, or the one that launched this one."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        children: Sequence[subprocess.Popen[bytes]] = getattr(trainer.strategy.launcher, "procs", [])
        parent = os.getppid() if trainer.local_rank > 0 else None
        if children or parent is not None:
            threading.Thread(target=self._watch, args=(children, parent), daemon=True, name="dlmap-together").start()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._over.set()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._over.set()

    def _watch(self, children: Sequence["subprocess.Popen[bytes]"], parent: int | None) -> None:
        while not self._over.wait(SECONDS):
            if parent is not None and os.getppid() != parent:
                os._exit(1)
            dead = [rank for rank, child in enumerate(children, start=1) if child.poll() not in (None, 0)]
            if dead:
                for child in children:
                    child.kill()
                os.write(2, f"\nerror: {_cause(dead[0], children[dead[0] - 1])}\n".encode())
                os._exit(1)


def _cause(rank: int, child: "subprocess.Popen[bytes]") -> str:
    code = child.returncode
    how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with status {code}"
    return (
        f"process {rank} of this run {how}, so the run has ended; where memory ran out, take a smaller"
        " --data.batch_size or fewer --trainer.devices. What was done is kept: run the same command again to go on"
    )
