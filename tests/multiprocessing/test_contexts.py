"""Start methods, contexts and the processes they make."""

import multiprocessing
import multiprocessing.process
import os
import pickle

import pytest
import targets

import minitensor.multiprocessing as mp


@pytest.fixture
def restored_start_method():
    before = multiprocessing.get_start_method(allow_none=True)
    yield
    multiprocessing.set_start_method(before, force=True)


def test_process_is_a_process(ctx):
    process = ctx.Process(target=os.getpid)
    for kind in (multiprocessing.Process, mp.Process, multiprocessing.process.BaseProcess):
        assert isinstance(process, kind)
    assert isinstance(process, getattr(multiprocessing.context, type(process).__name__))
    assert type(process).__module__ == "minitensor.multiprocessing.context"
    assert isinstance(mp.Process(), multiprocessing.Process)


def test_contexts_are_ours_and_standard(ctx):
    method = ctx.get_start_method()
    assert ctx is mp.get_context(method) is mp.get_context().get_context(method)
    assert isinstance(ctx, type(multiprocessing.get_context(method)))
    assert type(pickle.loads(pickle.dumps(ctx))) is type(ctx)
    with pytest.raises(ValueError, match="concrete context"):
        ctx.set_start_method(method)


def test_unknown_method():
    with pytest.raises(
        ValueError, match=r"\[get_context\] cannot find context for 'thread'.*spawn"
    ):
        mp.get_context("thread")
    with pytest.raises(ValueError, match="cannot find context"):
        mp.set_start_method("thread", force=True)


@pytest.mark.usefixtures("restored_start_method")
def test_one_start_method_for_both_packages(ctx):
    method = ctx.get_start_method()
    mp.set_start_method(method, force=True)
    assert multiprocessing.get_start_method() == mp.get_start_method() == method
    assert mp.get_context() is ctx
    assert multiprocessing.get_context() is not ctx
    with pytest.raises(RuntimeError, match="already been set"):
        mp.set_start_method(method)
    mp.set_start_method(None, force=True)
    assert (
        multiprocessing.get_start_method(allow_none=True)
        is mp.get_start_method(allow_none=True)
        is None
    )
    multiprocessing.set_start_method(method, force=True)
    assert mp.get_context() is ctx


@pytest.mark.usefixtures("restored_start_method")
def test_default_is_the_standard_default():
    multiprocessing.set_start_method(None, force=True)
    ours = mp.get_start_method()
    multiprocessing.set_start_method(None, force=True)
    assert ours == multiprocessing.get_start_method()
    assert mp.get_all_start_methods() == multiprocessing.get_all_start_methods()


def test_children_know_the_start_method(ctx, run_process):
    queue = ctx.Queue()
    run_process(targets.put_start_methods, queue)
    method = ctx.get_start_method()
    assert queue.get() == (method, method, "minitensor.multiprocessing.context")


@pytest.mark.usefixtures("restored_start_method")
def test_children_of_the_default_process(ctx):
    mp.set_start_method(ctx.get_start_method(), force=True)
    queue = mp.Queue()
    process = mp.Process(target=targets.put_start_methods, args=(queue,))
    process.start()
    assert queue.get()[:2] == (ctx.get_start_method(),) * 2
    process.join()


def test_family(ctx, run_process):
    queue, seen = ctx.Queue(), ctx.Event()
    process = run_process(targets.put_family, queue, seen)
    assert process in mp.active_children() == multiprocessing.active_children()
    seen.set()
    assert queue.get() == (True, os.getpid(), bytes(mp.current_process().authkey))


def test_a_child_has_working_defaults(ctx, run_process):
    queue = ctx.Queue()
    run_process(targets.nested_pool, queue)
    assert queue.get() == 42


def test_synchronisation_and_shared_values(ctx, run_process):
    event, value, array = ctx.Event(), ctx.Value("i", 1), ctx.Array("d", [1.0, 2.0])
    run_process(event.set)
    assert event.wait(60)
    with value.get_lock(), ctx.Lock(), ctx.RLock(), ctx.Semaphore(), ctx.Condition():
        assert (value.value, array[:]) == (1, [1.0, 2.0])


def test_pool_takes_our_default_context():
    from minitensor.multiprocessing.pool import Pool

    with Pool(1) as pool:
        assert type(pool._ctx).__module__ == "minitensor.multiprocessing.context"
        assert isinstance(pool, multiprocessing.pool.Pool)
        assert pool.apply(targets.identity, (1,)) == 1
