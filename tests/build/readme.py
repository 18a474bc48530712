#!/usr/bin/env python3
"""Usage: readme.py COMPILER SOURCE_DIR INSTALLED_DIR
Does what README.md tells a reader to do: compiles and runs its C++ block, runs its shell block line by line in an empty
directory, starts its broker and, where there is kcat, produces and consumes with it; and holds each block to under ten
lines. Each C++ block of docs/CLIENT.md that opens a client is a program, too, which is run against a broker of its own and
must handle a record. Every --flag that the pages name is one of our programs' or of ./dev. Prints what went wrong; exit
code 1 then.
"""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FLAG = r"(?<![\w-])--[a-z][\w-]*"
FLAGS_OF_OTHERS = {"--cflags", "--libs", "--describe", "--gtest_filter", "--rounds"}  # e.g. pkg-config's, the benchmarks'
LIBRARY = {"log": "flowstone", "client": "flowstone-client"}
PROGRAM = """
#include <cstdio>
#include <flowstone/{header}.h>
using namespace std::chrono_literals;
static int handled = 0;
static void handle(const flowstone::RecordView& record) {{ handled += record.key == "7" && record.value == "12.50"; }}
[[maybe_unused]] static int complain(const std::string& text) {{ std::fprintf(stderr, "%s\\n", text.c_str()); return 2; }}
int main() {{
    const char* card = "7";
    const char* event = "12.50";
{block}
    return handled == 1 ? 0 : 1;
}}
"""


def run(command, folder, env=None):
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        sys.exit(f"exit code {done.returncode}: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def environment(installed):
    return os.environ | {"PKG_CONFIG_PATH": f"{installed}/lib/pkgconfig", "LD_LIBRARY_PATH": f"{installed}/lib",
                         "PATH": f"{installed}/bin:{os.environ['PATH']}"}


@contextlib.contextmanager
def broker(command, folder, env):
    """The port on which a broker listens, on ports that are free whatever the command says; it must end well."""
    process = subprocess.Popen([*command, "--listen", "127.0.0.1:0", "-X", "http=127.0.0.1:0"], cwd=folder, env=env,
                               stdout=subprocess.PIPE, text=True)
    try:
        printed = ""
        while "metrics" not in printed:
            line = process.stdout.readline()
            if not line:
                sys.exit(f"the broker ended: {printed}")
            printed += line
        yield re.search(r"127\.0\.0\.1:(\d+)", printed).group(1)
    finally:
        process.terminate()
        if process.wait(timeout=60) != 0:
            sys.exit(f"the broker ended with {process.returncode}")


def run_broker(block, folder, env):
    """The block's own lines, with the port that is free."""
    start, *rest = block.splitlines()
    with broker(start.split("&")[0].split(), folder, env) as port:
        if shutil.which("kcat") is None:
            print("README.md: there is no kcat, the broker was only started")
            return
        lines = "\n".join(rest).replace("127.0.0.1:9092", f"127.0.0.1:{port}")
        told = run(["bash", "-euo", "pipefail", "-c", lines], folder, env)
        if "hello" not in told:
            sys.exit(f"kcat did not print what it was given:\n{told}")


def run_program(compiler, header, block, folder, env):
    (pathlib.Path(folder) / "block.cc").write_text(PROGRAM.format(header=header, block=block))
    flags = run(["pkg-config", "--cflags", "--libs", LIBRARY[header]], folder, env).split()
    run([compiler, "-std=c++23", "-Wall", "-Wextra", "-Werror", "block.cc", "-o", "block", *flags], folder, env)
    run(["./block"], folder, env)


def run_guide(compiler, page, env):
    blocks = [block for block in re.findall(r"```cpp\n(.*?)```", page.read_text(), re.S) if "Client::open" in block]
    if not blocks:
        sys.exit(f"{page.name} has no program")
    for number, block in enumerate(blocks, 1):
        with tempfile.TemporaryDirectory() as folder:
            with broker(["flowstoned", "--data", "served"], folder, env) as port:
                run_program(compiler, "client", block.replace("127.0.0.1:9092", f"127.0.0.1:{port}"), folder, env)
        print(f"{page.name}: block {number} of {len(blocks)} does what it says")


def check_flags(source, env):
    manual = run(["flowstone", "manual"], source, env).replace("\\-", "-")  # as roff has it
    known = FLAGS_OF_OTHERS | set(re.findall(FLAG, manual + run(["flowstoned", "--help"], source, env) +
                                             run(["flowstone-fintech", "--help-all"], source, env) +
                                             run(["./dev", "--help"], source)))
    pages = [path for path in sorted(source.glob("docs/**/*.md")) if path.name != "PERFORMANCE.md"]  # the benchmarks'
    for page in [source / "README.md", *pages]:
        unknown = set(re.findall(FLAG, page.read_text())) - known
        if unknown:
            sys.exit(f"{page.name} names flags that no program has: {' '.join(sorted(unknown))}")
    print("no page names a flag that is not there")


def main(compiler, source, installed):
    text = (pathlib.Path(source) / "README.md").read_text()
    blocks = dict(re.findall(r"```(cpp|sh|console)\n(.*?)```", text, re.S))
    for kind in ("cpp", "sh", "console"):
        if not 0 < len(blocks[kind].splitlines()) < 10:
            sys.exit(f"README.md: the {kind} block is not under ten lines")
    env = environment(installed)
    with tempfile.TemporaryDirectory() as folder:
        run_program(compiler, "log", blocks["cpp"], folder, env)
        printed = run(["bash", "-euo", "pipefail", "-c", blocks["sh"]], folder, env)
        for amount in ("12.50", "3.99"):
            if amount not in printed:
                sys.exit(f"the shell block did not print {amount}:\n{printed}")
        run_broker(blocks["console"], folder, env)
    print("README.md does what it says")
    check_flags(pathlib.Path(source), env)
    run_guide(compiler, pathlib.Path(source) / "docs" / "CLIENT.md", env)


if __name__ == "__main__":
    main(*sys.argv[1:])
