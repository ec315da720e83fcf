"""Pipelines of data, read by worker processes: MindSpore's `mindspore.dataset`.

The modules are layers in this order: `config`, `samplers` and `randomness`; `collation` (rows to
tensors); `nodes` and `computing` (what to read, and how); `workers` (who reads); `iterators`;
`pipeline` and `sources`, the public classes.
"""

from __future__ import annotations

from . import config
from .computing import BatchInfo
from .errors import SampleError
from .iterators import DictIterator, TupleIterator
from .pipeline import Dataset, zip
from .randomness import sample_seed
from .samplers import (
    DistributedSampler,
    IterSampler,
    PKSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    SubsetSampler,
    WeightedRandomSampler,
)
from .sources import GeneratorDataset, NumpySlicesDataset

__all__ = [
    "BatchInfo", "Dataset", "DictIterator", "DistributedSampler", "GeneratorDataset", "IterSampler",
    "NumpySlicesDataset", "PKSampler", "RandomSampler", "SampleError", "Sampler",
    "SequentialSampler", "SubsetRandomSampler", "SubsetSampler", "TupleIterator",
    "WeightedRandomSampler", "config", "sample_seed", "zip",
]  # fmt: skip
