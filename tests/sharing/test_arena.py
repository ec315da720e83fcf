"""The shared memory's protocol from C: references, deaths at each step, limits; and its model."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import arena_model
import pytest
from family import faults, own_family

from minitensor import sharing
from minitensor.backend.core import ffi, lib


@pytest.fixture(autouse=True)
def arena() -> None:
    """Found the arena: the tests call the core's functions without the package's."""
    assert sharing.have_arena()


def test_a_reference_changes_hands() -> None:
    block = lib.mt_arena_alloc(100_000)
    ffi.memmove(lib.mt_arena_data(block), b"value", 5)
    assert lib.mt_arena_size(block) >= 100_000 and lib.mt_arena_sole(block)
    token = lib.mt_arena_send(block, 0)
    assert not lib.mt_arena_sole(block)
    lib.mt_arena_drop(block)  # in flight it lives
    assert lib.mt_arena_claim(token) == block and lib.mt_arena_sole(block)
    assert ffi.buffer(lib.mt_arena_data(block), 5)[:] == b"value"
    assert lib.mt_arena_claim(token) == block  # the same bytes again
    lib.mt_arena_drop(block)
    lib.mt_arena_drop(block)
    assert lib.mt_arena_claim(token) == -lib.MT_STALE
    again = lib.mt_arena_alloc(100_000)
    assert again == block and lib.mt_arena_claim(token) == -lib.MT_STALE  # another generation
    lib.mt_arena_drop(again)


def test_nonsense_is_stale() -> None:
    for token in (0, -5, 1, 1 << 48, (1 << 63) - 1, 12345678901234567):
        assert lib.mt_arena_claim(token) == -lib.MT_STALE
    for channel in (0, 77, 1 << 20, (1 << 40) + 5):
        assert lib.mt_channel_join(channel) == lib.MT_STALE


def test_what_is_taken_back_is_gone() -> None:
    block = lib.mt_arena_alloc(5000)
    token = lib.mt_arena_send(block, 0)
    lib.mt_arena_unsend(token)
    assert lib.mt_arena_sole(block)
    lib.mt_arena_unsend(token)  # once is enough
    lib.mt_arena_drop(block)


def test_more_than_there_is() -> None:
    assert lib.mt_arena_alloc(1 << 61) == -lib.MT_MEMORY_ERROR
    blocks = [lib.mt_arena_alloc(4096) for _ in range(100)]
    tokens = []
    while (token := lib.mt_arena_send(blocks[0], 0)) > 0:
        tokens.append(token)
    assert token == -lib.MT_MEMORY_ERROR and len(tokens) > 10_000
    for token in tokens:
        lib.mt_arena_unsend(token)
    for block in blocks:
        lib.mt_arena_drop(block)


def test_channels_count_their_users() -> None:
    channel = lib.mt_channel_new()
    block = lib.mt_arena_alloc(5000)
    assert lib.mt_channel_join(channel) == lib.MT_OK and lib.mt_channel_has_others(channel) == 0
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(reader)
    assert lib.mt_channel_has_others(channel) == 1
    lib.mt_arena_send(block, channel)
    lib.mt_channel_leave(channel)
    lib.mt_channel_leave(channel)  # the child still uses it
    assert not lib.mt_arena_sole(block)
    os.close(writer)
    os.waitpid(pid, 0)
    lib.mt_arena_reap()  # with the last user the token goes; the child's hold, too
    assert lib.mt_arena_sole(block) and lib.mt_channel_join(channel) == lib.MT_STALE
    lib.mt_arena_drop(block)


def one_life(channel: int, kept: int, writer: int) -> None:
    """Call every operation, some twice."""
    for _ in range(2):
        block = lib.mt_arena_alloc(20_000)
        os.write(writer, lib.mt_arena_send(block, channel).to_bytes(8, "little"))
        lib.mt_arena_drop(block)
        lib.mt_arena_claim(lib.mt_arena_send(kept, channel))
        lib.mt_arena_drop(kept)
        other = lib.mt_channel_new()
        lib.mt_arena_send(kept, other)
        lib.mt_channel_leave(other)
        lib.mt_arena_unsend(lib.mt_arena_send(kept, channel))
        large = lib.mt_arena_alloc(3 << 20)
        lib.mt_arena_drop(large)
        lib.mt_arena_reap()


def test_death_at_every_step() -> None:
    """Kill a child at its first step, the next at its second, until a child ends its work."""
    channel, kept = lib.mt_channel_new(), lib.mt_arena_alloc(5000)
    step, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        step += 1
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            lib.mt_arena_signal_after(step, signal.SIGKILL)
            one_life(channel, kept, writer)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(writer)
        said = os.read(reader, 1000)
        os.close(reader)
        for i in range(0, len(said), 8):  # what it has said that it sent is there
            block = lib.mt_arena_claim(int.from_bytes(said[i : i + 8], "little"))
            assert block > 0
            lib.mt_arena_drop(block)
        lib.mt_arena_reap()
        assert faults() == "", step
    assert code == 0 and step > 50
    lib.mt_channel_leave(channel)
    assert lib.mt_arena_sole(kept)
    lib.mt_arena_drop(kept)


class Pause:
    """A child that calls `act` and stops at that step; `stands`: it has reached the step."""

    def __init__(self, act: Callable[[], object], step: int) -> None:
        self._reader, writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            lib.mt_arena_signal_after(step, signal.SIGSTOP)
            os.write(writer, f"{act()}".encode())
            os._exit(0)
        os.close(writer)
        self.stands = os.WIFSTOPPED(os.waitpid(self._pid, os.WUNTRACED)[1])

    def end(self) -> str:
        """Let the child go on; return what it wrote."""
        if self.stands:
            os.kill(self._pid, signal.SIGCONT)
            os.waitpid(self._pid, 0)
        with os.fdopen(self._reader) as file:
            return file.read()


def pauses(act: Callable[[], object]) -> Iterator[Pause]:
    """Yield stopped children: one at its first step, the next at its second, and so on."""
    for step in itertools.count(1):
        pause = Pause(act, step)
        if not pause.stands:
            pause.end()
            assert step > 1
            return
        yield pause


def test_a_token_sent_during_a_recount_is_counted() -> None:
    """Send tokens that were never used before, in a family of its own."""
    program = """
