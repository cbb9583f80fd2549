import os
import signal
import threading
from types import SimpleNamespace

import pytest

from dlmap.interrupt import StopCleanly


def test_signals_set_the_flag_and_reach_the_other_processes(capfd: pytest.CaptureFixture[str]) -> None:
    sent: list[int] = []
    launcher = SimpleNamespace(kill=sent.append)
    trainer = SimpleNamespace(strategy=SimpleNamespace(launcher=launcher), is_global_zero=True)
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    stop = threading.Event()
    callback = StopCleanly(stop)
    callback.on_predict_start(trainer, None)  # type: ignore[arg-type]
    try:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_set() and sent == [signal.SIGTERM]
        assert "stopping after the photographs in flight" in capfd.readouterr().err
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        callback.on_predict_end(trainer, None)  # type: ignore[arg-type]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
