import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dlmap.run.ending import Ending
from dlmap.run.run import Run


def test_signals_set_the_flag_and_reach_the_other_processes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sent: list[int] = []
    launcher = SimpleNamespace(kill=sent.append)
    trainer = SimpleNamespace(strategy=SimpleNamespace(launcher=launcher), is_global_zero=True, local_rank=0)
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    run = Run(tmp_path)
    callback = Ending(run)
    callback.on_predict_start(trainer, None)  # type: ignore[arg-type]
    try:
        os.kill(os.getpid(), signal.SIGINT)
        assert run.told_to_stop and sent == [signal.SIGTERM]
        assert "stopping after the photographs in flight" in capfd.readouterr().err
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        callback.on_predict_end(trainer, None)  # type: ignore[arg-type]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_signals_that_interrupt_each_other_do_no_harm(tmp_path: Path) -> None:
    trainer = SimpleNamespace(strategy=SimpleNamespace(launcher=None), is_global_zero=False, local_rank=0)
    run = Run(tmp_path)
    callback = Ending(run)
    callback.on_predict_start(trainer, None)  # type: ignore[arg-type]
    code = "import os, sys\nfor _ in range(20000): os.kill(int(sys.argv[1]), 15)"
    try:
        sender = subprocess.Popen([sys.executable, "-c", code, str(os.getpid())])
        while sender.poll() is None:
            run.told_to_stop = False  # as if each were the first
    finally:
        callback.on_predict_end(trainer, None)  # type: ignore[arg-type]
    assert sender.returncode == 0
