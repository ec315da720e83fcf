"""Send tensors to a pool of two processes as arguments, and receive tensors as results.

A pool treats tensors like any other Python object.
"""

from minitensor import Tensor, ops
import minitensor.multiprocessing as multiprocessing

def child_process(x):
    return ops.log(x)

if __name__ == '__main__':
    with multiprocessing.Pool(processes=2) as pool:
        inputs = [Tensor(2.0), Tensor(2.0)]
        outputs = pool.map(child_process, inputs)
        print("ops.log(Tensor(2.0))=", outputs)
