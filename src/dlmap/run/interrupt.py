"""Ending cleanly on SIGTERM and Ctrl-C: the photographs in flight are finished, no further ones are begun."""

import os
import signal
import threading
from dataclasses import dataclass
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class Stop:
    """Whether the run was told to end.

    No ``threading.Event``: a second signal that arrives while the first one's handler holds the lock of its ``set``
    would wait for that lock for ever.
    """

    told: bool = False


class StopCleanly(Callback):
    """Sets ``stop.told`` at the first signal, here and in the processes launched; a second Ctrl-C ends at once.

    Lightning's own handlers do not serve here: its predict loop does not look at them, and the one for SIGTERM enters
    a collective operation, which hangs while another process waits in a different one.
    """

    def __init__(self, stop: Stop) -> None:
        self.stop = stop
        self._before: dict[signal.Signals, Any] = {}

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread may handle signals

        def handle(signum: int, frame: FrameType | None) -> None:
            if self.stop.told:
                if signum == signal.SIGINT:
                    raise KeyboardInterrupt
                return
            self.stop.told = True
            if trainer.strategy.launcher is not None:
                trainer.strategy.launcher.kill(signal.SIGTERM)
            if trainer.is_global_zero:
                # not sys.stderr: the signal may have come while that was being written to
                os.write(2, b"\nstopping after the photographs in flight (Ctrl-C again: at once)\n")

        self._before = {number: signal.signal(number, handle) for number in SIGNALS}

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._restore()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
