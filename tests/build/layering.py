#!/usr/bin/env python3
"""Checks what the compiler cannot: who may include whom, and who may speak to the operating system.

    layering.py SOURCE_DIR     prints one line per fault; exit code 1 when there is one
    layering.py --self-test    plants faults and expects each to be found

The rules are those of docs/ARCHITECTURE.md: arrows run down only, a room's impl/ is its own, and time, randomness,
files, threads and the network are reached through doors. Text is searched with comments and strings taken out.
"""
import pathlib
import re
import sys
import tempfile

# Who may include whom. Tests and benchmarks look at everything.
MAY_INCLUDE = {
    "storage": {"storage"},
    "log": {"log", "storage"},
    "net": {"net", "net/kafka", "net/transport", "log", "storage"},
    "net/kafka": {"net/kafka", "storage"},
    "net/transport": {"net/transport", "net/kafka", "storage"},
    "net/broker": {"net/broker", "net", "net/transport", "net/kafka", "log", "storage"},
    "client": {"client", "net", "net/transport", "net/kafka", "storage"},
    "client/c": {"client/c", "storage"},  # and every public header
    "client/fintech": {"client/fintech", "storage"},  # and every public header: what an outsider could write
    "client/embedded": {"client", "client/embedded", "net", "net/broker", "net/transport", "net/kafka", "storage", "log"},
    "tools": {"tools", "client", "client/embedded", "client/fintech", "net", "net/broker", "net/transport", "net/kafka", "log", "storage"},
}
ROOMS = ("storage", "log", "net", "client", "tools", "bench", "tests")
TOP = set(ROOMS) | {"docs", ".ci", "build"}
NO_ROOM_NAMES = {"utils", "util", "common", "types", "helpers", "misc"}

# The files behind the doors, and what each may name that others may not.
DOORS = {
    "storage/disk.h": {"sys/uio.h"},  # iovec, the type of a request's pieces
    "storage/impl/posix_disk.cc": "any",
    "storage/impl/uring_disk.cc": "any",
    "storage/impl/transfer.h": "any",
    "storage/impl/transfer.cc": "any",
    "storage/impl/system_clock.cc": "any",
    "storage/impl/random.cc": "any",
    "storage/impl/thread.cc": "any",
    "storage/impl/lock.cc": "any",
    "storage/impl/shared_memory.cc": "any",
    "storage/impl/fork_guard.cc": "any",
    "net/transport/impl/epoll_network.cc": "any",
    "net/transport/impl/unix_socket.cc": "any",
    "net/transport/impl/socket_descriptor.h": "any",
    "tools/flowstoned/signals.cc": {"csignal"},
    "storage/impl/buffer.cc": {"sys/mman.h", "madvise", "mmap", "munmap"},
}

SYSTEM_HEADERS = re.compile(
    r"^(unistd|fcntl|dirent|poll|pthread|sched|signal|spawn|syscall|termios|liburing|liburing/.*|sys/.*|linux/.*"
    r"|netdb|arpa/.*|netinet/.*|net/if)\.h$")
STANDARD_DOORS = {"thread", "future", "random", "ctime", "time.h", "filesystem", "fstream", "csignal",
                  "condition_variable", "mutex", "shared_mutex", "semaphore", "barrier", "latch"}
C_HEADERS = {"stddef.h", "stdint.h", "string.h"}
LOCKS = {"condition_variable", "mutex", "shared_mutex", "semaphore", "barrier", "latch"}  # no system call is named
NAMES = re.compile(
    r"std::(?:jthread|thread|async|random_device|mt19937\w*|filesystem|[io]?fstream|signal)\b|\bthis_thread\b"
    r"|_clock\s*::\s*now\b|\b(?:clock_gettime|gettimeofday|getrandom|madvise|mmap|munmap|io_uring_\w+|syscall|pthread_\w+"
    r"|fdatasync|fallocate|preadv2?|pwritev2?|ftruncate|openat2?|epoll_\w+|eventfd|usleep|nanosleep)\s*\("
    r"|(?<![\w.>:])::(?:open|close|read|write|pread|pwrite|fsync|rename|unlink|mkdir|rmdir|stat|fstat|time|fork|getpid)\s*\(")


