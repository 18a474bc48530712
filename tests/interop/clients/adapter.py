"""The loop of an adapter in Python: scenario.py says what the commands are."""
import sys
import threading
import time


class Unsupported(Exception):
    pass


class Member(threading.Thread):
    """A consumer of a group on a thread of its own, as programs have it: a rebalance needs every member to poll."""

    def __init__(self, consumer, poll, assigned, commit):
        super().__init__(daemon=True)
        self.consumer, self.poll_once, self.assigned, self.commit_now = consumer, poll, assigned, commit
        self.lock = threading.Lock()
        self.records, self.partitions, self.error = [], [], None
        self.commit_wanted, self.committed = threading.Event(), threading.Event()
        self.ended = threading.Event()
        self.start()

    def run(self):
        try:
            while not self.ended.is_set():
                records = self.poll_once(self.consumer)
                partitions = self.assigned(self.consumer)
                with self.lock:
                    self.records += records
                    self.partitions = partitions
                if self.commit_wanted.is_set():
                    self.commit_wanted.clear()
                    self.commit_now(self.consumer)
                    self.committed.set()
            self.consumer.close()
        except Exception as error:  # told to whoever asks next
            self.error = error

    def check(self):
        if self.error is not None:
            raise self.error

    def poll(self):
        self.check()
        with self.lock:
            records, self.records = self.records, []
            return records

    def commit(self):
        self.committed.clear()
        self.commit_wanted.set()
        if not self.committed.wait(20):
            self.check()
            raise RuntimeError("no commit within 20 s")

    def leave(self):
        self.ended.set()
        self.join(20)
        self.check()


class Adapter:
    """Each command is a method; words arrive as strings, what it returns are the lines of the answer."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.members = {}

    def join(self, member, group, topic):
        self.members[member] = self.new_member(group, topic)

    def poll(self, member):
        return [f"{p} {o} {k}" for p, o, k in self.members[member].poll()]

    def assigned(self, member):
        self.members[member].check()
        return [str(partition) for partition in sorted(self.members[member].partitions)]

    def commit(self, member):
        self.members[member].commit()

    def leave(self, member):
        self.members.pop(member).leave()


def gather(count, seconds, poll):
    """What poll() yields until there are `count` or the time is over; a moment longer, to see if there are too many."""
    records, end, extra = [], time.monotonic() + seconds, None
    while time.monotonic() < (extra or end):
        records += poll()
        if len(records) >= count and extra is None:
            extra = time.monotonic() + 0.2
    return records


def serve(adapter):
    for line in sys.stdin:
        name, *words = line.split()
        try:
            answer = getattr(adapter, name)(*words) or []
            sys.stdout.write("".join(f"= {line}\n" for line in answer) + "ok\n")
        except Unsupported:
            sys.stdout.write("unsupported\n")
        except Exception as error:
            sys.stdout.write(f"error {type(error).__name__}: {error}".replace("\n", " ") + "\n")
        sys.stdout.flush()
