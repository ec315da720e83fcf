"""A process is a member of its family's shared memory, or has copies.

Its values are right, whatever keeps it from being a member.
"""

from __future__ import annotations

import errno
import gc
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import races
import sharing_targets as targets
from family import LARGE, in_arena, large, own_family, stats

import minitensor.multiprocessing as mp
from minitensor import Tensor, trace
from minitensor.backend.core import lib
from minitensor.multiprocessing.reductions import ForkingPickler, dumps
from minitensor.sharing import pickling

ROOT = os.geteuid() == 0


def program(text: str, *arguments: str, **options: Any) -> str:
    """Return what a program of a family of its own prints."""
    prelude = """
        import ctypes, os, pickle, resource, signal, sys
        import numpy as np
        from minitensor import Tensor, trace
        import minitensor.multiprocessing as mp
        from minitensor.backend.core import lib
        from minitensor.multiprocessing.reductions import ForkingPickler, dumps
        def in_arena(value, n=50_000):
            return pickle.loads(dumps(Tensor(np.full(n, value, np.float32))))
        def guests():
            return [e.fields["reason"] for e in trace.events() if e.kind == "sharing.guest"]
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(text),
        *arguments], capture_output=True, text=True,
                          timeout=100, env=own_family(), **options)  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def told(life: Callable[[], str]) -> tuple[int, int]:
    """Fork a child that writes what `life` returns; return its pid and where to read that."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            text = life()
        except BaseException as error:
            text = repr(error)
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    return pid, reader


def heard(child: tuple[int, int]) -> str:
    pid, reader = child
    with open(reader) as file:
        text = file.read()
    os.waitpid(pid, 0)
    return text


@pytest.fixture
def no_places() -> Iterator[Callable[[int], None]]:
    """Make the system refuse places to new processes, as if for some errno."""
    lib.mt_arena_reap()
    yield lib.mt_arena_refuse_places
    lib.mt_arena_refuse_places(0)


REASONS = {
    errno.EBADF: "has closed the descriptor",
    errno.EACCES: "has changed its user",
    errno.ENOENT: "no /proc",
    errno.EMFILE: "no descriptor is left",
    errno.EUSERS: "every place in the shared memory is taken",
    errno.ENOMEM: "no address space is left",
}


# --- forked ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("why", REASONS)
def test_a_forked_guest_keeps_what_it_inherited(no_places: Callable[[int], None], why: int) -> None:
    held: list[Any] = [in_arena(7)]
    held += held[0][10:20], held[0].asnumpy()
    no_places(why)
    ready, go = os.pipe()

    def life() -> str:
        t, view, array = held
        os.read(ready, 1)
        before = float(t.max()), float(view.max()), float(array.max())
        t += 1
        events = [
            event.fields["reason"] for event in trace.events() if event.kind == "sharing.guest"
        ]
        values = f"{before} {float(t.max())} {float(view.max())} {float(array.max())}"
        return f"{values} {len(events)} {REASONS[why] in events[0]}"

    child = told(life)
    no_places(0)
    held.clear()
    gc.collect()
    other = [in_arena(99) for _ in range(3)]  # where it was
    os.write(go, b"x")
    # All views and arrays of it see the write, as in a member that has it alone.
    assert heard(child) == "(7.0, 7.0, 7.0) 8.0 8.0 8.0 1 True"
    assert all(float(t.max()) == 99 for t in other)
    os.close(ready)
    os.close(go)


def test_a_guests_children_are_guests(no_places: Callable[[int], None]) -> None:
    t = in_arena(7)
    no_places(errno.EMFILE)

    def life() -> str:
        t.__iadd__(1)
        grandchild = told(lambda: f"{float(t.max())} {lib.mt_arena_member()}")
        t.__iadd__(1)
        return f"{heard(grandchild)}, {float(t.max())}"

    assert heard(told(life)) == "8.0 0, 9.0"


def test_a_guest_gives_its_copies_back(no_places: Callable[[int], None]) -> None:
    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    tensors = [pickle.loads(dumps(Tensor(np.full(1 << 20, i, np.float64)))) for i in range(8)]
    no_places(errno.EMFILE)

    def life() -> str:
        for t in tensors:
            t.asnumpy().sum()
        with_them = resident()
        tensors.clear()
        gc.collect()
        return str(with_them - resident() > 48 << 20)

    assert heard(told(life)) == "True"


