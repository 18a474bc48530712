#!/usr/bin/env python3
"""The library and the reader written from the pages read the same directories and must say the same.

    run.py PEER [--seed N] [--crashes N] [--kills N] [--suite SIM_TEST [--every N]] [DIRECTORY]

Directories: a clean close, processes killed at work, power loss on the simulated disk, and copies with a flipped bit in
the last commit or the newest checkpoint slot. With SIM_TEST, which is the program of tests/sim, those of its crash suite,
or of it every Nth. PEER is tests/oracle/peer.cc. With DIRECTORY, what disagrees is left there.
"""
import argparse
import contextlib
import io
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import flowstone_oracle as oracle

SHAPES = "Durable Written Memory Rings RingsWritten RingWraps RingGrows".split()  # of tests/sim/crash_test.cc


def by_the_pages(directory):
    """The lines, or why there are none."""
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            oracle.main([str(directory)])
    except oracle.Damage as damage:
        return None, str(damage)
    hidden = '{"topic":"%s"' % oracle.METADATA  # the library's own; nobody reads it
    return [line for line in out.getvalue().splitlines() if not line.startswith(hidden)], ""


def by_the_library(peer, directory):
    done = subprocess.run([peer, "read", directory], capture_output=True, text=True)
    if done.returncode not in (0, 2):
        return None, "it died: %d %s" % (done.returncode, done.stderr)
    return (done.stdout.splitlines(), "") if done.returncode == 0 else (None, done.stderr.strip())


def difference(pages, library):
    ours, why = pages
    theirs, answer = library
    if (ours is None) != (theirs is None):
        return "the pages say %s, the library %s" % (why or "it opens", answer or "it opens")
    for ours, theirs in zip(ours or [], theirs or []):
        if ours != theirs:
            return "the pages say\n  %.400s\nthe library\n  %.400s" % (ours, theirs)
    if pages[0] is not None and len(pages[0]) != len(library[0]):
        return "%d lines by the pages, %d by the library" % (len(pages[0]), len(library[0]))
    return ""


class Comparison:
    def __init__(self, peer, root, keep):
        self.peer, self.root, self.keep = peer, root, keep
        self.compared = self.refused = self.lines = self.failures = 0

    def compare(self, directory, what, may_refuse=False):
        """The library opens it for writing, so the pages come first."""
        pages = by_the_pages(directory)
        if self.keep:
            shutil.copytree(directory, str(directory) + ".as-found")
        wrong = difference(pages, by_the_library(self.peer, directory))
        if not wrong and pages[0] is None and not may_refuse:
            wrong = "both refuse what only a crash has touched: " + pages[1]
        if wrong:
            self.failures += 1
            print("FAILED %s (%s): %s" % (what, directory.name, wrong), flush=True)
            return
        self.compared += 1
        self.refused += pages[0] is None
        self.lines += len(pages[0] or [])
        shutil.rmtree(directory)
        if self.keep:
            shutil.rmtree(str(directory) + ".as-found")

    def copy(self, directory, name):
        to = self.root / name
        shutil.copytree(directory, to)
        return to


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 4]))


def last_commit(directory):
    """File and place of the journal's last commit, or None."""
    checkpoint = oracle.read_checkpoint(directory, [])
    best = None
    for ring in checkpoint["rings"]:
        for sequence, commit in oracle.read_ring(directory, ring, []).items():
            if sequence >= ring["first"] and (best is None or sequence > best[0]):
                best = (sequence, commit.path, commit.at)
    return best and best[1:]


def newest_slot(directory):
    return directory / ("flowstone-checkpoint-%d" % (oracle.read_checkpoint(directory, [])["number"] % 2))


def killed(peer, directory, seed, rounds):
    """A process that dies by SIGKILL in the middle of a round."""
    with subprocess.Popen([peer, "load", directory, str(seed)], stdout=subprocess.PIPE, text=True) as load:
        for _ in range(rounds):
            if not load.stdout.readline():
                raise SystemExit("the load ended before it was killed")
        load.send_signal(signal.SIGKILL)


