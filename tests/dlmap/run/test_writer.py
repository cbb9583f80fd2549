import threading

import pytest

from dlmap.run.writer import Background


def test_jobs_run_in_order_beside_the_main_thread() -> None:
    done: list[int] = []
    threads = set()
    background = Background()
    for k in range(20):
        background.submit(lambda k=k: (done.append(k), threads.add(threading.current_thread())))  # type: ignore[misc]
    background.finish()
    assert done == list(range(20)) and threading.current_thread() not in threads and len(threads) == 1


def test_no_more_than_allowed_wait() -> None:
    background, gate, submitted = Background(waiting=2), threading.Event(), []

    def submit() -> None:
        for k in range(4):
            background.submit(lambda: gate.wait(10))  # type: ignore[arg-type, return-value]
            submitted.append(k)

    thread = threading.Thread(target=submit)
    thread.start()
    thread.join(0.3)
    assert submitted == [0, 1]
    gate.set()
    thread.join(10)
    background.finish()
    assert submitted == [0, 1, 2, 3]


def fail() -> None:
    raise OSError("disk full")


def test_errors_come_up_at_a_later_job() -> None:
    background = Background()
    with pytest.raises(OSError, match="disk full"):
        for _ in range(4):
            background.submit(fail)


def test_errors_come_up_at_the_end() -> None:
    background, gate = Background(), threading.Event()
    background.submit(lambda: gate.wait(10))  # type: ignore[arg-type, return-value]
    background.submit(fail)
    gate.set()
    with pytest.raises(OSError, match="disk full"):
        background.finish()
