"""What pipelines read, beside plain Python."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
import samples
from hypothesis import given, settings
from hypothesis import strategies as st

import minitensor
import minitensor.dataset as ds
from minitensor import Tensor


def values(rows: Any) -> list[Any]:
    """Rows as nested lists."""
    return [[np.asarray(value).tolist() for value in row] for row in rows]


def numbers(count: int, **keywords: Any) -> ds.GeneratorDataset:
    keywords.setdefault("shuffle", False)
    return ds.GeneratorDataset(samples.Numbers(count), ["n", "x"], **keywords)


# --- compositions: each operation with the same on lists of rows ----------------------------------
def batched(rows: list[Any], size: int, drop: bool) -> list[Any]:
    groups = [rows[i : i + size] for i in range(0, len(rows), size)]
    if drop and groups and len(groups[-1]) < size:
        groups.pop()
    return [[list(column) for column in zip(*group)] for group in groups]


def mapped(rows: list[Any]) -> list[Any]:
    return [[(np.array(n) * 2).tolist(), x] for n, x in rows]


OPERATIONS: dict[str, tuple[Any, Any]] = {
    "map": (lambda d, k: d.map(samples.double, "n"), lambda rows, k: mapped(rows)),
    "batch": (lambda d, k: d.batch(k + 1), lambda rows, k: batched(rows, k + 1, False)),
    "drop": (lambda d, k: d.batch(k + 2, True), lambda rows, k: batched(rows, k + 2, True)),
    "repeat": (lambda d, k: d.repeat(k + 1), lambda rows, k: rows * (k + 1)),
    "skip": (lambda d, k: d.skip(k), lambda rows, k: rows[k:]),
    "take": (lambda d, k: d.take(k + 1), lambda rows, k: rows[: k + 1]),
    "concat": (lambda d, k: d + d, lambda rows, k: rows + rows),
    "zip": (
        lambda d, k: d.zip(d.skip(k).rename(["n", "x"], ["m", "y"])).project(["m", "x"])
        .rename("m", "n"),
        lambda rows, k: [[a[0], b[1]] for a, b in zip(rows[k:], rows)],
    ),
    "filter": (
        lambda d, k: d.filter(lambda n: np.asarray(n).sum() % 3 != k, "n"),
        lambda rows, k: [row for row in rows if np.sum(row[0]) % 3 != k],
    ),
}  # fmt: skip


@settings(max_examples=30)
@given(
    st.integers(0, 9),
    st.lists(st.tuples(st.sampled_from(sorted(OPERATIONS)), st.integers(0, 3)), max_size=4),
    st.booleans(),
)
def test_compositions(count: int, chain: list[tuple[str, int]], processes: bool) -> None:
    dataset: ds.Dataset = numbers(count, num_parallel_workers=2 if processes else 1)
    wanted: list[Any] = [[i, [float(i)] * 3] for i in range(count)]
    ragged = False
    for name, k in chain:
        if name in ("batch", "drop") and ragged:
            continue  # batches of different length have no common shape
        dataset, wanted = OPERATIONS[name][0](dataset, k), OPERATIONS[name][1](wanted, k)
        ragged = ragged or name in ("batch", "drop")
    with dataset.create_tuple_iterator(num_epochs=2) as rows:
        assert values(rows) == wanted
        assert values(rows) == wanted
    assert dataset.get_dataset_size() == len(wanted)
    assert dataset.get_col_names() == ["n", "x"]


# --- single operations ----------------------------------------------------------------------------
def test_rows_are_tensors_or_arrays() -> None:
    (row,) = numbers(1).create_dict_iterator(num_epochs=1)
    assert isinstance(row["n"], Tensor) and row["x"].dtype == minitensor.float32
    (arrays,) = numbers(1).create_dict_iterator(num_epochs=1, output_numpy=True)
    assert type(arrays["x"]) is np.ndarray and arrays["n"].dtype == np.int64


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("width", [1, 4096, 4097, 100_000])  # in the message, and in shared memory
def test_batches_of_each_size(workers: int, width: int) -> None:
    dataset = ds.GeneratorDataset(
        samples.Numbers(5, width), ["n", "x"], shuffle=False, num_parallel_workers=workers
    ).batch(2)
    for numpy, copy in itertools.product([False, True], [False, True]):
        rows = [*dataset.create_tuple_iterator(num_epochs=1, output_numpy=numpy, do_copy=copy)]
        for i, (n, x) in enumerate(rows):
            wanted = np.repeat(np.arange(5)[2 * i : 2 * i + 2, None], width, 1)
            np.testing.assert_array_equal(np.asarray(x), wanted.astype(np.float32))
            assert np.asarray(n).tolist() == [*range(5)][2 * i : 2 * i + 2]
            if copy and numpy:
                x[:] = 0  # one's own


def test_map_takes_and_gives_columns() -> None:
    dataset = numbers(2)

    def columns(**keywords: Any) -> Any:
        mapped = dataset.map(**keywords)
        return mapped.get_col_names(), values(mapped)[1]

    assert columns(operations=samples.negate) == (["n", "x"], [-1, [1.0] * 3])
    both = columns(operations=lambda n, x: (x, n), output_columns=["a", "b"])
    assert both == (["a", "b"], [[1.0] * 3, 1])
    one = columns(operations=lambda n, x: n + x, input_columns=["n", "x"], output_columns="s")
    assert one == (["s"], [[2.0] * 3])
    more = columns(operations=lambda x: (x, x[0]), input_columns="x", output_columns=["y", "z"])
    assert more == (["y", "z", "n"], [[1.0] * 3, 1.0, 1])
    chain = columns(operations=[samples.double, samples.negate, np.abs], input_columns="n")
    assert chain == (["n", "x"], [2, [1.0] * 3])


def test_per_batch_map_and_sizes_by_function() -> None:
    dataset = numbers(5).batch(2, per_batch_map=samples.count_rows)
    rows = dataset.create_tuple_iterator(num_epochs=2)
    assert [n for n, _ in values(rows)] == [[0, 1], [3, 4], [6]]
    assert [x[0][0] for _, x in values(rows)] == [1.0, 3.0, 5.0]
    growing = numbers(6).batch(lambda info: info.get_batch_num() + 1)
    assert [n for n, _ in values(growing)] == [[0], [1, 2], [3, 4, 5]]
    assert (growing.get_batch_size(), growing.get_dataset_size()) == (-1, 3)


def test_columns_that_no_tensor_holds() -> None:
    for workers in (1, 2):
        data = ds.NumpySlicesDataset(
            (["ab", "c"], [1, 2]), shuffle=False, num_parallel_workers=workers
        )
        ((text, number),) = data.batch(2)
        assert text.tolist() == ["ab", "c"] and isinstance(number, Tensor)
        assert data.output_types()[0].kind == "U"
    ((row,),) = ds.GeneratorDataset([{"a": 1}], "d", shuffle=False)
    assert row == {"a": 1}


@pytest.mark.parametrize("workers", [1, 2])
def test_sources_that_are_iterated(workers: int) -> None:
    def generate() -> Any:
        for i in range(5):
            yield i, [float(i)]

    for source in (generate, [(i, [float(i)]) for i in range(5)].__iter__):
        data = ds.GeneratorDataset(source, ["n", "x"], num_parallel_workers=workers)
        batches = data.map(samples.double, "n").batch(2)
        with batches.create_tuple_iterator(num_epochs=2) as rows:
            for _ in range(2 if source is generate else 1):
                assert [n for n, _ in values(rows)] == [[0, 2], [4, 6], [8]]
        assert data.get_dataset_size() in (5, 0)


def test_shapes_types_and_counts() -> None:
    data = numbers(7).batch(2).repeat(3)
    assert data.output_shapes() == [[2], [2, 3]]
    assert data.output_types() == [minitensor.int64, minitensor.float32]
    assert (data.get_batch_size(), data.get_repeat_count(), data.get_dataset_size()) == (2, 3, 12)
    endless = numbers(2).repeat()
    assert (endless.get_dataset_size(), endless.take(5).get_dataset_size()) == (-1, 5)
    assert [n for n, _ in values(endless.take(5))] == [0, 1, 0, 1, 0]
    assert numbers(0).repeat().get_dataset_size() == 0 and values(numbers(0).repeat()) == []


def test_schema(tmp_path: Any) -> None:
    schema = {"columns": {"n": {"type": "int64"}, "x": {"type": "float32"}}}
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(schema))
    for given_as in (schema, path, str(path)):
        data = ds.GeneratorDataset(samples.Numbers(1), schema=given_as)
        assert values(data) == [[0, [0.0] * 3]]


# --- samplers -------------------------------------------------------------------------------------
def chosen(sampler: Any, count: int = 6) -> list[int]:
    data = numbers(count, sampler=sampler, shuffle=None)
    found = [n for n, _ in values(data)]
    assert data.get_dataset_size() == len(found)
    return found


def test_samplers() -> None:
    assert chosen(ds.SequentialSampler(2, 3)) == [2, 3, 4]
    assert chosen([5, 1]) == chosen(ds.IterSampler(iter([5, 1]).__reduce__()[1][0])) == [5, 1]
    assert chosen(ds.SubsetSampler([4, 4, 0], 2)) == [4, 4]
    assert sorted(chosen(ds.SubsetRandomSampler([4, 2]))) == [2, 4]
    assert sorted(chosen(ds.RandomSampler())) == [0, 1, 2, 3, 4, 5]
    assert len(set(chosen(ds.RandomSampler(num_samples=4)))) == 4
    assert len(chosen(ds.RandomSampler(replacement=True, num_samples=9))) == 9
    assert set(chosen(ds.WeightedRandomSampler([0, 1, 0, 2], 20))) == {1, 3}
    assert sorted(chosen(ds.WeightedRandomSampler([0, 1, 0, 2], 2, False))) == [1, 3]
    assert chosen(ds.PKSampler(2, [0, 1, 0, 1, 1, 2])) == [0, 2, 1, 3]
    assert len(chosen(ds.PKSampler(1, [0, 1, 0, 1, 1, 2], num_class=2, shuffle=True))) == 2
    outer = ds.SubsetSampler([1, 0])
    outer.add_child(ds.SequentialSampler(3))
    assert chosen(outer) == [4, 3]


@given(st.integers(1, 5), st.integers(1, 11), st.booleans())
def test_shards_share_the_samples(shards: int, count: int, shuffle: bool) -> None:
    # without a seed of the program's: its processes would draw different ones
    parts = [
        chosen(ds.DistributedSampler(shards, shard, shuffle), count) for shard in range(shards)
    ]
    assert len({len(part) for part in parts}) == 1
    assert set(itertools.chain(*parts)) == set(range(count))
    if count % shards == 0:
        assert sorted(itertools.chain(*parts)) == [*range(count)]


# --- random order ---------------------------------------------------------------------------------
@given(st.integers(0, 20), st.integers(2, 25))
def test_shuffle_mixes_within_its_buffer(count: int, buffer: int) -> None:
    order = [n for n, _ in values(numbers(count).shuffle(buffer))]
    assert sorted(order) == [*range(count)]
    assert all(place >= n - buffer + 1 for place, n in enumerate(order))


def test_seeds_decide_the_order() -> None:
    def orders(seed: int | None, **keywords: Any) -> Any:
        ds.config._seed = seed
        with (
            numbers(30, shuffle=None, **keywords)
            .shuffle(7)
            .batch(4)
            .repeat(2)
            .create_tuple_iterator(num_epochs=2) as rows
        ):
            return [values(rows), values(rows)]

    first, second = orders(1)
    assert first != second and first[:8] != first[8:]
    assert [first, second] == orders(1) == orders(1, num_parallel_workers=3)
    assert orders(2) != [first, second] != orders(None)
    assert orders(None) != orders(None)


@pytest.mark.parametrize("source", [samples.Draws, samples.Seeded])
@pytest.mark.parametrize("batch", [0, 4])
def test_samples_draw_the_same_for_any_number_of_workers(source: Any, batch: int) -> None:
    def drawn(workers: int) -> Any:
        ds.config.set_seed(11)
        data: ds.Dataset = ds.GeneratorDataset(
            source(13), ["x"], shuffle=False, num_parallel_workers=workers
        )
        data = data.map(lambda x: (x, np.random.rand()), output_columns=["x", "r"])
        if batch:
            data = data.batch(batch)
        with data.create_tuple_iterator(num_epochs=2) as rows:
            return [values(rows), values(rows)]

    state = np.random.get_state(), samples.random.getstate(), samples.ops.get_rng_state()
    alone = drawn(1)
    after = np.random.get_state(), samples.random.getstate(), samples.ops.get_rng_state()
    assert repr(after) == repr(state)  # the program's own numbers go on as if nothing were read
    assert alone == drawn(2) == drawn(3)
    flat = np.concatenate([np.ravel(r) for epoch in alone for _, r in epoch])
    assert len({*flat.tolist()}) == 26  # no two samples draw the same


# --- state ----------------------------------------------------------------------------------------
@settings(max_examples=12)
@given(st.integers(0, 13), st.sampled_from([1, 2]), st.sampled_from([1, 2]), st.booleans())
def test_an_iterator_goes_on_where_another_was(
    done: int, before: int, after: int, filtered: bool
) -> None:
    def rows(workers: int) -> ds.TupleIterator:
        data: ds.Dataset = numbers(20, shuffle=None, num_parallel_workers=workers)
        if filtered:
            data = data.filter(samples.is_even)
        return data.shuffle(5).batch(3).create_tuple_iterator(num_epochs=2)

    def following(it: ds.TupleIterator) -> Any:
        return [values(it), values(it), it.state_dict()]

    with rows(before) as first:
        for _ in range(done):
            next(first, None)
        state = json.loads(json.dumps(first.state_dict()))
        wanted = following(first)
    with rows(after) as second:
        second.load_state_dict(state)
        assert following(second) == wanted


# --- progress -------------------------------------------------------------------------------------
def test_progress(capsys: Any, monkeypatch: Any) -> None:
    seen: list[Any] = []
    list(
        numbers(3).batch(2).create_tuple_iterator(num_epochs=1, progress=lambda *n: seen.append(n))
    )
    assert seen == [(1, 2), (2, 2)]
    monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", None)
    list(numbers(3).filter(samples.is_even).create_tuple_iterator(num_epochs=1, progress=True))
    list(numbers(3).create_tuple_iterator(num_epochs=1, progress=True))
    assert capsys.readouterr().err.endswith("3 of 3\n")


# --- arguments ------------------------------------------------------------------------------------
WRONG = [
    (lambda d: d.batch(0), ValueError, "batch_size must be at least 1"),
    (lambda d: d.batch(2.0), TypeError, "batch_size must be an int"),
    (lambda d: d.batch(2, input_columns="n"), ValueError, "must come with per_batch_map"),
    (lambda d: d.map(3), TypeError, "an operation must be callable"),
    (lambda d: d.map([]), ValueError, "at least one function"),
    (lambda d: d.map(abs, "q"), ValueError, "must be one of n, x, got 'q'"),
    (lambda d: d.map(abs, "n", num_parallel_workers=0), ValueError, "num_parallel_workers"),
    (lambda d: d.shuffle(1), ValueError, "buffer_size must be at least 2"),
    (lambda d: d.repeat(0), ValueError, "count must be positive or -1"),
    (lambda d: d.take(0), ValueError, "count must be positive or -1"),
    (lambda d: d.skip(-1), ValueError, "count must be at least 0"),
    (lambda d: d.rename("n", ["a", "b"]), ValueError, "a name for each of 1"),
    (lambda d: d.rename("n", "x"), ValueError, "must stand once"),
    (lambda d: d.zip(d), ValueError, "must stand once"),
    (lambda d: d.zip(3), TypeError, "must be datasets"),
    (lambda d: ds.zip(()), ValueError, "at least one dataset"),
    (lambda d: d + d.project("n"), ValueError, "the same columns"),
    (lambda d: d.filter(None), TypeError, "predicate must be callable"),
    (lambda d: d.create_tuple_iterator(num_epochs=0), ValueError, "num_epochs must be positive"),
    (lambda d: d.create_tuple_iterator(progress=2), TypeError, "progress must be"),
    (lambda d: d.create_tuple_iterator().load_state_dict({}), ValueError, "state must be a dict"),
    (lambda d: ds.config.set_seed(-1), ValueError, "seed must be at least 0"),
    (lambda d: ds.config.set_prefetch_size(0), ValueError, "size must be at least 1"),
    (lambda d: ds.sample_seed(), RuntimeError, "a sample must be being read"),
    (lambda d: ds.GeneratorDataset(3, ["a"]), TypeError, "source must have"),
    (lambda d: ds.GeneratorDataset([1]), ValueError, "column_names or schema"),
    (lambda d: ds.GeneratorDataset([1], []), TypeError, "must be names"),
    (lambda d: ds.GeneratorDataset([1], "a", ["int8", "int8"]), ValueError, "a dtype for each"),
    (lambda d: ds.GeneratorDataset([1], "a", num_shards=2), ValueError, "given together"),
    (lambda d: ds.GeneratorDataset([1], "a", shuffle=True, sampler=[0]), ValueError, "alone"),
    (lambda d: ds.GeneratorDataset(iter([]), "a", shuffle=True), ValueError, "__getitem__"),
    (lambda d: ds.GeneratorDataset([1], "a", schema={}), ValueError, "must stand alone"),
    (lambda d: ds.GeneratorDataset([1], schema={}), ValueError, "must have the form"),
    (lambda d: ds.NumpySlicesDataset(([1], [1, 2])), ValueError, "one length"),
    (lambda d: ds.NumpySlicesDataset(3), ValueError, "one length"),
    (lambda d: ds.NumpySlicesDataset([1], ["a", "b"]), ValueError, "a name for each of 1"),
    (lambda d: ds.DistributedSampler(2, 2), ValueError, "below num_shards"),
    (lambda d: ds.WeightedRandomSampler([0.0]), ValueError, "one of them positive"),
    (lambda d: ds.WeightedRandomSampler([0, 1], 2, False), ValueError, "draw with replacement"),
    (lambda d: ds.RandomSampler(num_samples=0), ValueError, "at least 1 or None"),
    (lambda d: ds.IterSampler(3), TypeError, "must be iterable"),
    (lambda d: list(ds.NumpySlicesDataset([1], sampler=[5])), ds.SampleError, "sample 5 of Slices"),
    (lambda d: list(numbers(2, sampler=ds.SubsetSampler([5]), shuffle=None)), IndexError, "below"),
    (lambda d: numbers(0).output_shapes(), RuntimeError, "must have a row"),
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=[text for _, _, text in WRONG])
def test_wrong_arguments(wrong: Any) -> None:
    call, kind, text = wrong
    with pytest.raises(kind, match=r"^\[\w+\] .*" + text.replace("(", r"\(")):
        call(numbers(3))
