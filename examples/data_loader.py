"""Train on batches that two worker processes read, and go on in the middle of an epoch.

The workers assemble each batch in shared memory, and the parent computes with it: no byte is copied
on the way. The samples, their order and their noise depend on the seed alone.
"""

import numpy as np

import minitensor.dataset as ds
from minitensor import Tensor, ops

class Points:
    """Points of a plane, and their heights on it."""

    def __len__(self):
        return 64

    def __getitem__(self, index):
        x = np.array([index % 8, index // 8], np.float32) / 8
        return x, x @ np.array([2, -1], np.float32) + np.float32(0.5)

def with_noise(y):
    return y + np.float32(0.01) * np.float32(np.random.randn())

def train(batches, weights):
    for batch in batches:
        x = ops.cat([batch["x"], ops.ones((len(batch["x"]), 1))], 1)
        wrong = x @ weights - batch["y"]
        weights -= 0.5 * (x.T @ wrong) / len(wrong)

if __name__ == '__main__':
    ds.config.set_seed(1)
    data = ds.GeneratorDataset(Points(), ["x", "y"], num_parallel_workers=2)
    data = data.map(with_noise, "y").batch(8)
    batches = data.create_dict_iterator()
    weights = Tensor(np.zeros(3, np.float32))
    for _ in range(40):
        train(batches, weights)
    print("weights:", [round(float(w), 1) for w in weights])

    first = next(batches)["y"]
    state = batches.state_dict()
    batches.close()
    print("left after", state["position"], "batch of epoch", state["epoch"])

    rest = data.create_dict_iterator(num_epochs=state["epoch"] + 1)
    rest.load_state_dict(state)
    print("the rest of it:", sum(1 for batch in rest), "batches")