def test_memory_that_all_write_to_stays_shared_with_a_guest(
    no_places: Callable[[int], None],
) -> None:
    t = Tensor(np.zeros(LARGE, np.float32)).share_memory_()
    no_places(errno.EMFILE)
    ready, go = os.pipe()

    def life() -> str:
        t.__iadd__(1)
        os.read(ready, 1)
        return str(float(t.max()))

    child = told(life)
    no_places(0)
    races.until(lambda: float(t.max()) == 1)  # the child's write, seen here
    t += 1
    os.write(go, b"x")
    assert heard(child) == "2.0"
    os.close(ready)
    os.close(go)


@pytest.mark.parametrize("n", [10, LARGE, 10 * LARGE])
def test_a_guest_talks_to_members_both_ways(no_places: Callable[[int], None], n: int) -> None:
    context = mp.get_context("fork")
    before = stats()["in_flight"]
    there, back = context.Queue(), context.Queue()
    there.put(Tensor(np.full(n, 1, np.float32)))  # before it is a guest's to read
    no_places(errno.EMFILE)
    process = context.Process(target=targets.echo_doubled, args=(there, back, 3))
    process.start()
    no_places(0)
    there.put(Tensor(np.full(n, 2, np.float32)))
    there.put([Tensor(np.full(n, 3, np.float32)), b"x" * (4 * n)])
    assert [float(back.get().max()) for _ in range(2)] == [2, 4]
    t, text = back.get()
    assert float(t.max()) == 6 and t.shape == (n,) and text == b"x" * (4 * n)
    process.join()
    assert process.exitcode == 0
    assert mp.sharing_stats()["in_flight"] == before


def test_a_guests_own_queues_and_pools_work(no_places: Callable[[int], None]) -> None:
    no_places(errno.EMFILE)

    def life() -> str:
        with mp.get_context("fork").Pool(2) as pool:
            return str(
                [float(t.max()) for t in pool.map(targets.same, [large(i) for i in range(4)])]
            )

    assert heard(told(life)) == "[0.0, 1.0, 2.0, 3.0]"


def test_a_guest_says_why_it_shares_nothing(no_places: Callable[[int], None]) -> None:
    shared = large().share_memory_()
    no_places(errno.EMFILE)

    def life() -> str:
        said = []
        for what in (lambda: large().share_memory_(), lambda: ForkingPickler.dumps(shared)):
            try:
                what()
            except (MemoryError, RuntimeError) as error:
                said.append(f"{type(error).__name__} {'no descriptor is left' in str(error)}")
        return f"{said}"

    assert heard(told(life)) == "['MemoryError True', 'RuntimeError True']"


def test_a_guest_is_not_counted(no_places: Callable[[int], None]) -> None:
    """A queue that a guest has may always be put to: its messages are kept, and a `get` waits."""
    context = mp.get_context("fork")
    queue = context.Queue()
    no_places(errno.EMFILE)
    go, started = context.Pipe()
    process = context.Process(target=targets.put_when_told, args=(queue, started, large(5)))
    process.start()
    no_places(0)
    assert queue._reader.channel.has_others() is None
    go.send(None)
    assert float(queue.get().max()) == 5
    process.join()


def test_a_message_that_a_guest_may_read_is_kept() -> None:
    assert program("""
        queue = mp.Queue()
        lib.mt_arena_refuse_places(24)
        if os.fork() == 0:
            os._exit(0)
        os.wait()
        queue.put(in_arena(6))
        del queue
        print(mp.sharing_stats()["channels"], mp.sharing_stats()["in_flight"])
    """) == "1 1\n"  # fmt: skip


def test_an_empty_queue_that_a_guest_had_goes_with_its_last_member(
    no_places: Callable[[int], None],
) -> None:
    before = stats()["channels"]
    queue = mp.get_context("fork").Queue()
    no_places(errno.EMFILE)
    assert heard(told(lambda: "guest")) == "guest"
    del queue
    gc.collect()
    assert mp.sharing_stats()["channels"] == before


