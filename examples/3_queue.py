"""The parent computes and then forks; the child computes too, puts its tensor on a queue and exits at once. Nothing
hangs, although the parent's framework had threads, and nothing is lost, although the producer may be gone before
the read."""

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
