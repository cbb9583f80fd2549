"""How the processes of a run end: together, and not in the middle of a photograph."""

import datetime
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import Any

import lightning as L
import torch.distributed
from lightning.pytorch.callbacks import Callback

from .run import Run

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SECONDS = 0.05
"""Between two looks at the other processes. Lightning's own observer looks every 5 s, does not tell the user what to
do, and does not see the death of the parent."""
A_YEAR = datetime.timedelta(days=365)


class Ending(Callback):
    """Ends a run in all its processes: when all photographs are done, when told to stop, and after an error.

    SIGTERM and Ctrl-C stop the run after the photographs in flight, a second Ctrl-C at once. Lightning's own handlers
    do not serve here: its predict loop does not look at their flag, and the handler of SIGTERM enters a collective
    operation, which never ends while another process is in a different one.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._handlers: dict[signal.Signals, Any] = {}  # those that were there before
        self._unwatched = threading.Event()  # from here on a process may end before the others
        self._meet: Callable[[], object] = lambda: None  # waits for all processes
        self._all_finished = False

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        children: Sequence[subprocess.Popen[bytes]] = getattr(trainer.strategy.launcher, "procs", [])
        parent = os.getppid() if trainer.local_rank > 0 else None
        if children or parent is not None:
            threading.Thread(target=self._watch, args=(children, parent), daemon=True, name="dlmap-watch").start()
        if threading.current_thread() is threading.main_thread():  # no other thread may handle signals
            handle = partial(self._handle, trainer)
            self._handlers = {number: signal.signal(number, handle) for number in SIGNALS}

    def on_predict_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # The processes meet here, after every on_predict_start: none begins before all of them can be told to stop.
        if trainer.world_size > 1:
            # a group of our own, because the processes may finish hours apart and Lightning's group waits 30 minutes
            everyone = torch.distributed.new_group(backend="gloo", timeout=A_YEAR)
            self._meet = partial(torch.distributed.barrier, everyone)

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.run.wait()
        self._meet()
        self._all_finished = True
        if trainer.is_global_zero:
            self.run.conclude()
        self.run.close()
        self._restore_handlers()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._unwatched.set()  # before the others are killed, which is no death to report
        self.run.close()
        if not self._all_finished and trainer.strategy.launcher is not None:
            # the others would wait for this process for ever; what they have done is in the journal
            trainer.strategy.launcher.kill(signal.SIGKILL)
        self._restore_handlers()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._unwatched.set()

    def _handle(self, trainer: L.Trainer, number: int, frame: FrameType | None) -> None:
        if self.run.told_to_stop:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.run.told_to_stop = True
        if trainer.strategy.launcher is not None:
            trainer.strategy.launcher.kill(signal.SIGTERM)
        if trainer.is_global_zero:
            # not sys.stderr: the signal may have come in the middle of a write to it
            os.write(2, b"\nstopping after the photographs in flight (Ctrl-C again: at once)\n")

    def _restore_handlers(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _watch(self, children: Sequence["subprocess.Popen[bytes]"], parent: int | None) -> None:
        """Watch the processes that this one launched, or the one that launched it; end if one of them dies."""
        while not self._unwatched.wait(SECONDS):
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
