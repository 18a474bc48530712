#!/usr/bin/env python3
"""What every client does against a broker, one step after the other.

    scenario.py BOOTSTRAP NAME [--admin COMMAND] -- ADAPTER...

ADAPTER is a program around one client library. It is started with the bootstrap address, reads one command a line and
answers with lines that begin with "= ", then "ok", "unsupported" or "error TEXT". The commands:

    hello                                           the library and its version
    create TOPIC PARTITIONS
    codecs                                          those that the library can write here
    produce TOPIC PARTITIONS CODEC ACKS PREFIX COUNT TIME_MS
                                                    keys PREFIX-0 ...; record i has time TIME_MS+i and partition i%PARTITIONS
    read TOPIC PARTITIONS FROM_MS COUNT             from that time, -2 is the beginning: partition, offset, key a record
    join MEMBER GROUP TOPIC                         a consumer that begins at the earliest record and commits when told
    poll MEMBER                                     what it has read since, as for read
    assigned MEMBER                                 its partitions
    commit MEMBER    leave MEMBER
    committed GROUP TOPIC PARTITIONS                partition, offset
    topics    partitions TOPIC    groups    delete TOPIC    delete_group GROUP
    transaction TOPIC                               the error that a transactional producer gets

Commands that the library has no call for go to the adapter of --admin. RESTART in the environment is a command that
ends the broker and starts it again. Prints a line PASS or FAIL a step; exit status 1 when one failed.
"""
import contextlib
import os
import shlex
import subprocess
import sys
import time

STEP_SECONDS = 40
EPOCH_MS = int(time.time() - 3_600) * 1_000  # the time of the first record: no retention is over


class Unsupported(Exception):
    pass