import os, sys
sys.path[:0] = sys.argv[1:]
from test_arena import faults, lib, pauses, sharing
sharing.have_arena()
other = lib.mt_arena_alloc(5000)
lib.mt_arena_send(other, 0)
if os.fork() == 0:
    os._exit(0)
os.wait()
assert lib.mt_arena_reap() == 1  # from now on every reaping recounts
for pause in pauses(lib.mt_arena_reap):
    block = lib.mt_arena_alloc(5000)
    token = lib.mt_arena_send(block, 0)
    lib.mt_arena_drop(block)
    pause.end()
    assert lib.mt_arena_claim(token) == block and lib.mt_arena_sole(block), "it was freed in flight"
    assert faults() == ""
    lib.mt_arena_drop(block)
"""
    command = [sys.executable, "-c", program, *sys.path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=own_family())
    assert (done.returncode, done.stderr) == (0, "")


def test_who_may_write_while_another_sends_on() -> None:
    block = lib.mt_arena_alloc(5000)
    for pause in pauses(lambda: lib.mt_arena_own(block, 1)):
        # we hold it, as the child does; then only the token stands for us
        token = lib.mt_arena_send(block, 0)
        lib.mt_arena_drop(block)
        assert pause.end() == "0"
        lib.mt_arena_reap()
        assert lib.mt_arena_claim(token) == block
    lib.mt_arena_drop(block)


def test_what_is_written_makes_stale_what_was_sent_before() -> None:
    block = lib.mt_arena_alloc(5000)
    token = lib.mt_arena_send(block, 0)
    assert (
        not lib.mt_arena_own(block, 1)
        and lib.mt_arena_claim(token) == block
        and not lib.mt_arena_own(block, 1)
    )
    lib.mt_arena_drop(block)
    assert lib.mt_arena_own(block, 1) and lib.mt_arena_claim(token) == -lib.MT_STALE
    lib.mt_arena_drop(block)


def test_death_of_the_one_who_forks_and_of_a_reaper() -> None:
    kept = lib.mt_arena_alloc(5000)
    reader, writer = os.pipe()  # ends when the last descendant has
    for step in range(1, 60):
        pid = os.fork()
        if pid == 0:
            grandchild = os.fork()
            if grandchild == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            os.waitid(os.P_PID, grandchild, os.WEXITED | os.WNOWAIT)
            lib.mt_arena_signal_after(step, signal.SIGKILL)
            lib.mt_arena_reap()
            if os.fork() == 0:
                os._exit(0)
            os._exit(0)
        os.waitpid(pid, 0)
        lib.mt_arena_reap()
    os.close(writer)
    assert os.read(reader, 1) == b""
    os.close(reader)
    # a process that ends closes one descriptor after the other; its lock may be the last
    for _ in range(100_000):
        lib.mt_arena_reap()
        if lib.mt_arena_sole(kept):
            break
    assert lib.mt_arena_sole(kept)
    lib.mt_arena_drop(kept)


def test_a_failed_fork_leaves_nothing() -> None:
    program = """
import os, resource
from minitensor import sharing
from minitensor.backend.core import ffi, lib
assert sharing.have_arena()
block = lib.mt_arena_alloc(5000)
descriptors = os.listdir("/proc/self/fd")
if os.getuid() == 0:
    os.setuid(65534)
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
for _ in range(5):
    try:
        os.fork()
    except BlockingIOError:
        pass
lib.mt_arena_reap()
print(lib.mt_arena_sole(block), os.listdir("/proc/self/fd") == descriptors,
      lib.mt_arena_check(ffi.new("char[1000]"), 1000))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("1 True 0\n", "")


@pytest.mark.parametrize("scene", arena_model.SCENES)
def test_the_model_is_right_in_every_state(scene: str) -> None:
    states, fault = arena_model.SCENES[scene]().explore()
    assert fault == "" and states > 500


@pytest.mark.parametrize("mutation", arena_model.MUTATIONS)
def test_the_model_sees_what_is_wrong(mutation: str) -> None:
    assert arena_model.SCENES[arena_model.MUTATIONS[mutation]](mutation=mutation).explore()[1]
