"""A model of the arena's protocol (`core/arena/arena.c`), small enough to try each interleaving.

    python tests/stress/arena_model.py

One block, two tokens, and processes that each run a short program of the protocol's operations.
An operation is a list of atomic steps, those between the calls of `step()` in C: a load, a set or
cleared bit, a compare-and-swap.  The set of holders is several words in C (planes), so it is read
in two steps here, first the even processes and then the odd ones.  In a family that grows, the
processes that are started later have the second plane, and a reader reads first how many planes
there are.

Any process may be killed before any of its steps, the first one, too; only the last one that reaps
may not.  A reaper buries the dead, by the same steps as in C.  A process that becomes another
program (exec) is dead as a member, and goes on as another process.  A guest is no member: it has
copies, and what it is at work on belongs to the warden, which never dies.

In every state that can be reached holds
  * a process that holds the block has it: it is LIVE, in the generation that the process got, with
    the value that was sent or that the process has written itself;
  * what a guest has copied is the value that was sent, or that its parent had at the fork;
  * a token in flight refers to a LIVE block;
and when no process can go on (all programs are over, all dead are buried) the books are right: the
count is the number of tokens (it may be more while a process holds the block, until the next
recount after it has let go), and the block is free exactly when no process holds it and no token
flies.  A guest that was killed may have left a token and a block with the warden.

MUTATIONS are ways to get it wrong.  Each must break something, or the model would prove nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

FREE, OWNED, LIVE = "free", "owned", "live"
WARDEN = 99


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
    guest: bool = False  # it has no place, and no bit in any set
    copied: tuple[int, int] = (0, 0)  # what a guest has read, and what it had to read
    dead: bool = False


class State(NamedTuple):
    block: Word
    holders: frozenset[int]
    value: int  # of the block's bytes: each write makes another one
    tokens: tuple[Word, ...]
    mark: int  # no token from here on was ever used
    planes: int  # no bit is set in a plane from here on
    # messages: token, its generation, the block's, the value
    mail: tuple[tuple[int, int, int, int], ...]
    processes: tuple[Process, ...]
    buried: frozenset[int]


class Model:
    def __init__(
        self, *programs: str, deaths: int = 1, grows: bool = False, mutation: str = ""
    ) -> None:
        told = [tuple(p.split()) for p in programs]
        lives = [(tuple(w for w in p if w != "guest"), "guest" in p) for p in told]
        processes = tuple(Process(program, guest=guest) for program, guest in lives)
        nothing: frozenset[int] = frozenset()
        words = Word(), Word()
        self.start = State(Word(), nothing, 0, words, 0, 2 - grows, (), processes, nothing)
        self.deaths, self.grows, self.mutation = deaths, grows, mutation
        self.plane = [int(p[0] == "unborn") if grows else i % 2 for i, p in enumerate(told)]

    def part(self, holders: frozenset[int], plane: int, planes: int) -> set[int]:
        """Return the holders that a reader of one plane sees, when it knows of so many planes."""
        return {i for i in holders if self.plane[i] == plane < planes}

    def seen(self, s: State) -> set[int]:
        """Return the holders that a reader of all planes sees at once."""
        return {i for i in s.holders if self.plane[i] < s.planes}

    # --- words ------------------------------------------------------------------------------------
    def change(self, now: Word, expected: Word, **to: object) -> Word | None:
        """Compare and swap; return the new word, or None."""
        seq = expected.seq + (self.mutation != "the word has no seq")
        return expected._replace(seq=seq,
            **to) if now == expected else None  # type: ignore[arg-type]

    # --- one step of one process ------------------------------------------------------------------
    def step(self, s: State, i: int) -> Iterator[State]:
        p = s.processes[i]
        if p.dead or not p.program:
            return
        yield from getattr(self, p.program[0])(s, i, p)

    def go(self, s: State, i: int, pc: int, *regs: object, **to: object) -> State:
        """Return `s` with process i at step pc of its operation (-1: the operation is over)."""
        p = s.processes[i]
        more = {name: to.pop(name) for name in ("holds", "gen", "copied") if name in to}
        more |= {"value": to.pop("sees")} if "sees" in to else {}
        p = p._replace(pc=max(pc, 0), regs=regs, program=p.program[pc < 0 :],
            **more)  # type: ignore[arg-type]
        return s._replace(processes=(*s.processes[:i], p, *s.processes[i + 1 :]),
            **to)  # type: ignore[arg-type]

    def alloc(self, s: State, i: int, p: Process) -> Iterator[State]:
        if p.pc == 0:
            if s.block.state == FREE:
                yield self.go(s, i, 1, block=self.change(s.block, s.block, state=OWNED, owner=i))
        elif p.pc == 1:
            yield self.go(s, i, 2, holders=s.holders | {i})
        else:
            word = self.change(s.block, s.block, state=LIVE, owner=-1)
            yield self.go(
                s, i, -1, block=word, holds=1, gen=s.block.gen, value=s.value + 1, sees=s.value + 1
            )

    def send(self, s: State, i: int, p: Process) -> Iterator[State]:
        if not p.holds:
            yield self.go(s, i, -1)
            return
        early = self.mutation == "a token flies before it is counted"
        if p.pc == 0:
            for t, word in enumerate(s.tokens):
                if word.state == FREE:
                    new = word._replace(state=OWNED, owner=i, gen=word.gen + 1)
                    yield self.go(s, i, 1, t, tokens=put(s.tokens, t, new), mark=max(s.mark, t + 1))
                    break
            return
        t: int = p.regs[0]  # type: ignore[assignment]
        if p.pc == (2 if early else 1):
            yield self.go(
                s, i, 3 if early else 2, t,
                block=self.change(s.block, s.block, count=s.block.count + 1),
            )  # fmt: skip
        elif p.pc == (1 if early else 2):
            yield self.go(
                s,
                i,
                2 if early else 3,
                t,
                tokens=put(s.tokens, t, s.tokens[t]._replace(state=LIVE, owner=-1)),
            )
        else:
            yield self.go(s, i, -1, mail=(*s.mail, (t, s.tokens[t].gen, p.gen, p.value)))

    def peek(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Claim a message that will be claimed again: its bytes are kept."""
        return self.claim(s, i, p)

    def claim(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Take a message and make its reference one of this process."""
        if p.pc == 0:
            if s.mail:
                yield self.go(
                    s, i, 1, *s.mail[0], mail=s.mail if p.program[0] == "peek" else s.mail[1:]
                )
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
                yield self.go(
                    s, i, 3, *p.regs, tokens=put(s.tokens, t, word._replace(state=FREE))
                )
            elif s.block.state == LIVE and s.block.gen == gen_b:
                # claimed or swept already; the value still lives
                word = (
                    s.block
                    if self.mutation == "a second claim does not step the word"
                    else self.change(s.block, s.block)
                )
                yield self.go(s, i, -1, block=word, holds=p.holds + 1, gen=gen_b, sees=value)
            else:
                yield self.go(s, i, 5, *p.regs) if not p.holds else self.go(s, i, -1)
        elif p.pc == 3:
            yield self.go(s, i, 4, *p.regs, block=self.count_down(s.block))
        elif p.pc == 4:
            yield self.go(
                s, i, -1, holders=s.holders | {i}, holds=p.holds + 1, gen=gen_b, sees=value
            )
        else:  # stale: our bit off again
            yield self.go(s, i, 10, holders=s.holders - {i})

    def sweep(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Give up a token in flight, as when its queue is gone; the block is not held."""
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
                yield self.go(
                    s,
                    i,
                    2,
                    tokens=put(s.tokens, t, s.tokens[t]._replace(state=FREE)),
                    mail=mail,
                )
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
        """Write in place if no other process has the block, else to a copy, and drop the block."""
        if p.pc >= 10 or not p.holds:
            yield from self.drop(s, i, p)
        elif p.pc == 0:
            alone = not s.block.count and p.holds == 1
            yield self.go(s, i, 2 - self.grows, s.block, 2) if alone else self.leave(s, i)
        elif p.pc == 1:
            yield self.go(s, i, 2, p.regs[0], s.planes)
        elif p.pc < 4:
            others = self.part(s.holders - {i}, p.pc - 2, p.regs[1])  # type: ignore[arg-type]
            yield self.go(s, i, p.pc + 1, *p.regs) if not others else self.leave(s, i)
        else:
            before: Word = s.block if self.mutation == "a write does not swap" else p.regs[0]  # type: ignore[assignment]
            gen = before.gen + (self.mutation != "a write keeps the generation")
            word = self.change(s.block, before, gen=gen)
            yield (
                self.go(s, i, 0)
                if word is None
                else self.go(s, i, -1, block=word, gen=gen, value=s.value + 1, sees=s.value + 1)
            )

    def leave(self, s: State, i: int) -> State:
        p = s.processes[i]
        if p.holds > 1:
            return self.go(s, i, -1, holds=p.holds - 1)
        return self.go(s, i, 10, holders=s.holders - {i}, holds=0, gen=-1, sees=-1)

    def unborn(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Wait for `fork`."""
        return iter(())

    def fork(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Give the next process what this one holds: a place, a bit, a step of the word."""
        child = unborn(s)
        late = self.mutation == "a bit is set before there is its plane"
        if p.pc == 0:
            yield self.go(s, i, 1, planes=s.planes if late else 2)
        elif p.pc == 1:
            yield self.go(s, i, 2, holders=s.holders | ({child} if p.holds else set()))
        elif p.pc == 2:
            still = not p.holds or self.mutation == "a fork does not step the word"
            yield self.go(s, i, 3, block=s.block if still else self.change(s.block, s.block))
        else:
            s = self.go(s, i, -1)
            born = Process(
                s.processes[child].program[1:], holds=min(p.holds, 1), gen=p.gen, value=p.value
            )
            yield s._replace(processes=put(s.processes, child, born), planes=2)

    def fork_guest(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Fork without a place for the child, which gets a copy made before the fork."""
        child = unborn(s)
        if p.pc == 0:
            yield self.go(s, i, 1, s.value, p.value) if p.holds else self.go(s, i, -1)
        else:
            s = self.go(s, i, -1)
            born = Process(s.processes[child].program[1:], guest=True, copied=p.regs)
            yield s._replace(processes=put(s.processes, child, born))

    def look(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Read, as a guest, what was inherited."""
        late = self.mutation == "a guest's copy is made after the fork"
        yield self.go(s, i, -1, copied=(s.value, p.copied[1]) if late else p.copied)

    def exec(self, s: State, i: int, p: Process) -> Iterator[State]:
        """End the member as if it was killed; the next process is the program it has become."""
        missed = self.mutation != "exec is no death"
        s = s._replace(processes=put(s.processes, i, Process((), dead=missed)))
        j = unborn(s)
        born = s.processes[j]._replace(program=s.processes[j].program[1:])
        yield s._replace(processes=put(s.processes, j, born))

    # --- a guest ----------------------------------------------------------------------------------
    def copy_out(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Read while the token is in flight, and end it; else read a block that stays live."""
        if p.pc == 0:
            if s.mail:
                yield self.go(s, i, 1, *s.mail[0], mail=s.mail[1:])
            return
        if 10 <= p.pc < 20:
            yield from self.maybe_free(s, i, p)
            return
        t, gen_t, gen_b, value, *read = p.regs  # type: ignore[misc]
        message, word = (t, gen_t, gen_b, value), s.tokens[t]
        flies = word.state == LIVE and word.gen == gen_t
        lives = s.block.state == LIVE and s.block.gen == gen_b
        blind = self.mutation == "a guest reads after it has ended the token"
        if p.pc == 1:
            early = self.mutation == "a guest counts down before it owns the token" and flies
            block = self.count_down(s.block) if early else s.block
            yield self.go(s, i, (4 if blind else 2) if flies else 20, *message, block=block)
        elif p.pc in (2, 3, 21, 22):  # two halves of it
            yield self.go(s, i, p.pc + 1, *message, *read, s.value)
        elif p.pc == 4:
            owned = put(s.tokens, t, word._replace(state=OWNED, owner=WARDEN))
            yield self.go(s, i, 5, *p.regs, tokens=owned) if flies else self.go(s, i, 20, *message)
        elif p.pc == 5:
            early = self.mutation == "a guest counts down before it owns the token"
            yield self.go(s, i, 6, *p.regs, block=s.block if early else self.count_down(s.block))
        elif p.pc == 6:
            free = put(s.tokens, t, word._replace(state=FREE, owner=-1))
            yield self.go(s, i, 10, copied=(s.value if blind else agreed(read), value), tokens=free)
        elif p.pc == 20:
            yield self.go(s, i, 21, *message) if lives else self.go(s, i, -1)  # else stale
        else:
            sure = lives or self.mutation == "a guest looks at the generation once"
            yield self.go(s, i, -1, copied=(agreed(read), value)) if sure else self.go(s, i, -1)

    def guest_send(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Write a block that only the message holds."""
        if p.pc == 0:
            if s.block.state == FREE:
                block = self.change(s.block, s.block, state=OWNED, owner=WARDEN)
                yield self.go(s, i, 1, block=block)
        elif p.pc == 1:
            for t, word in enumerate(s.tokens):
                if word.state == FREE:
                    new = word._replace(state=OWNED, owner=WARDEN, gen=word.gen + 1)
                    yield self.go(s, i, 2, t, tokens=put(s.tokens, t, new), mark=max(s.mark, t + 1))
                    break
        else:
            t: int = p.regs[0]  # type: ignore[assignment]
            word = s.tokens[t]
            if p.pc == 2:
                block = self.change(s.block, s.block, state=LIVE, owner=-1, count=1)
                yield self.go(s, i, 3, t, s.value + 1, block=block, value=s.value + 1)
            elif p.pc == 3:
                live = put(s.tokens, t, word._replace(state=LIVE, owner=-1))
                yield self.go(s, i, 4, *p.regs, s.block.gen, tokens=live)
            else:
                message = t, word.gen, p.regs[2], p.regs[1]
                yield self.go(s, i, -1, mail=(*s.mail, message))  # type: ignore[arg-type]

    def maybe_free(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Run steps 10 to 14: read the word, the number of planes and the holders in each; swap."""
        early = self.mutation == "the planes are counted before the word is read"
        if p.pc == 10 + early:
            if s.block.state != LIVE or s.block.count:
                yield self.go(s, i, -1)
            else:
                planes = p.regs if early else (2,)
                yield self.go(s, i, 12 - (self.grows and not early), s.block, *planes)
        elif p.pc < 12:
            yield self.go(s, i, p.pc + 1, *(() if early else p.regs[:1]), s.planes)
        elif p.pc < 14:
            held = self.part(s.holders, p.pc - 12, p.regs[1])  # type: ignore[arg-type]
            yield self.go(s, i, p.pc + 1, *p.regs) if not held else self.go(s, i, -1)
        else:
            word = self.change(s.block, p.regs[0], state=FREE,
                gen=p.regs[0].gen + 1)  # type: ignore[arg-type, attr-defined]
            yield self.go(s, i, 10) if word is None else self.go(s, i, -1, block=word)

    def count_down(self, word: Word) -> Word:
        return self.change(word, word, count=max(0, word.count - 1))  # type: ignore[return-value]

    # --- the reaper -------------------------------------------------------------------------------
    def reap(self, s: State, i: int, p: Process) -> Iterator[State]:
        """Reap one dead process after the other, and correct the count."""
        spared = {0} if self.mutation == "the first process is not missed" else set()
        dead = [j for j, q in enumerate(s.processes) if q.dead and j not in s.buried | spared]
        if p.pc == 0:
            if dead:
                yield self.go(s, i, 1, dead[0])
            return
        if 10 <= p.pc < 20:  # maybe_free, and then what comes after it
            for after in self.maybe_free(s, i, p):
                q = after.processes[i]
                yield (
                    after
                    if q.program == p.program
                    else self.go(after._replace(processes=s.processes), i, 20)
                )
            return
        d = p.regs[0] if p.regs else -1
        if p.pc == 1:  # tokens that it was making
            tokens = tuple(
                word._replace(state=FREE, owner=-1) if word[:2] == (OWNED, d) else word
                for word in s.tokens
            )
            yield self.go(s, i, 2, d, tokens=tokens)
        elif p.pc == 2:
            yield self.go(s, i, 3, d, holders=s.holders - {d})
        elif p.pc == 3:
            owned = s.block.state == OWNED and s.block.owner == d
            word = (
                self.change(s.block, s.block, state=FREE, owner=-1, count=0) if owned else s.block
            )
            yield self.go(s, i, 10, block=word, buried=s.buried | {d})  # type: ignore[operator]
        elif p.pc == 20:  # recount
            if self.mutation == "no reaper recounts":
                yield self.go(s, i, 0)
            else:
                yield self.go(s, i, 21, s.mark)
        elif p.pc == 21:
            if s.block.state != LIVE or self.seen(s) or not s.block.count:
                yield self.go(s, i, 0)
            else:
                yield self.go(s, i, 22, s.block, *p.regs)
        elif p.pc == 22:
            early = self.mutation == "a recount takes the mark before the words"
            yield self.go(s, i, 23, p.regs[0], p.regs[1] if early else s.mark)
        elif p.pc == 23:
            left_out = self.mutation == "a recount leaves out what the warden owns"
            flying = [word for word in s.tokens[: p.regs[1]] if word.state != FREE]
            n = len(flying) - sum(word.owner == WARDEN for word in flying) * left_out
            yield self.go(s, i, 24, p.regs[0], n)
        elif p.pc == 24:
            before, flies = p.regs  # type: ignore[misc]
            if flies >= before.count or self.seen(s):  # type: ignore[operator, attr-defined]
                yield self.go(s, i, 0)
            else:
                word = self.change(s.block, before, count=flies)  # type: ignore[arg-type]
                yield self.go(s, i, 0) if word is None else self.go(s, i, 30, block=word)
        else:  # as free as it is now
            if s.block.state == LIVE and not s.block.count and not self.seen(s):
                s = s._replace(block=self.change(s.block, s.block, state=FREE,
                    gen=s.block.gen + 1))  # type: ignore[arg-type]
            yield self.go(s, i, 0)

    # --- all of it --------------------------------------------------------------------------------
    def wrong(self, s: State) -> str:
        for i, p in enumerate(s.processes):
            if p.holds and not p.dead and (s.block.state != LIVE or s.block.gen != p.gen):
                found = f"{s.block.state}, generation {s.block.gen} for {p.gen}"
                return f"process {i} holds a block that is {found}"
            if p.holds and not p.dead and s.value != p.value:
                return f"process {i} sees a value that it was not sent"
            if not p.dead and p.copied[0] != p.copied[1]:
                return f"process {i} has copied another value"
        if any(word.state == LIVE for word in s.tokens) and s.block.state != LIVE:
            return f"a token flies of a block that is {s.block.state}"
        return ""

    def wrong_at_the_end(self, s: State) -> str:
        if unburied := {i for i, p in enumerate(s.processes) if p.dead} - s.buried:
            return f"{unburied} are dead, and no process reaps them"
        # No process can go on.  The recount comes again with each reaping, when there is no holder.
        if self.mutation != "no reaper recounts" and s.block.state == LIVE and not s.holders:
            s = s._replace(
                block=s.block._replace(count=sum(word.state == LIVE for word in s.tokens))
            )
            if not s.block.count:
                s = s._replace(block=s.block._replace(state=FREE))
        flying = sum(word.state == LIVE for word in s.tokens)
        lost = sum(p.dead and p.guest for p in s.processes)  # each may have left a token and block
        held = {i for i, p in enumerate(s.processes) if p.holds and not p.dead}
        if s.holders != held:
            return f"the set of holders is {set(s.holders)}, and {held} hold it"
        more = s.block.count > flying + lost and not held
        if s.block.state == LIVE and (s.block.count < flying or more):
            return f"the block counts {s.block.count} tokens, and {flying} fly"
        if (s.block.state == LIVE) != bool(held or flying) and not lost:
            return f"the block is {s.block.state}, with {len(held)} holders and {flying} tokens"
        owned = sum(word.state == OWNED for word in s.tokens)
        if owned > lost or (s.block.state == OWNED and not lost):
            return "something is owned by a process that is gone"
        return ""

    def kill(self, s: State, i: int) -> State:
        # a slot was taken for the child, and there will be none
        if s.processes[i].program[0] == "fork":
            s = s._replace(processes=put(s.processes, unborn(s), Process(("dead",), dead=True)))
        guest = s.processes[i].guest
        if guest:  # it has no place that would be found
            s = s._replace(buried=s.buried | {i})
        # No step reads the registers of a dead process, or what it held.
        dead = Process(("dead",), guest=guest, dead=True)
        return s._replace(processes=put(s.processes, i, dead))

    def explore(self, limit: int = 3_000_000) -> tuple[int, str]:
        """Return how many states can be reached, and what is wrong in one ("": nothing)."""
        seen, todo = {self.start}, [self.start]
        while todo:
            s = todo.pop()
            if fault := self.wrong(s):
                return len(seen), fault
            after = [n for i in range(len(s.processes)) for n in self.step(s, i)]
            if not after and (fault := self.wrong_at_the_end(s)):
                return len(seen), fault
            if sum(p.dead and bool(p.program) for p in s.processes) < self.deaths:
                living = [(i, p) for i, p in enumerate(s.processes) if p.program and not p.dead]
                now = {i: p.program[0] for i, p in living}
                reaping = [i for i, operation in now.items() if operation == "reap"]
                mortal = [i for i, operation in now.items() if operation != "unborn"]
                after += [self.kill(s, i) for i in mortal if reaping != [i]]
            for n in map(renumbered, after):
                if n not in seen:
                    seen.add(n)
                    todo.append(n)
            if len(seen) > limit:
                raise RuntimeError(f"more than {limit} states")
        return len(seen), ""


def renumbered(s: State) -> State:
    """Return the state with 0, 1, ... for the numbers `seq` in it, in the same order.

    A step compares the block's word with the one that its process has loaded before, and reads the
    numbers for nothing else: states that differ in them alone behave alike, and count as one.
    """
    loaded = {word.seq for p in s.processes for word in p.regs if type(word) is Word}
    if not loaded:
        return s._replace(block=s.block._replace(seq=0)) if s.block.seq else s
    order = {seq: i for i, seq in enumerate(sorted(loaded | {s.block.seq}))}
    if all(seq == i for seq, i in order.items()):
        return s

    def ordered(word: object) -> object:
        return word._replace(seq=order[word.seq]) if type(word) is Word else word

    processes = tuple(p._replace(regs=tuple(map(ordered, p.regs))) for p in s.processes)
    return s._replace(block=s.block._replace(seq=order[s.block.seq]), processes=processes)


def unborn(s: State) -> int:
    """Return the next process that has not been started."""
    return next(j for j, p in enumerate(s.processes) if p.program[:1] == ("unborn",))


def agreed(read: list[int]) -> int:
    """Return the value that all halves have; -1 if they differ."""
    return read[0] if len(set(read)) == 1 else -1


def put(items: tuple, i: int, item: object) -> tuple:  # type: ignore[type-arg]
    return (*items[:i], item, *items[i + 1 :])


SCENES: dict[str, Callable[..., Model]] = {
    "sent and dropped, claimed and dropped": partial(
        Model, "reap", "alloc send drop", "claim drop",
    ),
    "two receivers": partial(Model, "reap", "alloc send send drop", "claim drop", "claim drop"),
    "forwarded": partial(Model, "reap", "alloc send drop", "claim send drop", "claim drop"),
    "swept while it may be claimed": partial(
        Model, "reap", "alloc send send drop", "sweep", "claim drop",
    ),
    "used again": partial(Model, "reap", "alloc send drop", "claim drop alloc drop"),
    "written while it is forwarded": partial(
        Model, "reap", "alloc send write", "claim send drop", "claim",
    ),
    "written by the receiver": partial(Model, "reap", "alloc send write drop", "claim write drop"),
    "unpickled twice": partial(Model, "reap", "alloc send write drop", "peek drop", "claim drop"),
    "forked": partial(Model, "reap", "alloc send fork drop", "unborn write drop", "claim drop"),
    "two die": partial(Model, "reap", "alloc send drop", "claim drop", "sweep", deaths=2),
    "a reaper dies": partial(Model, "reap", "reap", "alloc send drop", "claim drop", deaths=2),
    "the first process dies": partial(
        Model, "alloc send fork drop", "claim drop reap", "reap", "unborn drop",
    ),
    "a guest receives": partial(
        Model, "reap", "alloc send drop alloc send drop", "guest copy_out", "claim drop",
    ),
    "a guest sends": partial(Model, "reap", "guest guest_send", "claim send drop", "claim drop"),
    "unpickled twice, by a guest, too": partial(
        Model, "reap", "alloc send write drop", "peek drop", "guest copy_out",
    ),
    "forked without a place": partial(
        Model, "reap", "alloc send fork_guest write drop", "unborn look", "claim write drop",
    ),
    "the family grows": partial(
        Model, "reap", "alloc send fork drop", "claim drop", "unborn drop", grows=True,
    ),
    "another program": partial(
        Model, "reap", "alloc send send exec", "unborn guest copy_out", "claim drop",
    ),
}
MUTATIONS = {  # and where each shows
    "a token flies before it is counted": "sent and dropped, claimed and dropped",
    "a claim sets its bit after the token has landed": "sent and dropped, claimed and dropped",
    "a sweep does not set its bit": "swept while it may be claimed",
    "no reaper recounts": "sent and dropped, claimed and dropped",
    "the word has no seq": "two receivers",
    "a second claim does not step the word": "swept while it may be claimed",
    "a recount takes the mark before the words": "sent and dropped, claimed and dropped",
    "a write does not swap": "written while it is forwarded",
    "a write keeps the generation": "unpickled twice",
    "a fork does not step the word": "forked",
    "the first process is not missed": "the first process dies",
    "a guest counts down before it owns the token": "a guest receives",
    "a guest reads after it has ended the token": "a guest receives",
    "a guest looks at the generation once": "unpickled twice, by a guest, too",
    "a guest's copy is made after the fork": "forked without a place",
    "a recount leaves out what the warden owns": "a guest sends",
    "a bit is set before there is its plane": "the family grows",
    "the planes are counted before the word is read": "the family grows",
    "exec is no death": "another program",
}


def main() -> int:
    total, failed = 0, False
    for name, scene in SCENES.items():
        states, fault = scene().explore()
        total += states
        failed |= bool(fault)
        print(f"{states:9,} states  {name}: {fault or 'right'}")
    print(f"{total:9,} states in all")
    for mutation, name in MUTATIONS.items():
        fault = SCENES[name](mutation=mutation).explore()[1]
        failed |= not fault
        print(f"{mutation}: in '{name}': {fault or 'NOT FOUND'}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
