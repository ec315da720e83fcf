"""Producers, forwarders and consumers of tensors, killed at random moments and at random steps of the protocol.

    python tests/multiprocessing/chaos.py [-n 2000] [--seed 1]

A tensor is acknowledged when its put has returned from a SimpleQueue, which waits for room.  The pipeline is two queues:
producers put into the first, forwarders take from it and
put into the second, consumers write down what they get.  Each process is killed, by a signal at a random moment or by itself at a
random step of the C code, and replaced, until so many have died.  Then no more are killed, and what was acknowledged must
arrive, but for the messages that a killed process had already taken: at most one for each death of a forwarder or consumer.
Every value must be whole.  In the end the books must be right, and memory and descriptors back to what they were.
Ends with 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import minitensor.multiprocessing as mp
from minitensor import Tensor
from minitensor.backend.native import ffi, lib

SIZES = (10, 5_000, 30_000, 200_000)  # float32: inside the message, and blocks of several classes


def value(number: int) -> Tensor:
    return Tensor(np.full(SIZES[number % len(SIZES)], number, np.float32))


def is_whole(number: int, t: Tensor) -> bool:
    return t.shape == (SIZES[number % len(SIZES)],) and bool((t.asnumpy() == number).all())


def prepare(seed: int) -> None:
    """A process that may be killed at any step; some kill themselves at one."""
    dice = random.Random(seed)
    if dice.random() < 0.7:
        lib.mt_arena_signal_after(dice.randrange(1, 300), signal.SIGKILL)


def produce(first: Any, log: int, begin: int, seed: int) -> None:
    prepare(seed)
    kept = []
    for number in range(begin, begin + 1000):
        t = value(number)
        first.put((number, t))
        os.write(log, f"p {number}\n".encode())  # acknowledged
        t += 1  # has a copy of its own by now
        kept = [*kept[-3:], t]


def forward(first: Any, second: Any, log: int, seed: int) -> None:
    prepare(seed)
    while True:
        number, t = first.get()
        if number < 0:
            return
        second.put((number, t))
        while second._buffer:  # no room: what its thread still has to write would die with this process
            time.sleep(0.0005)  # nothing tells when the queue's thread is done


def consume(second: Any, log: int, seed: int) -> None:
    prepare(seed)
    held: list[Tensor] = []
    while True:
        number, t = second.get()
        if number < 0:
            return
        os.write(log, f"{'c' if is_whole(number, t) else 'BROKEN'} {number}\n".encode())
        held = [*held[-2:], t]


def main(kills: int, seed: int) -> int:
    faulthandler.enable()
    context, dice = mp.get_context("fork"), random.Random(seed)
    mp.sharing_stats()
    warm = context.Queue()
    del warm
    gc.collect()
    descriptors = len(os.listdir("/proc/self/fd"))
    first, second = context.SimpleQueue(), context.Queue()
    reader, log = os.pipe()
    os.set_blocking(reader, False)
    began, dead, next_number, lost_at_most = time.monotonic(), 0, 0, 0
    text = b""
    running: list[tuple[str, Any]] = []

    def start(role: str) -> None:
        nonlocal next_number
        arguments = {"produce": (first, log, next_number), "forward": (first, second, log), "consume": (second, log)}[role]
        if role == "produce":
            next_number += 1000
        process = context.Process(target=globals()[role], args=(*arguments, dice.randrange(1 << 30)))
        process.start()
        running.append((role, process))

    def read_log() -> None:
        nonlocal text
        while True:
            try:
                chunk = os.read(reader, 1 << 16)
            except BlockingIOError:
                return
            text += chunk

    roles = ["produce", "produce", "forward", "forward", "consume", "consume"]
    for role in roles:
        start(role)
    while dead < kills:
        faulthandler.dump_traceback_later(120, exit=True)
        read_log()
        if dice.random() < 0.3:
            role, process = dice.choice(running)
            process.kill()
        time.sleep(dice.random() * 0.003)  # any moment will do
        for entry in [entry for entry in running if not entry[1].is_alive()]:
            role, process = entry
            process.join()
            dead += process.exitcode == -signal.SIGKILL
            lost_at_most += role != "produce" and process.exitcode == -signal.SIGKILL
            if process.exitcode not in (0, -signal.SIGKILL):
                print(f"{role} ended by {process.exitcode}")
                return 1
            running.remove(entry)
            start(role)
        if dice.random() < 0.05:
            lib.mt_arena_reap()
    for _, process in running:
        process.kill()
        process.join()
        lost_at_most += 1
    # What is still in the queues: nobody dies any more.
    arrived_here = []
    for queue in (first, second):
        while True:
            faulthandler.dump_traceback_later(60, exit=True)
            if queue.empty():
                break
            number, t = queue.get()
            arrived_here.append(number)
            if not is_whole(number, t):
                print(f"broken: {number}")
                return 1
            del t
    faulthandler.cancel_dump_traceback_later()
    read_log()
    lines = [line.split() for line in text.decode().splitlines()]
    acknowledged = {int(number) for kind, number in lines if kind == "p"}
    arrived = {int(number) for kind, number in lines if kind == "c"} | set(arrived_here)
    broken = [number for kind, number in lines if kind == "BROKEN"]
    missing = acknowledged - arrived
    twice = sum(kind == "c" for kind, _ in lines) + len(arrived_here) - len(arrived)
    first = second = queue = process = None
    entry = None
    running.clear()
    gc.collect()
    for _ in range(2):
        lib.mt_arena_reap()
    note = ffi.new("char[4096]")
    faults = lib.mt_arena_check(note, 4096)
    os.close(reader)
    os.close(log)
    numbers = mp.sharing_stats()
    left = {name: numbers[name] for name in ("blocks", "in_flight", "channels")}
    more = len(os.listdir("/proc/self/fd")) - descriptors
    print(f"{dead} killed, seed {seed}, in {time.monotonic() - began:.0f} s: {len(acknowledged)} acknowledged, {len(missing)} went with a killed "
          f"process that had taken them (at most {lost_at_most}), {len(broken)} broken, {twice} twice, {faults} faults in the books, "
          f"left {left}, {numbers['processes'] - 1} processes and {more} descriptors more than at the start; {numbers['reaped']} reaped")  # fmt: skip
    if faults:
        print(ffi.string(note).decode())
    return int(bool(broken or twice or faults or any(left.values()) or more > 0 or numbers["processes"] != 1 or len(missing) > lost_at_most))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("-n", type=int, default=2000, help="how many processes have to die")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.exit(main(arguments.n, arguments.seed))