class Adapter:
    def __init__(self, command, admin):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.admin = admin

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            line = line.rstrip("\n")
            if line.startswith("= "):
                lines.append(line[2:])
            elif line == "ok":
                return lines
            elif line == "unsupported":
                if self.admin is None:
                    raise Unsupported()
                return self.admin.ask(*words)
            elif line.startswith("error"):
                raise AssertionError(f"{words[0]}: {line[6:]}")
        raise AssertionError(f"{words[0]}: the adapter ended")

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Scenario:
    def __init__(self, name, adapter, restart):
        self.name, self.adapter, self.restart = name, adapter, restart
        self.failed = 0
        self.codecs_topic, self.group_topic, self.group = f"{name}-codecs", f"{name}-shared", f"{name}-group"

    @contextlib.contextmanager
    def step(self, text):
        began = time.monotonic()
        try:
            yield
        except Unsupported:
            print(f"SKIP {text}: the library has no call for it", flush=True)
        except AssertionError as error:
            self.failed += 1
            print(f"FAIL {text}: {error}", flush=True)
        else:
            print(f"PASS {text}", flush=True)
        print(f"{self.name}: {time.monotonic() - began:.1f} s: {text}", file=sys.stderr, flush=True)

    def until(self, what, condition):
        end = time.monotonic() + STEP_SECONDS
        while True:
            seen = condition()
            if seen is True:
                return
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not within {STEP_SECONDS} s, at last {seen}")
            time.sleep(0.05)

    # --- steps ---------------------------------------------------------------------------------------------------------

    def run(self):
        ask = self.adapter.ask
        print(f"SAW {ask('hello')[0]}", flush=True)
        with self.step("create topics"):
            ask("create", self.codecs_topic, 3)
            ask("create", self.group_topic, 6)
            self.until("the topics are listed",
                       lambda: {self.codecs_topic, self.group_topic} <= set(ask("topics")) or ask("topics"))
            self.equal(ask("partitions", self.group_topic), ["6"])
        if self.failed:
            return  # nothing of what follows can go well
        with self.step("a topic is not created twice"):
            try:
                ask("create", self.codecs_topic, 3)
            except AssertionError:
                pass
            else:
                raise AssertionError("no error")
        expected = self.produce_every_codec()
        with self.step("consume from the beginning"):
            self.read(-2, expected)
        with self.step("consume from a time"):
            middle = len(expected) // 2
            self.read(EPOCH_MS + middle, expected[middle:])
        self.share()
        with self.step("the broker restarts"):
            subprocess.run(self.restart, check=True, timeout=120)
        with self.step("everything is there after the restart"):
            self.read(-2, expected)
        self.go_on()
        self.refuse_transactions()
        self.delete()

    def produce_every_codec(self):
        expected = []
        codecs = self.adapter.ask("codecs")
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            if codec not in codecs:
                print(f"SKIP produce {codec}: the library cannot write it here", flush=True)
                continue
            with self.step(f"produce {codec}, acks 0, 1, all"):
                for acks in ("0", "1", "all"):
                    prefix = f"{codec}-{acks}"
                    self.adapter.ask("produce", self.codecs_topic, 3, codec, acks, prefix, 10, EPOCH_MS + len(expected))
                    expected += [(i % 3, f"{prefix}-{i}") for i in range(10)]
                    if acks == "0":  # nothing says when they are there, and the next producer must not overtake them
                        self.adapter.ask("read", self.codecs_topic, 3, -2, len(expected))
        return expected

    # Within a partition the order is that of producing, so the offsets are too.
    def read(self, from_ms, expected):
        got = [line.split() for line in self.adapter.ask("read", self.codecs_topic, 3, from_ms, len(expected))]
        for partition in range(3):
            keys = [key for p, _, key in got if int(p) == partition]
            self.equal(keys, [key for p, key in expected if p == partition])
            offsets = [int(offset) for p, offset, _ in got if int(p) == partition]
            begin = 0 if from_ms == -2 else offsets[0]
            self.equal(offsets, list(range(begin, begin + len(offsets))))

    # Three members come, one goes, another comes; together they read everything at least once.
    def share(self):
        ask = self.adapter.ask
        seen = set()
        with self.step("a group of one gets every partition"):
            ask("produce", self.group_topic, 6, "none", "all", "first", 60, EPOCH_MS)
            self.members = ["a"]
            ask("join", "a", self.group, self.group_topic)
            self.until("assigned", lambda: self.spread(seen, [6]))
        with self.step("a group of three gets two partitions each"):
            for member in ("b", "c"):
                ask("join", member, self.group, self.group_topic)
                self.members.append(member)
            self.until("assigned", lambda: self.spread(seen, [2, 2, 2]))
        with self.step("one leaves, another takes its partitions"):
            ask("commit", "b")
            seen |= self.polled("b")  # what it read since it was last asked, and committed: nobody reads that again
            ask("leave", "b")
            self.members.remove("b")
            self.until("assigned", lambda: self.spread(seen, [3, 3]))
            ask("join", "d", self.group, self.group_topic)
            self.members.append("d")
            self.until("assigned", lambda: self.spread(seen, [2, 2, 2]))
        with self.step("the group reads all and commits"):
            ask("produce", self.group_topic, 6, "none", "all", "second", 60, EPOCH_MS + 60)
            wanted = {f"{prefix}-{i}" for prefix in ("first", "second") for i in range(60)}
            self.until("read", lambda: self.spread(seen, [2, 2, 2]) is True and seen == wanted or sorted(wanted - seen))
            for member in self.members:  # all before one leaves, for then the others begin again at what is committed
                ask("commit", member)
            for member in self.members:
                ask("leave", member)
            self.equal(sorted(ask("committed", self.group, self.group_topic, 6)), [f"{p} 20" for p in range(6)])

    def polled(self, member):
        return {line.split()[2] for line in self.adapter.ask("poll", member)}

    def spread(self, seen, sizes):
        owned = []
        for member in self.members:
            seen |= self.polled(member)
            owned.append(self.adapter.ask("assigned", member))
        every = sorted(partition for partitions in owned for partition in partitions)
        if sorted(len(partitions) for partitions in owned) == sizes and every == [str(p) for p in range(6)]:
            return True
        return owned

    def go_on(self):
        ask = self.adapter.ask
        with self.step("commits are there after the restart"):
            self.equal(sorted(ask("committed", self.group, self.group_topic, 6)), [f"{p} 20" for p in range(6)])
        with self.step("a member goes on where the group committed"):
            ask("produce", self.group_topic, 6, "none", "all", "third", 6, EPOCH_MS + 120)
            ask("join", "e", self.group, self.group_topic)
            read = []

            def all_read():
                read.extend(line.split()[2] for line in ask("poll", "e"))
                return len(read) >= 6 or read
            self.until("read", all_read)
            ask("leave", "e")
            self.equal(sorted(read), [f"third-{i}" for i in range(6)])
        with self.step("the group is listed"):
            assert self.group in ask("groups"), f"not among {ask('groups')}"

    def refuse_transactions(self):
        if os.environ.get("KIND") == "kafka":
            return
        with self.step("a transactional producer fails within 2 s"):
            began = time.monotonic()
            error = self.adapter.ask("transaction", self.codecs_topic)
            took = time.monotonic() - began
            assert error, "no error"
            print(f"SAW transactional producer: {error[0]}", flush=True)
            assert took < 2, f"after {took:.1f} s: {error[0]}"

    def delete(self):
        ask = self.adapter.ask
        with self.step("delete the group"):
            self.until("deleted", lambda: self.tried("delete_group", self.group))
            self.until("no longer listed", lambda: self.group not in ask("groups") or ask("groups"))
        with self.step("delete the topics"):
            for topic in (self.codecs_topic, self.group_topic):
                ask("delete", topic)
            self.until("no longer listed",
                       lambda: not {self.codecs_topic, self.group_topic} & set(ask("topics")) or ask("topics"))

    # A member that was closed may be known for a moment longer.
    def tried(self, *words):
        try:
            self.adapter.ask(*words)
            return True
        except AssertionError as error:
            return str(error)

    @staticmethod
    def equal(seen, wanted):
        assert seen == wanted, f"{str(seen)[:300]} instead of {str(wanted)[:300]}"


def main():
    split = sys.argv.index("--")
    bootstrap, name, *options = sys.argv[1:split]
    admin = Adapter(shlex.split(options[1]) + [bootstrap], None) if options[:1] == ["--admin"] else None
    adapter = Adapter(sys.argv[split + 1:] + [bootstrap], admin)
    scenario = Scenario(name, adapter, shlex.split(os.environ["RESTART"]))
    try:
        scenario.run()
    finally:
        for each in (adapter, admin):
            if each is not None:
                each.close()
    sys.exit(1 if scenario.failed else 0)


main()
