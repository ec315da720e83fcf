"""Writing a queue's messages after its pipe was full: later, in order, and without a lock.

The problem. `put` returns while its message waits for room, so a thread has to write it. A signal
handler and a finalizer interrupt any Python code, also `put`, and may put into the same queue. What
fails: the standard queue's condition, which `put` holds for some statements. The inner put waits
for the outer one, which waits for the inner one to return.

The solution. The threads share one deque, whose first message is the one being written. While the
deque is not empty, a put appends to it, so the messages of a thread stay in order. The right to
write (`_turn`) is a lock that no thread waits for: a thread that finds it taken leaves its message
to the owner of the lock, and the owner checks the deque again after it has released the lock.

What it guarantees. A put never waits for another put of its process. A message is written once, or
its error is reported. When no thread can be started, the putting thread writes in its place, and
waits for room.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Callable
from multiprocessing.util import debug, info, is_exiting
from queue import SimpleQueue
from typing import Any

from .message_pipe import Packet

__all__ = ["Feeder"]


class Feeder:
    """Write packets in the order in which `take` received them.

    Args:
        write: writes a packet; waits for room.
        close: is called after the last packet.
        ignore_epipe: whether packets without a reader are dropped silently.
        onerror: is called with any other error and its packet.
        places: the queue's semaphore; a packet that fails releases its place.
    """

    thread: threading.Thread | None = None

    def __init__(
        self,
        write: Callable[[Packet], None],
        close: Callable[[], None],
        ignore_epipe: bool,
        onerror: Callable[[Exception, object], None],
        places: Any,
    ) -> None:
        self.pid = os.getpid()
        self.waiting: deque[Packet] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._turn = threading.Lock()
        self._ending = self._ended = False
        self._write, self._close, self._onerror = write, close, onerror
        self._ignore_epipe, self._places = ignore_epipe, places

    def take(self, packet: Packet) -> None:
        """Append a packet, and have it written."""
        started = False
        try:
            for packet.gone in map(self.waiting.append, (packet,)):  # noqa: B020
                break
            started = self._start()
        except BaseException:  # from a signal handler; the packet is sent all the same
            started = packet.gone is not False and self._start()
            raise
        finally:
            self._wake.put(None)
            if packet.gone is not False and (self._ended or not started):
                self._drain()

    def end(self) -> None:
        """Write the waiting packets, then close; the thread does so if there is one."""
        debug("telling queue thread to quit")
        self._ending = True
        self._wake.put(None)
        if self.thread is None:
            self._finish()

    def _start(self) -> bool:
        """Start the thread if there is none; return False if the system refuses it."""
        if self.thread is not None:
            return True
        thread = threading.Thread(target=self._run, name="QueueFeederThread", daemon=True)
        if vars(self).setdefault("thread", thread) is not thread:
            return True  # an inner put, or another thread's put, was faster
        try:
            thread.start()
        except BaseException as error:
            vars(self).pop("thread", None)  # if it runs after all, two threads take turns
            if isinstance(error, (RuntimeError, MemoryError)):
                return False
            raise
        return True

    def _run(self) -> None:
        while not self._ended:
            self._wake.get()
            self._drain()
            if self._ending and not self.waiting:
                self._finish()

    def _finish(self) -> None:
        self._ended = True  # a put from now on writes its packet itself
        self._drain()
        self._close()
        self._wake.put(None)  # wakes a second thread

    def _drain(self) -> None:
        while self.waiting:
            mine = False
            try:
                for mine in map(self._turn.acquire, (False,)):  # noqa: B007
                    break
                if not mine:
                    return
                while self.waiting:
                    self._write_first()
            finally:
                if mine:
                    self._turn.release()

    def _write_first(self) -> None:
        packet, out = self.waiting[0], Packet()
        out.parts = packet.parts
        try:
            self._write(out)
        except Exception as error:
            if out.gone is not False:  # from a signal handler, in a process without the thread
                raise
            self.waiting.popleft()
            packet.drop()
            if self._ignore_epipe and getattr(error, "errno", 0) == errno.EPIPE:
                return
            if is_exiting():  # modules that a daemon thread uses may be gone
                info("error in queue thread: %s", error)
                return
            self._places.release()  # an unsent packet has no place
            self._onerror(error, packet)
        finally:
            if out.gone is not False:
                self.waiting.popleft()
