"""A model of the arena's protocol (`backend/native/arena.c`), small enough to look at every interleaving.

    python tests/multiprocessing/arena_model.py

One block, two tokens, and processes that each run a short program of the protocol's operations.  An operation is a list of atomic steps, those
between the calls of `step()` in C: a load, a set or cleared bit, a compare-and-swap.  The set of holders is several words in C, so it is read
in two steps here, first the even processes and then the odd ones.  Any process may be killed before any of its steps.
A reaper buries the dead, by the same steps as in C, and may be killed, too; then another one follows.

In every state that can be reached holds
  * who holds the block has it: it is LIVE, in the generation that he got, with the value that was sent or that he has written himself;
  * a token in flight refers to a LIVE block;
and when nobody can go on (all programs are over, all dead are buried) the books are right: the count is the number of tokens (it may be more while
somebody holds the block, until the next recount after he has let go), and the block is free exactly when nobody holds it and no token flies.

MUTATIONS are ways to get it wrong.  Each must break something, or the model would prove nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

FREE, OWNED, LIVE = "free", "owned", "live"


class Word(NamedTuple):
    state: str = FREE
    owner: int = -1
    count: int = 0
    gen: int = 0
    seq: int = 0


class Process(NamedTuple):
    program: tuple[str, ...]  # what is still to do
    pc: int = 0  # the step inside the first of these
    regs: tuple[object, ...] = ()  # what it has looked at
    holds: int = 0
    gen: int = -1  # of the block that it holds
    value: int = -1  # that it has to find there
    dead: bool = False


class State(NamedTuple):
    block: Word
    holders: frozenset[int]
    value: int  # of the block's bytes: each write makes another one
    tokens: tuple[Word, ...]
    mark: int  # no token from here on was ever used
    mail: tuple[tuple[int, int, int, int], ...]  # messages: token, its generation, the block's, the value
    processes: tuple[Process, ...]
    buried: frozenset[int]


class Model:
    def __init__(self, *programs: str, deaths: int = 1, mutation: str = "") -> None:
        self.start = State(Word(), frozenset(), 0, (Word(), Word()), 0, (), tuple(Process(tuple(p.split())) for p in programs), frozenset())
        self.deaths, self.mutation = deaths, mutation

    # --- words -------------------------------------------------------------------------------------------------------
    def change(self, now: Word, expected: Word, **to: object) -> Word | None:
        """A compare-and-swap: the new word, or None."""
        seq = expected.seq + (self.mutation != "the word has no seq")
        return expected._replace(seq=seq, **to) if now == expected else None  # type: ignore[arg-type]

    # --- one step of one process -------------------------------------------------------------------------------------
    def step(self, s: State, i: int) -> Iterator[State]:
        p = s.processes[i]
        if p.dead or not p.program:
            return
        yield from getattr(self, p.program[0])(s, i, p)

    def go(self, s: State, i: int, pc: int, *regs: object, **to: object) -> State:
        """`s` with process i at step pc of its operation (-1: the operation is over)."""
        p = s.processes[i]
        more = {name: to.pop(name) for name in ("holds", "gen") if name in to} | ({"value": to.pop("sees")} if "sees" in to else {})
        p = p._replace(pc=max(pc, 0), regs=regs, program=p.program[pc < 0 :], **more)  # type: ignore[arg-type]
        return s._replace(processes=(*s.processes[:i], p, *s.processes[i + 1 :]), **to)  # type: ignore[arg-type]

    def alloc(self, s: State, i: int, p: Process) -> Iterator[State]:
        if p.pc == 0:
            if s.block.state == FREE:
                yield self.go(s, i, 1, block=self.change(s.block, s.block, state=OWNED, owner=i))
        elif p.pc == 1:
            yield self.go(s, i, 2, holders=s.holders | {i})
        else:
            word = self.change(s.block, s.block, state=LIVE, owner=-1)
            yield self.go(s, i, -1, block=word, holds=1, gen=s.block.gen, value=s.value + 1, sees=s.value + 1)

    def send(self, s: State, i: int, p: Process) -> Iterator[State]:
        if not p.holds:
            yield self.go(s, i, -1)
            return
        early = self.mutation == "a token flies before it is counted"
        if p.pc == 0:
            for t, word in enumerate(s.tokens):
                if word.state == FREE:
                    new = self.change(word, word, state=OWNED, owner=i, gen=word.gen + 1)
                    yield self.go(s, i, 1, t, tokens=put(s.tokens, t, new), mark=max(s.mark, t + 1))
                    break
            return
        t: int = p.regs[0]  # type: ignore[assignment]
        if p.pc == (2 if early else 1):
            yield self.go(s, i, 3 if early else 2, t, block=self.change(s.block, s.block, count=s.block.count + 1))
        elif p.pc == (1 if early else 2):
            yield self.go(s, i, 2 if early else 3, t, tokens=put(s.tokens, t, self.change(s.tokens[t], s.tokens[t], state=LIVE, owner=-1)))
        else:
            yield self.go(s, i, -1, mail=(*s.mail, (t, s.tokens[t].gen, p.gen, p.value)))

    def peek(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Claims a message that will be claimed again: its bytes are kept."""
        return self.claim(s, i, p)

    def claim(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Takes a message and makes its reference one of ours."""
        if p.pc == 0:
            if s.mail:
                yield self.go(s, i, 1, *s.mail[0], mail=s.mail if p.program[0] == "peek" else s.mail[1:])
            return
        if p.pc >= 10:
            yield from self.maybe_free(s, i, p)
            return
        t, gen_t, gen_b, value = p.regs  # type: ignore[misc]
        late = self.mutation == "a claim sets its bit after the token has landed"
        if p.pc == 1:
            yield self.go(s, i, 2, *p.regs, holders=s.holders | (set() if late else {i}))
        elif p.pc == 2:
            word = s.tokens[t]
            if word.state == LIVE and word.gen == gen_t:
                yield self.go(s, i, 3, *p.regs, tokens=put(s.tokens, t, self.change(word, word, state=FREE)))
            elif s.block.state == LIVE and s.block.gen == gen_b:  # claimed or swept already; the value still lives
                word = s.block if self.mutation == "a second claim does not step the word" else self.change(s.block, s.block)
                yield self.go(s, i, -1, block=word, holds=p.holds + 1, gen=gen_b, sees=value)
            else:
                yield self.go(s, i, 5, *p.regs) if not p.holds else self.go(s, i, -1)
        elif p.pc == 3:
            yield self.go(s, i, 4, *p.regs, block=self.count_down(s.block))
        elif p.pc == 4:
            yield self.go(s, i, -1, holders=s.holders | {i}, holds=p.holds + 1, gen=gen_b, sees=value)
        else:  # stale: our bit off again
            yield self.go(s, i, 10, holders=s.holders - {i})

    def sweep(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Gives up whatever is in flight, as when its queue is gone; without the block's being held."""
        if p.pc >= 10:
            yield from self.maybe_free(s, i, p)
            return
        flying = [t for t, word in enumerate(s.tokens) if word.state == LIVE]
        if p.pc == 0:
            if not flying:
                yield self.go(s, i, -1)
            else:
                bit = set() if self.mutation == "a sweep does not set its bit" else {i}
                yield self.go(s, i, 1, holders=s.holders | bit)
        elif p.pc == 1:
            if not flying:
                yield self.go(s, i, 3)
            else:
                t = flying[0]
                mail = tuple(m for m in s.mail if m[0] != t)
                yield self.go(s, i, 2, tokens=put(s.tokens, t, self.change(s.tokens[t], s.tokens[t], state=FREE)), mail=mail)
        elif p.pc == 2:
            yield self.go(s, i, 3, block=self.count_down(s.block))
        elif p.pc == 3:
            yield self.go(s, i, 10, holders=s.holders - (set() if p.holds else {i}))

    def drop(self, s: State, i: int, p: Process) -> Iterator[State]:
        if p.pc == 0:
            yield self.leave(s, i) if p.holds else self.go(s, i, -1)
        else:
            yield from self.maybe_free(s, i, p)

    def write(self, s: State, i: int, p: Process) -> Iterator[State]:
        """In place if nobody else has the block, else in a copy: then it lets go of the block."""
        if p.pc >= 10 or not p.holds:
            yield from self.drop(s, i, p)
        elif p.pc == 0:
            yield self.go(s, i, 1, s.block) if not s.block.count and p.holds == 1 else self.leave(s, i)
        elif p.pc < 3:
            yield self.go(s, i, p.pc + 1, *p.regs) if not half(s.holders - {i}, p.pc) else self.leave(s, i)
        else:
            before: Word = s.block if self.mutation == "who writes does not swap" else p.regs[0]  # type: ignore[assignment]
            gen = before.gen + (self.mutation != "a write keeps the generation")
            word = self.change(s.block, before, gen=gen)
            yield self.go(s, i, 0) if word is None else self.go(s, i, -1, block=word, gen=gen, value=s.value + 1, sees=s.value + 1)

    def leave(self, s: State, i: int) -> State:
        p = s.processes[i]
        if p.holds > 1:
            return self.go(s, i, -1, holds=p.holds - 1)
        return self.go(s, i, 10, holders=s.holders - {i}, holds=0, gen=-1)

    def unborn(self, s: State, i: int, p: Process) -> Iterator[State]:
        """It waits for `fork`."""
        return iter(())

    def fork(self, s: State, i: int, p: Process) -> Iterator[State]:
        """The next process that is not there yet gets what this one holds."""
        child = next(j for j, other in enumerate(s.processes) if other.program[:1] == ("unborn",))
        if p.pc == 0:
            yield self.go(s, i, 1, holders=s.holders | ({child} if p.holds else set()))
        elif p.pc == 1:
            still = not p.holds or self.mutation == "a fork does not step the word"
            yield self.go(s, i, 2, block=s.block if still else self.change(s.block, s.block))
        else:
            s = self.go(s, i, -1)
            born = Process(s.processes[child].program[1:], holds=min(p.holds, 1), gen=p.gen, value=p.value)
            yield s._replace(processes=put(s.processes, child, born))

    def maybe_free(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Steps 10 to 13: the word, the holders, the swap."""
        if p.pc == 10:
            if s.block.state != LIVE or s.block.count:
                yield self.go(s, i, -1)
            else:
                yield self.go(s, i, 11, s.block)
        elif p.pc < 13:
            yield self.go(s, i, p.pc + 1, p.regs[0]) if not half(s.holders, p.pc - 10) else self.go(s, i, -1)
        else:
            word = self.change(s.block, p.regs[0], state=FREE, gen=p.regs[0].gen + 1)  # type: ignore[arg-type, attr-defined]
            yield self.go(s, i, 10) if word is None else self.go(s, i, -1, block=word)

    def count_down(self, word: Word) -> Word:
        return self.change(word, word, count=max(0, word.count - 1))  # type: ignore[return-value]

    # --- the reaper ---------------------------------------------------------------------------------------------------
    def reap(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Buries one dead process after the other, and sets the count right."""
        dead = [j for j, other in enumerate(s.processes) if other.dead and j not in s.buried]
        if p.pc == 0:
            if dead:
                yield self.go(s, i, 1, dead[0])
            return
        if 10 <= p.pc < 20:  # maybe_free, and then what comes after it
            for after in self.maybe_free(s, i, p):
                q = after.processes[i]
                yield after if q.program == p.program else self.go(after._replace(processes=s.processes), i, 20)
            return
        d = p.regs[0] if p.regs else -1
        if p.pc == 1:  # tokens that it was making
            tokens = tuple(word._replace(state=FREE, owner=-1, seq=word.seq + 1) if word.state == OWNED and word.owner == d else word
                           for word in s.tokens)  # fmt: skip
            yield self.go(s, i, 2, d, tokens=tokens)
        elif p.pc == 2:
            yield self.go(s, i, 3, d, holders=s.holders - {d})
        elif p.pc == 3:
            owned = s.block.state == OWNED and s.block.owner == d
            word = self.change(s.block, s.block, state=FREE, owner=-1, count=0) if owned else s.block
            yield self.go(s, i, 10, block=word, buried=s.buried | {d})  # type: ignore[operator]
        elif p.pc == 20:  # recount
            if self.mutation == "nobody recounts":
                yield self.go(s, i, 0)
            else:
                yield self.go(s, i, 21, s.mark)
        elif p.pc == 21:
            if s.block.state != LIVE or s.holders or not s.block.count:
                yield self.go(s, i, 0)
            else:
                yield self.go(s, i, 22, s.block, *p.regs)
        elif p.pc == 22:
            early = self.mutation == "a recount takes the mark before the words"
            yield self.go(s, i, 23, p.regs[0], p.regs[1] if early else s.mark)
        elif p.pc == 23:
            yield self.go(s, i, 24, p.regs[0], sum(word.state != FREE for word in s.tokens[: p.regs[1]]))  # type: ignore[misc]
        elif p.pc == 24:
            before, flying = p.regs  # type: ignore[misc]
            if flying >= before.count or s.holders:  # type: ignore[operator, attr-defined]
                yield self.go(s, i, 0)
            else:
                word = self.change(s.block, before, count=flying)  # type: ignore[arg-type]
                yield self.go(s, i, 0) if word is None else self.go(s, i, 30, block=word)
        else:  # as free as it is now
            if s.block.state == LIVE and not s.block.count and not s.holders:
                s = s._replace(block=self.change(s.block, s.block, state=FREE, gen=s.block.gen + 1))  # type: ignore[arg-type]
            yield self.go(s, i, 0)

    # --- all of it ----------------------------------------------------------------------------------------------------
    def wrong(self, s: State) -> str:
        for i, p in enumerate(s.processes):
            if p.holds and not p.dead and (s.block.state != LIVE or s.block.gen != p.gen):
                return f"process {i} holds a block that is {s.block.state}, generation {s.block.gen} for {p.gen}"
            if p.holds and not p.dead and s.value != p.value:
                return f"process {i} sees a value that it was not sent"
        if any(word.state == LIVE for word in s.tokens) and s.block.state != LIVE:
            return f"a token flies of a block that is {s.block.state}"
        return ""

    def wrong_at_the_end(self, s: State) -> str:
        # Nobody can go on.  The recount comes again with each reaping, since there may have been a holder the last time.
        if self.mutation != "nobody recounts" and s.block.state == LIVE and not s.holders:
            s = s._replace(block=s.block._replace(count=sum(word.state == LIVE for word in s.tokens)))
            if not s.block.count:
                s = s._replace(block=s.block._replace(state=FREE))
        flying = sum(word.state == LIVE for word in s.tokens)
        held = {i for i, p in enumerate(s.processes) if p.holds and not p.dead}
        if s.holders != held:
            return f"the set of holders is {set(s.holders)}, and {held} hold it"
        if s.block.state == LIVE and (s.block.count < flying or (s.block.count > flying and not held)):
            return f"the block counts {s.block.count} tokens, and {flying} fly"
        if (s.block.state == LIVE) != bool(held or flying):
            return f"the block is {s.block.state}, with {len(held)} holders and {flying} tokens"
        if s.block.state == OWNED or any(word.state == OWNED for word in s.tokens):
            return "something is owned by nobody"
        return ""

    def kill(self, s: State, i: int) -> State:
        if s.processes[i].program[0] == "fork":  # a slot was taken for the child, and there will be none
            child = next(j for j, other in enumerate(s.processes) if other.program[:1] == ("unborn",))
            s = s._replace(processes=put(s.processes, child, s.processes[child]._replace(dead=True)))
        return s._replace(processes=put(s.processes, i, s.processes[i]._replace(dead=True)))

    def explore(self, limit: int = 3_000_000) -> tuple[int, str]:
        """Every state that can be reached: how many, and what is wrong ("": nothing)."""
        seen, todo = {self.start}, [self.start]
        while todo:
            s = todo.pop()
            if fault := self.wrong(s):
                return len(seen), fault
            after = [n for i in range(len(s.processes)) for n in self.step(s, i)]
            can_go = bool(after)
            if sum(p.dead for p in s.processes) < self.deaths:
                after += [self.kill(s, i) for i, p in enumerate(s.processes)
                          if not p.dead and p.program and p.program[0] != "unborn" and (i or p.program[0] != "reap")]  # fmt: skip
            unburied = any(p.dead and i not in s.buried for i, p in enumerate(s.processes))
            if not can_go and not unburied and (fault := self.wrong_at_the_end(s)):
                return len(seen), fault
            for n in after:
                if n not in seen:
                    seen.add(n)
                    todo.append(n)
            if len(seen) > limit:
                raise RuntimeError(f"more than {limit} states")
        return len(seen), ""


def half(holders: frozenset[int], which: int) -> set[int]:
    """What a reader of the set sees in its first step, and in its second."""
    return {i for i in holders if i % 2 == which - 1}


def put(items: tuple, i: int, item: object) -> tuple:  # type: ignore[type-arg]
    return (*items[:i], item, *items[i + 1 :])


SCENES: dict[str, Callable[[str], Model]] = {  # the first process reaps
    "sent and dropped, claimed and dropped": lambda m: Model("reap", "alloc send drop", "claim drop", mutation=m),
    "two receivers": lambda m: Model("reap", "alloc send send drop", "claim drop", "claim drop", mutation=m),
    "forwarded": lambda m: Model("reap", "alloc send drop", "claim send drop", "claim drop", mutation=m),
    "swept while it may be claimed": lambda m: Model("reap", "alloc send send drop", "sweep", "claim drop", mutation=m),
    "used again": lambda m: Model("reap", "alloc send drop", "claim drop alloc drop", mutation=m),
    "written while it is forwarded": lambda m: Model("reap", "alloc send write", "claim send drop", "claim", mutation=m),
    "written by the receiver": lambda m: Model("reap", "alloc send write drop", "claim write drop", mutation=m),
    "unpickled twice": lambda m: Model("reap", "alloc send write drop", "peek drop", "claim drop", mutation=m),
    "forked": lambda m: Model("reap", "alloc send fork drop", "unborn write drop", "claim drop", mutation=m),
    "two die": lambda m: Model("reap", "alloc send drop", "claim drop", "sweep", deaths=2, mutation=m),
    "a reaper dies": lambda m: Model("reap", "reap", "alloc send drop", "claim drop", deaths=2, mutation=m),
}
MUTATIONS = {  # and where each shows
    "a token flies before it is counted": "sent and dropped, claimed and dropped",
    "a claim sets its bit after the token has landed": "sent and dropped, claimed and dropped",
    "a sweep does not set its bit": "swept while it may be claimed",
    "nobody recounts": "sent and dropped, claimed and dropped",
    "the word has no seq": "two receivers",
    "a second claim does not step the word": "swept while it may be claimed",
    "a recount takes the mark before the words": "sent and dropped, claimed and dropped",
    "who writes does not swap": "written while it is forwarded",
    "a write keeps the generation": "unpickled twice",
    "a fork does not step the word": "forked",
}


def main() -> int:
    total, failed = 0, False
    for name, scene in SCENES.items():
        states, fault = scene("").explore()
        total += states
        failed |= bool(fault)
        print(f"{states:9,} states  {name}: {fault or 'right'}")
    print(f"{total:9,} states in all")
    for mutation, name in MUTATIONS.items():
        fault = SCENES[name](mutation).explore()[1]
        failed |= not fault
        print(f"{mutation}: in '{name}': {fault or 'NOT FOUND'}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
