"""Values reach other processes by each way, under each start method, in any nesting."""

from concurrent.futures import ProcessPoolExecutor

import pytest
import targets
from targets import payload, plain

KINDS = pytest.mark.parametrize("kind", ["array", "tensor"])


@KINDS
@pytest.mark.parametrize("name", ["Queue", "SimpleQueue"])
def test_queue(ctx, run_process, name, kind):
    there, back = getattr(ctx, name)(), getattr(ctx, name)()
    run_process(targets.echo, there, back)
    there.put(payload(kind))
    assert plain(back.get()) == plain(payload(kind))


@KINDS
def test_joinable_queue(ctx, run_process, kind):
    there, back = ctx.JoinableQueue(), ctx.JoinableQueue()
    run_process(targets.echo_and_acknowledge, there, back)
    there.put(payload(kind))
    there.join()
    assert plain(back.get()) == plain(payload(kind))


@KINDS
def test_pipe(ctx, run_process, kind):
    ours, theirs = ctx.Pipe()
    run_process(targets.echo_connection, theirs)
    ours.send(payload(kind))
    assert plain(ours.recv()) == plain(payload(kind))


@KINDS
def test_process_arguments(ctx, run_process, kind):
    queue = ctx.Queue()
    run_process(targets.put_argument, queue, payload(kind))
    assert plain(queue.get()) == plain(payload(kind))


@KINDS
def test_pool(ctx, kind):
    sent = [payload(kind, seed) for seed in range(5)]
    with ctx.Pool(2) as pool:
        assert plain(pool.apply(targets.identity, (sent[0],))) == plain(sent[0])
        assert plain(pool.map(targets.identity, sent)) == plain(sent)
        assert plain(pool.starmap(targets.pair, [(sent[0], sent[1])])) == plain([sent[:2]])
        assert plain(list(pool.imap(targets.identity, sent))) == plain(sent)
        assert plain(pool.map_async(targets.identity, sent, chunksize=3).get()) == plain(sent)


@KINDS
def test_manager(ctx, run_process, kind):
    with ctx.Manager() as manager:
        items, table, queue, back = manager.list(), manager.dict(), manager.Queue(), manager.Queue()
        items.append(payload(kind))
        table["key"] = payload(kind, 7)
        echo = run_process(targets.echo, queue, back)
        queue.put(payload(kind, 8))
        assert plain(items[0]) == plain(payload(kind))
        assert plain(dict(table)) == plain({"key": payload(kind, 7)})
        assert plain(back.get()) == plain(payload(kind, 8))
        echo.join()  # it still waits for the manager's answer


@KINDS
def test_executor(ctx, kind):
    sent = [payload(kind, seed) for seed in range(3)]
    with ProcessPoolExecutor(2, mp_context=ctx) as executor:
        assert plain(list(executor.map(targets.identity, sent))) == plain(sent)
        assert plain(executor.submit(targets.pair, *sent[:2]).result()) == plain(sent[:2])


@KINDS
def test_a_producer_that_exits_at_once_loses_nothing(ctx, kind):
    queue = ctx.Queue()
    process = ctx.Process(target=targets.put_many, args=(queue, kind, 100))
    process.start()
    # a hundred of these fit into the pipe, so the producer is gone before the first is read
    process.join()
    assert [plain(queue.get()) for _ in range(100)] == [
        plain(targets.make(kind, seed)) for seed in range(100)
    ]


def test_a_producer_that_ends_waits_for_what_does_not_fit(ctx, run_process):
    queue = ctx.Queue()
    run_process(targets.put_large, queue, 10)
    assert [queue.get().mean() for _ in range(10)] == list(range(10))


def test_a_computed_tensor(ctx):
    from minitensor import Tensor, ops

    with ctx.Pool(1) as pool:
        assert f"{pool.apply(ops.log, (Tensor(2.0),)).asnumpy():.4f}" == "0.6931"
