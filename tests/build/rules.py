#!/usr/bin/env python3
"""Usage: rules.py SOURCE_DIR
Holds docs/RULES.md true: a row for each of the 50 rules of a Kafka broker; each names tests that are there, or says why
the rule is not ours; and every test that has a rule's number in its name stands in that rule's row. Prints what went
wrong; exit code 1 then.
"""
import pathlib
import re
import sys

RULES = range(1, 51)
NOT_OURS = {"transactions", "security", "several brokers", "KIP-848", "share groups"}


def rows(page):
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 3 and cells[0].isdigit():
            yield int(cells[0]), cells[2]


def tests_of(root):
    """Suite.Name of every C++ test, and the scripts by path."""
    tests = set()
    for source in (root / "tests").rglob("*_test.cc"):
        for suite, name in re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", source.read_text(), re.M):
            tests.add(f"{suite}.{name}")
    scripts = {str(path.relative_to(root / "tests")) for path in (root / "tests").rglob("*.txt")}
    return tests | scripts


def numbers_in(test):
    name = test.rsplit("/", 1)[-1].split(".", 1)[-1 if not test.endswith(".txt") else 0]
    found = re.match(r"(?:Rules?|rule_)(\d+)", name)
    if not found:
        return set()
    more = re.match(r"Rules?(?:\d+And)+(?:Rule)?(\d+)", name)
    return {int(found.group(1))} | ({int(more.group(1))} if more else set())


def faults(root):
    named = {}
    there = tests_of(root)
    for number, cell in rows((root / "docs" / "RULES.md").read_text()):
        if number in named:
            yield f"rule {number} has two rows"
        named[number] = set(re.findall(r"`([^`]+)`", cell))
        for test in named[number] - there:
            yield f"rule {number}: there is no test {test}"
        if not named[number] and cell.removeprefix("not served: ") not in NOT_OURS:
            yield f"rule {number} has no test"
    for number in set(RULES) - named.keys():
        yield f"rule {number} has no row"
    for test in sorted(there):
        for number in numbers_in(test):
            if test not in named.get(number, set()):
                yield f"rule {number}: {test} is not named"


def main():
    found = list(faults(pathlib.Path(sys.argv[1])))
    for fault in found:
        print(f"docs/RULES.md: {fault}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
