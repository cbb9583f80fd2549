"""Work that a second thread does while the main one goes on."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Background:
    """One thread that does jobs in the order in which they come.

    Args:
        waiting: jobs that may be unfinished; ``submit`` waits when there are more, which bounds the memory they hold.
    """

    def __init__(self, waiting: int = 2) -> None:
        self.waiting = waiting
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dlmap-writer")
        self._jobs: deque[Future[None]] = deque()

    def submit(self, job: Callable[[], None]) -> None:
        """Queue ``job``. Raises what an earlier job raised."""
        self._jobs.append(self._thread.submit(job))
        while self._jobs and (len(self._jobs) > self.waiting or self._jobs[0].done()):
            self._jobs.popleft().result()

    def finish(self) -> None:
        """Wait for all jobs. Raises what the first of them that failed raised."""
        self.close()
        while self._jobs:
            self._jobs.popleft().result()

    def close(self) -> None:
        """Wait for all jobs, whatever becomes of them: for use when another error is on its way up."""
        self._thread.shutdown(wait=True)