# --- spawned --------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("why", [0, errno.EMFILE, errno.EUSERS])
def test_a_spawned_process_is_handed_its_place(
    no_places: Callable[[int], None], method: str, why: int
) -> None:
    context = mp.get_context(method)
    before = stats()["in_flight"]
    there, back = context.Queue(), context.Queue()
    there.put(large(1))
    no_places(why)
    process = context.Process(target=targets.who_are_you, args=(there, back, large(2)))
    process.start()
    no_places(0)
    there.put(large(3))
    member, reason, first, argument, second = back.get()
    assert (member, first, argument, second) == (why == 0, 1, 2, 3)
    assert reason == "" if why == 0 else REASONS[why] in reason
    assert float(back.get().max()) == 6
    process.join()
    assert process.exitcode == 0
    lib.mt_arena_reap()
    assert mp.sharing_stats()["in_flight"] == before


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_process_that_dies_before_it_begins_leaves_nothing(method: str) -> None:
    context = mp.get_context(method)
    before = stats()
    process = context.Process(target=targets.same, args=(large(), targets.KillsItsReceiver()))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    del process
    gc.collect()
    lib.mt_arena_reap()
    after = mp.sharing_stats()
    # Of channels that a guest had, a reaping frees more than it was asked for here.
    assert all(
        after[name] <= before[name] for name in ("processes", "blocks", "in_flight", "channels")
    )



def test_a_process_that_cant_be_started_leaves_nothing() -> None:
    before, descriptors = stats(), len(os.listdir("/proc/self/fd"))
    process = mp.get_context("spawn").Process(target=lambda: None, args=(large(),))
    with pytest.raises((pickle.PicklingError, AttributeError)):
        process.start()
    del process
    gc.collect()
    lib.mt_arena_reap()
    after = mp.sharing_stats()
    assert (after["processes"], after["blocks"], after["in_flight"]) == (
        before["processes"],
        before["blocks"],
        before["in_flight"],
    )
    assert len(os.listdir("/proc/self/fd")) == descriptors


# --- as the system refuses it ---------------------------------------------------------------------
def test_a_program_that_closes_its_descriptors_and_forks() -> None:
    assert program("""
        t = in_arena(7)
        os.closerange(3, 100)
        r, w = os.pipe()
        if os.fork() == 0:
            os.read(r, 1)
            print(float(t.max()), lib.mt_arena_member(), len(guests()), flush=True)
            os._exit(0)
        print(lib.mt_arena_member(), flush=True)
        del t
        t = in_arena(99)
        os.write(w, b"x")
        os.wait()
    """) == "1\n7.0 0 1\n"  # fmt: skip


@pytest.mark.skipif(not ROOT, reason="only root can change its user")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_program_that_changes_its_user(method: str) -> None:
    if method != "fork":
        try:
            subprocess.run(
                [sys.executable, "-c", "import minitensor"], user=65534, capture_output=True,
                check=True,
            )  # fmt: skip
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("another user can't run this interpreter or read the package")
    text = textwrap.dedent("""
        import multiprocessing.popen_fork, os, sys
        import numpy as np
        from minitensor import Tensor
        import minitensor.multiprocessing as mp
        def child(there, back):
            for _ in range(2):
                t = there.get()
                back.put((float(t.max()), t * 2))
        if __name__ == "__main__":
            context = mp.get_context(sys.argv[1])
            there, back = context.SimpleQueue(), context.SimpleQueue()
            there.put(Tensor(np.full(100_000, 1.0)))
            os.setuid(65534)
            process = context.Process(target=child, args=(there, back))
            process.start()
            there.put(Tensor(np.full(100_000, 2.0)))
            for _ in range(2):
                value, t = back.get()
                print(value, float(t.max()), t.shape)
            process.join()
            print(process.exitcode)
    """)
    environment = own_family()
    # pytest's own folders are closed to the other user
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder, "program.py")
        path.write_text(text)
        done = subprocess.run(
            [sys.executable, str(path), method], capture_output=True, text=True, timeout=100,
            env=environment,
        )  # fmt: skip
    assert done.stdout == "1.0 2.0 (100000,)\n2.0 4.0 (100000,)\n0\n", done.stderr


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("package", ["minitensor.multiprocessing", "multiprocessing"])
def test_a_program_that_is_not_dumpable(method: str, package: str, tmp_path: Any) -> None:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent("""
        import ctypes, importlib, sys
        import numpy as np
        from minitensor import Tensor
        import minitensor.multiprocessing
        def child(there, back):
            t = there.get()
            back.put((float(t.max()), t * 2))
        if __name__ == "__main__":
            mp = importlib.import_module(sys.argv[2])
            context = mp.get_context(sys.argv[1])
            there, back = context.SimpleQueue(), context.SimpleQueue()
            ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
            process = context.Process(target=child, args=(there, back))
            process.start()
            there.put(Tensor(np.full(100_000, 2.0)))
            value, t = back.get()
            print(value, float(t.max()), t.shape)
            process.join()
            print(process.exitcode)
    """))
    environment = own_family()
    done = subprocess.run(
        [sys.executable, str(path), method, package], capture_output=True, text=True, timeout=100,
        env=environment,
    )  # fmt: skip
    assert done.stdout == "2.0 4.0 (100000,)\n0\n", done.stderr


