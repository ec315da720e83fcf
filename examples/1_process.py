"""Compute in a child process.

The parent has imported the framework and may have used it.  The forked child inherits the framework
in working order and prints the value.
"""

from minitensor import Tensor, ops
import minitensor.multiprocessing as multiprocessing

def child_process():
    y = ops.log(Tensor(2.0))
    print("ops.log(Tensor(2.0))=", y)

if __name__ == '__main__':
    p = multiprocessing.Process(target=child_process)
    p.start()
    p.join()