def run(options, root):
    comparison = Comparison(options.peer, root, options.directory is not None)
    clean = root / "clean"
    subprocess.run([options.peer, "work", clean, str(options.seed)], check=True, stdout=subprocess.DEVNULL)
    slot = comparison.copy(clean, "clean-slot")
    flip(newest_slot(slot), 40)
    comparison.compare(clean, "a clean close")
    comparison.compare(slot, "a clean close, newest slot damaged", may_refuse=True)

    for number in range(options.kills):
        seed = options.seed + number
        directory = root / ("killed-%d" % seed)
        killed(options.peer, directory, seed, 10 + 23 * number)
        damage(comparison, directory, "killed, seed %d" % seed)

    if options.crashes > 0:
        power_lost(comparison, options, root / "crashed")
    if options.suite is not None:
        crash_suite(comparison, options, root / "suite")
    print("%(compared)d directories agree, %(refused)d of them refused by both, %(lines)d lines" % vars(comparison))
    return 1 if comparison.failures or not comparison.lines else 0


def power_lost(comparison, options, crashed):
    made = subprocess.run([options.peer, "crash", crashed, str(options.seed), str(options.crashes)],
                          stdout=subprocess.PIPE, text=True, check=True)
    for number, line in enumerate(made.stdout.splitlines()):
        directory, point = line.split(" ", 1)
        what = "power loss, seed %d, %s" % (options.seed, point)
        if number % 4 == 0:
            damage(comparison, pathlib.Path(directory), what)
        else:
            comparison.compare(pathlib.Path(directory), what)


def crash_suite(comparison, options, folder):
    """One shape at a time, because all of their files together are many."""
    tests = {shape: "Shapes/CrashTest.EveryPromiseHoldsAfterPowerLoss/" + shape for shape in SHAPES}
    tests["Copied"] = "CopiedCrashTest.*"  # tests/sim/copied_crash_test.cc
    for shape, test in tests.items():
        environment = dict(os.environ, FLOWSTONE_SIM_FILES=str(folder), FLOWSTONE_SIM_FILES_EVERY=str(options.every))
        subprocess.run([options.suite, "--gtest_filter=" + test], check=True, stdout=subprocess.DEVNULL, env=environment)
        directories = sorted(folder.glob(shape + "-*"))
        if not directories:
            raise SystemExit("the crash suite has no " + shape)
        for directory in directories:
            # A log whose making was cut off has nothing to agree about.
            comparison.compare(directory, "crash suite", may_refuse=True)


def damage(comparison, directory, what):
    """Compares a directory, and copies of it with a flipped bit."""
    last = last_commit(directory)
    if last is not None:
        torn = comparison.copy(directory, directory.name + "-torn")
        flip(torn / last[0].name, last[1] + 100)
        comparison.compare(torn, what + ", last commit damaged", may_refuse=True)
    slot = comparison.copy(directory, directory.name + "-slot")
    flip(newest_slot(slot), 40)
    comparison.compare(slot, what + ", newest slot damaged", may_refuse=True)
    comparison.compare(directory, what)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", type=pathlib.Path)
    parser.add_argument("directory", type=pathlib.Path, nargs="?")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--crashes", type=int, default=16)
    parser.add_argument("--suite", type=pathlib.Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--kills", type=int, default=3)
    options = parser.parse_args()
    options.peer = options.peer.resolve()  # a name alone would be looked for elsewhere
    options.suite = options.suite and options.suite.resolve()
    if options.directory is not None:
        options.directory.mkdir(parents=True, exist_ok=True)
        return run(options, options.directory)
    with tempfile.TemporaryDirectory() as root:
        return run(options, pathlib.Path(root))


if __name__ == "__main__":
    sys.exit(main())