NO_PROC = """
    libc = ctypes.CDLL(None, use_errno=True)
    def without_proc():
        private = libc.unshare(0x20000) or libc.mount(b"none", b"/", None, 0x44000, None)
        if private or libc.mount(b"none", b"/proc", b"tmpfs", 0, None):
            print("no mount namespaces")
            sys.exit()
"""


@pytest.mark.skipif(not ROOT, reason="only root has mount namespaces of its own")
@pytest.mark.parametrize("early", [True, False])
def test_without_proc(early: bool) -> None:
    text = NO_PROC + """
    early = bool(int(sys.argv[1]))
    if early:
        without_proc()
    t = in_arena(7)
    context = mp.get_context("fork")
    there, back = context.Queue(), context.Queue()
    there.put(t * 2)
    if not early:
        without_proc()
    def child():
        back.put((float(t.max()), there.get() + 1, b"x" * 300_000))
    process = context.Process(target=child)
    process.start()
    value, u, text = back.get()
    process.join()
    print(value, float(u.max()), u.shape, len(text), process.exitcode, lib.mt_arena_member())
    """
    said = program(text, str(int(early)))
    if said == "no mount namespaces\n":
        pytest.skip("this system refuses a mount namespace")
    assert said == f"7.0 15.0 (50000,) 300000 0 {int(not early)}\n"


@pytest.mark.skipif(not ROOT, reason="only root can change its root")
def test_in_another_root(tmp_path: Any) -> None:
    assert program("""
        t = in_arena(7)
        context = mp.get_context("fork")
        there, back = context.Queue(), context.Queue()
        there.put(t * 2)
        os.chroot(sys.argv[1])
        os.chdir("/")
        if os.fork() == 0:
            back.put((float(t.max()), there.get() + 1, guests()))
            mp.util._exit_function()
            os._exit(0)
        value, u, why = back.get()
        os.wait()
        print(value, float(u.max()), u.shape, why)
    """, str(tmp_path)) == (
        "7.0 15.0 (50000,) "
        "['there is no /proc of this process to open the shared memory by']\n"
    )  # fmt: skip


def test_descriptors_at_their_limit() -> None:
    assert program("""
        t = in_arena(7)
        context = mp.get_context("fork")
        there, back = context.SimpleQueue(), context.SimpleQueue()
        there.put(t * 2)
        def child():
            for _ in range(2):
                u = there.get()
                back.put([u + 1, b"x" * 300_000])
            back.put((float(t.max()), lib.mt_arena_member(), guests()))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        held = []
        try:
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        pid = os.fork()
        if pid == 0:
            child()
            os._exit(0)
        there.put(t * 3)
        for _ in range(2):
            u, text = back.get()
            print(float(u.max()), u.shape, len(text))
        print(back.get())
        os.waitpid(pid, 0)
    """) == (
        "15.0 (50000,) 300000\n22.0 (50000,) 300000\n"
        "(7.0, 0, ['no descriptor is left (ulimit -n)'])\n"
    )  # fmt: skip


def test_no_address_space_for_a_spawned_process(tmp_path: Any) -> None:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent("""
        import resource
        import numpy as np
        from minitensor import Tensor
        import minitensor.multiprocessing as mp
        from minitensor.backend.core import lib
        def child(there, back):
            t = there.get()
            back.put((float(t.max()), t * 2, lib.mt_arena_member()))
        if __name__ == "__main__":
            context = mp.get_context("spawn")
            there, back = context.SimpleQueue(), context.SimpleQueue()
            there.put(Tensor(np.full(100_000, 2.0)))
            import multiprocessing.popen_spawn_posix, multiprocessing.resource_tracker
            import multiprocessing.spawn, runpy
            resource.setrlimit(resource.RLIMIT_AS, (4 << 30, resource.RLIM_INFINITY))  # the child's
            process = context.Process(target=child, args=(there, back))
            process.start()
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            value, t, member = back.get()
            print(value, float(t.max()), t.shape, member)
            process.join()
    """))
    environment = own_family()
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=100, env=environment
    )
    assert done.stdout == "2.0 4.0 (100000,) 0\n", done.stderr


