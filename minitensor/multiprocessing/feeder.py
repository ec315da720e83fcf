"""What a queue writes when its pipe is full: later, in order, and without a lock.

The problem. `put` returns while its message waits for room, so a thread writes it. A signal handler and a finalizer run inside
whatever Python code is under way, also inside `put`, and may put into the same queue. What fails: the standard queue's condition,
which `put` holds for some statements. The inner put waits for the outer one, which waits for the inner one to return.

The solution. All that is shared is a deque, whose first message is the one being written: as long as the deque is not empty,
a put appends to it, and so the messages of a thread stay in order. The right to write (`_turn`) is a lock that no thread waits
for: a thread that finds it taken leaves its message to the one that has it, which looks at the deque once more after it has
given the right back.

What it guarantees. A put never waits for another put of its process; a message is written once, or its error is told. When no
thread can be started, the putting thread writes in its place, and waits for room.
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
    """Writes packets in the order in which it took them over.

    Args:
        write: writes a packet, waiting for room.
        close: what to do after the last one.
        ignore_epipe: whether packets that no process can read any more are dropped without a word.
        onerror: is told of any other error, and of the packet.
        places: the queue's semaphore: a packet that is not written gives its place back.
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
        self._write, self._close, self._ignore_epipe, self._onerror, self._places = write, close, ignore_epipe, onerror, places

    def take(self, packet: Packet) -> None:
        """Take over a packet."""
        started = False
        try:
            for packet.gone in map(self.waiting.append, (packet,)):  # noqa: B020
                break
            started = self._start()
        except BaseException:  # of a signal handler: the packet is on its way all the same
            started = packet.gone is not False and self._start()
            raise
        finally:
            self._wake.put(None)
            if packet.gone is not False and (self._ended or not started):
                self._drain()

    def end(self) -> None:
        """Write what is waiting, and close; a thread does so in its own time."""
        debug("telling queue thread to quit")
        self._ending = True
        self._wake.put(None)
        if self.thread is None:
            self._finish()

    def _start(self) -> bool:
        """Have a thread; False: there is none to be had."""
        if self.thread is not None:
            return True
        thread = threading.Thread(target=self._run, name="QueueFeederThread", daemon=True)
        if vars(self).setdefault("thread", thread) is not thread:
            return True  # an inner put, or another thread's, was faster
        try:
            thread.start()
        except BaseException as error:
            vars(self).pop("thread", None)  # if it runs all the same, two threads take turns
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
        self._ended = True  # a put that comes now sees it
        self._drain()
        self._close()
        self._wake.put(None)  # for a second thread

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
            if out.gone is not False:  # of a signal handler, where no thread is to be had
                raise
            self.waiting.popleft()
            packet.drop()
            if self._ignore_epipe and getattr(error, "errno", 0) == errno.EPIPE:
                return
            if is_exiting():  # what a daemon thread uses may be gone by now
                info("error in queue thread: %s", error)
                return
            self._places.release()  # not sent, so it takes no place
            self._onerror(error, packet)
        finally:
            if out.gone is not False:
                self.waiting.popleft()
