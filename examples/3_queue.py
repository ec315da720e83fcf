"""Compute in the parent, fork, compute in the child, and return the tensor through a queue.

The program does not hang, although the parent's framework had threads.  The tensor arrives,
although the child may end before the parent reads the queue.
"""

from minitensor import Tensor, ops
# Child process may be stuck when using 'import multiprocessing' .
import minitensor.multiprocessing as multiprocessing

def child_process(q):
    y = ops.log(Tensor(2.0))
    q.put(y)
    return

if __name__ == '__main__':
    multiprocessing.set_start_method("fork", force=True)
    print("parent process:ops.log(Tensor(2.0))=", ops.log(Tensor(2.0)))
    q = multiprocessing.Queue()
    p = multiprocessing.Process(target=child_process, args=(q,))
    p.start()
    print("child process:ops.log(Tensor(2.0))=", q.get())
    p.join()