# --- death ----------------------------------------------------------------------------------------
def test_exec_is_a_death() -> None:
    held = in_arena(1)
    before = stats()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        in_arena(2).share_memory_()
        os.dup2(writer, 1)
        os.execv(
            sys.executable, [sys.executable, "-c", "import os; os.write(1, b'x'); os.read(0, 1)"]
        )
    os.close(writer)
    assert os.read(reader, 1) == b"x"  # the other program runs, with the same pid
    lib.mt_arena_reap()
    after = mp.sharing_stats()
    assert (after["processes"], after["blocks"]) == (before["processes"], before["blocks"])
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reader)
    del held


def test_the_first_process_is_missed_when_it_is_killed() -> None:
    """Kill the first process; its children live on."""
    assert program("""
        r, w = os.pipe()
        ready, go = os.pipe()
        if os.fork() == 0:
            held, queue = in_arena(7), mp.Queue()
            if os.fork() == 0:
                os.read(ready, 1)  # the first process is gone
                signal.alarm(60)  # a bound: the program's output is missing then
                while not lib.mt_arena_reap():
                    os.sched_yield()
                stats = mp.sharing_stats()
                del queue
                os.write(w, f"{stats['processes']} {float(held.max())}".encode())
                os._exit(0)
            os.kill(os.getpid(), signal.SIGKILL)
        os.wait()
        os.write(go, b"x")
        print(os.read(r, 100).decode())
    """) == "1 7.0\n"  # fmt: skip


@pytest.mark.parametrize("n", [63, 64, 150])
def test_a_family_grows(n: int) -> None:
    """A set of members grows by planes of 64: the last place, the second plane and the third."""
    t = in_arena(3)
    go, stop = os.pipe()
    answers, answer = os.pipe()
    children = []
    for _ in range(n):
        pid = os.fork()
        if pid == 0:
            os.close(stop)
            os.read(go, 1)
            text = f"{lib.mt_arena_member()}{int(float(t.max()))}"
            os.write(answer, text.encode())
            os._exit(0)
        children.append(pid)
    assert mp.sharing_stats()["processes"] >= n + 1
    del t
    gc.collect()
    other = in_arena(9)
    os.close(stop)
    os.close(go)
    os.close(answer)
    with open(answers) as file:
        assert file.read() == "13" * n
    for pid in children:
        os.waitpid(pid, 0)
    lib.mt_arena_reap()
    assert float(other.max()) == 9


# --- pages ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("refused", [0, 1, 3])
def test_each_way_to_take_pages(refused: int) -> None:
    lib.mt_arena_refuse_ways(refused)
    try:
        size = 3_000_000 + refused * 1_000_000  # of a class that is not kept
        t = pickle.loads(dumps(Tensor(np.arange(size, dtype=np.float32))))
        assert lib.mt_in_arena(t._ref) and float(t[-1]) == size - 1
    finally:
        lib.mt_arena_refuse_ways(0)


def test_no_way_to_take_pages_is_an_error_that_says_so() -> None:
    lib.mt_arena_refuse_ways(7)
    try:
        with pytest.raises(
            MemoryError,
            match=r"\[share_memory_\] the system has no \d+ bytes for the shared memory \(.*\); "
                  r"\d+ freed bytes",
        ):
            Tensor(np.ones(9_000_000, np.float32)).share_memory_()
    finally:
        lib.mt_arena_refuse_ways(0)


# --- threads --------------------------------------------------------------------------------------
def test_two_threads_that_send_a_tensor_for_the_first_time() -> None:
    """The one that is second must not give back the memory that the first is copying."""
    for _ in range(9):  # storages of this size are made in private memory again
        Tensor(np.full(3_000_000, 7, np.float32))
    t = Tensor(np.full(3_000_000, 7, np.float32))
    sent: list[bytes] = []
    threads = [threading.Thread(target=lambda: sent.append(bytes(dumps(t)))) for _ in range(2)]
    with races.held(lib.MT_POINT_MOVE) as mover:
        threads[0].start()
        mover.wait()
        threads[1].start()
        races.until(
            lambda: not threads[1].is_alive() or races.is_in(threads[1].ident, pickling._token)
        )
        # where it lay, if it was given back
        others = [Tensor(np.full(3_000_000, 9, np.float32)) for _ in range(3)]
        mover.go()
        for thread in threads:
            thread.join()
    assert [float(pickle.loads(data).min()) for data in sent] == [7, 7]
    assert all(float(other.max()) == 9 for other in others)
