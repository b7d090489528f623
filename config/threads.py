"""A thread for each request that needs one, lent for as long as the request lasts.

Django gives each request a thread pool of one thread, and starts a second thread only to wait for the end of the first.
Here a request that has something to do in a thread gets one that an earlier request has done with. No two requests
have one at the same time, so that none waits for another's query. Source: docs/adr/0019-frame.md.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from asgiref.sync import SyncToAsync
from django.db import reset_queries

logger = logging.getLogger(__name__)

# More than so many threads are not kept while nobody needs them.
MAX_IDLE = 32

_idle = deque[ThreadPoolExecutor]()


class LentThread(Executor):
    """What stands for one request's thread; it takes one when it is first used."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None

    def submit[**P, T](self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have `call` run in the thread, after all that was asked of it before."""
        if self._thread is None:
            self._thread = _taken()
        return self._thread.submit(call, *args, **kwargs)

    def give_back(self, last: Callable[[], None]) -> None:
        """Have `last` run after all else, and give the thread back when that is done. Nobody waits for it.

        Without a thread it is run here: then nothing was opened that only a thread could close.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            last()
        else:
            thread.submit(_end, thread, last)


def _taken() -> ThreadPoolExecutor:
    try:
        return _idle.pop()  # the one that was used last: its memory is warm
    except IndexError:
        return ThreadPoolExecutor(1, thread_name_prefix="request")


def _end(thread: ThreadPoolExecutor, last: Callable[[], None]) -> None:
    try:
        last()
        # Django does it at the beginning of the next request; with DEBUG alone there is something to forget.
        reset_queries()
    except Exception:
        logger.exception("A request could not be ended in order.")
    if len(_idle) < MAX_IDLE:
        _idle.append(thread)
    else:
        thread.shutdown(wait=False)


@contextmanager
def lent(ending: Callable[[], Callable[[], None]]) -> Iterator[None]:
    """Let what asgiref does inside, for the request of this context, happen in a lent thread.

    What `ending` returns at the end is the last that happens there. A task that outlives the request gets a thread of
    its own from asgiref, as ever.
    """
    thread = LentThread()
    context: Any = SyncToAsync.thread_sensitive_context.get(None)
    if context is not None:
        SyncToAsync.context_to_thread_executor[context] = thread
    try:
        yield
    finally:
        if context is not None:
            # Django, which finds none, need not end any.
            SyncToAsync.context_to_thread_executor.pop(context, None)
        thread.give_back(ending())