def code_only(text):
    """The text with comments and the insides of strings blanked; line numbers stay."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\'', re.S)

    def blank(match):
        found = match.group(0)
        if found.startswith('"') or found.startswith("R"):
            return '"' + "\n" * found.count("\n") + '"'
        return "\n" * found.count("\n")
    return pattern.sub(blank, text)


def room_of(path):
    for room in sorted(MAY_INCLUDE, key=len, reverse=True):
        if path.startswith(room + "/"):
            return room
    return path.split("/", 1)[0]


def public_headers(root):
    """<flowstone/x.h> to the room it lives in, as CMakeLists.txt says."""
    text = (root / "CMakeLists.txt").read_text()
    listed = re.search(r"set\(FLOWSTONE_PUBLIC_HEADERS\s+([^)]*)\)", text).group(1).split()
    return {"flowstone/" + path.rsplit("/", 1)[1]: path for path in listed}


def check_file(path, text, public, faults):
    room = room_of(path)
    door = DOORS.get(path, set())
    free = room in ("tests", "bench")
    is_public = path in public.values()
    for number, line in enumerate(text.splitlines(), 1):
        included = re.match(r'\s*#\s*include\s*([<"])([^">]+)[">]', line)
        if not included:
            continue
        quote, name = included.groups()
        where = f"{path}:{number}"
        target = public.get(name, name if quote == '"' else None)
        if is_public and (target is not None or "/" in name or name.endswith(".h")) and name not in C_HEADERS | public.keys():
            faults.append(f"{where}: a public header includes {name}: only the standard library and <flowstone/...>")
        if free:
            continue
        if target is not None:
            other = target.split("/", 1)[0]
            if other == "tests":
                faults.append(f"{where}: only tests include tests")
            elif room == "client" and name == "flowstone/log.h":
                pass  # one vocabulary for both: From, Position, TopicOptions
            elif room in ("client/c", "client/fintech") and name in public:
                pass
            elif other in ROOMS and room_of(target) not in MAY_INCLUDE.get(room, {room}):
                faults.append(f"{where}: {room} must not include {target}: arrows run down only")
            if "/impl/" in target and other != path.split("/", 1)[0]:
                faults.append(f"{where}: {target} is private to {other}")
        elif door != "any" and name not in door:
            if room != "tools" and (SYSTEM_HEADERS.match(name) or name in STANDARD_DOORS - LOCKS):
                faults.append(f"{where}: <{name}> belongs behind a door (DOORS in tests/build/layering.py)")
    if free or room == "tools" or door == "any":
        return
    for number, line in enumerate(code_only(text).splitlines(), 1):
        for match in NAMES.finditer(line):
            word = re.sub(r"[^\w]+$", "", match.group(0))
            if word not in door:
                faults.append(f"{path}:{number}: {word} belongs behind a door (DOORS in tests/build/layering.py)")


def check(root):
    faults = []
    public = public_headers(root)
    for entry in sorted(root.iterdir()):
        if entry.is_dir() and entry.name not in TOP and not entry.name.startswith(".git") and any(entry.rglob("*.cc")):
            faults.append(f"{entry.name}/: not one of the rooms")
    for room in ROOMS:
        for path in sorted((root / room).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_dir() or path.suffix not in (".h", ".cc", ".inc"):
                continue
            if NO_ROOM_NAMES & set(re.split(r"[/.]", name)):
                faults.append(f"{name}: a thing lives with its owner, not in utils, common or types")
            text = path.read_text()
            if path.suffix == ".h" and "#pragma once" not in text:
                faults.append(f"{name}: no #pragma once")
            check_file(name, text, public, faults)
    return faults


def self_test():
    planted = {
        "storage/up.cc": ('#include "log/order.h"\n', "arrows run down only"),
        "storage/up_public.cc": ("#include <flowstone/log.h>\n", "arrows run down only"),
        "log/up.cc": ('#include "net/frame.h"\n', "arrows run down only"),
        "net/kafka/up.cc": ('#include "log/order.h"\n', "arrows run down only"),
        "net/backwards.cc": ('#include "net/broker/group.h"\n', "arrows run down only"),
        "client/inside.cc": ('#include "net/broker/group.h"\n', "arrows run down only"),
        "client/fintech/inside.cc": ('#include "client/impl/stage_core.h"\n', "arrows run down only"),
        "net/kafka/sideways.cc": ('#include "net/frame.h"\n', "arrows run down only"),
        "log/peek.cc": ('#include "storage/impl/segment_file.h"\n', "private to storage"),
        "tools/flowstone/peek.cc": ('#include "log/impl/order.h"\n', "private to log"),
        "log/borrowed.cc": ('#include "tests/sim/world/sim_disk.h"\n', "only tests include tests"),
        "log/file.cc": ("#include <fcntl.h>\n", "belongs behind a door"),
        "log/clock.cc": ("auto t = std::chrono::steady_clock::now();\n", "belongs behind a door"),
        "log/thread.cc": ("std::jthread t(f);\n", "belongs behind a door"),
        "log/dice.cc": ("std::random_device dice;\n", "belongs behind a door"),
        "storage/impl/sneaky.cc": ("long n = ::pread(fd, p, 1, 0);\n", "belongs behind a door"),
        "storage/impl/ring.cc": ("#include <liburing.h>\n", "belongs behind a door"),
        "log/log.h": ('#pragma once\n#include "storage/bytes.h"\n', "a public header includes"),
        "storage/bare.h": ("int x;\n", "no #pragma once"),
        "log/common/x.cc": ("\n", "lives with its owner"),
    }
    innocent = {
        "log/words.cc": '// std::thread and ::open( in a comment\nauto s = "std::thread steady_clock::now()";\n',
        "log/impl/down.cc": '#include "log/impl/down.h"\n#include "storage/bytes.h"\n#include <flowstone/log.h>\n'
                            '#include <mutex>\nauto r = disk.open(path); file.read(x); Segment::open(y);\n',
        "net/broker/group.cc": '#include "net/broker/group.h"\n#include "net/frame.h"\n#include "net/kafka/error_code.h"\n'
                               '#include "log/consumer_offsets.h"\n',
        "client/fintech/stage.cc": '#include <flowstone/log.h>\n#include "client/fintech/stage.h"\n#include "storage/bytes.h"\n',
        "net/frame.cc": '#include "net/kafka/produce.h"\n#include "log/order.h"\n#include "storage/bytes.h"\n',
        "tests/log/any_test.cc": '#include "storage/impl/x.h"\n#include <thread>\n',
        "storage/disk.h": "#pragma once\n#include <sys/uio.h>\n",
        "storage/impl/buffer.cc": "#include <sys/mman.h>\nvoid* p = mmap(0, 1, 2, 3, 4, 5);\n",
    }
    failed = 0
    for name, (text, expected) in list(planted.items()) + [("", ("", ""))]:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "CMakeLists.txt").write_text("set(FLOWSTONE_PUBLIC_HEADERS log/log.h storage/ids.h)\n")
            for path, content in innocent.items() | ({(name, text)} if name else set()):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(content)
            faults = check(root)
            right = len(faults) == 1 and expected in faults[0] if name else faults == []
            if not right:
                failed += 1
                print(f"planted {name or 'nothing'}: found {faults or 'nothing'}")
    print("self-test:", "failed" if failed else f"{len(planted)} planted faults found, innocent code passes")
    return failed


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(1 if self_test() else 0)
    found = check(pathlib.Path(sys.argv[1]))
    print("\n".join(found) if found else "no fault")
    sys.exit(1 if found else 0)
