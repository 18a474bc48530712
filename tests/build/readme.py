#!/usr/bin/env python3
"""Usage: readme.py COMPILER SOURCE_DIR INSTALLED_DIR
Does what README.md tells a reader to do: compiles and runs its C++ block, runs its shell block line by line in an empty
directory, starts its broker and, where there is kcat, produces and consumes with it; and holds each block to under ten
lines. Prints what went wrong; exit code 1 then.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

PROGRAM = """
#include <cstdio>
#include <flowstone/log.h>
using namespace std::chrono_literals;
static int handled = 0;
static void handle(const flowstone::RecordView& record) {{ handled += record.key == "7" && record.value == "12.50"; }}
static int complain(const std::string& text) {{ std::fprintf(stderr, "%s\\n", text.c_str()); return 2; }}
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


def run_broker(block, folder, env):
    """The block's own lines, but on ports that are free."""
    start, *rest = block.splitlines()
    command = start.split("&")[0].split()
    broker = subprocess.Popen([*command, "--listen", "127.0.0.1:0", "-X", "http=127.0.0.1:0"], cwd=folder, env=env,
                              stdout=subprocess.PIPE, text=True)
    try:
        printed = ""
        while "metrics" not in printed:
            line = broker.stdout.readline()
            if not line:
                sys.exit(f"the broker ended: {printed}")
            printed += line
        port = re.search(r"127\.0\.0\.1:(\d+)", printed).group(1)
        if shutil.which("kcat") is None:
            print("README.md: there is no kcat, the broker was only started")
        else:
            lines = "\n".join(rest).replace("127.0.0.1:9092", f"127.0.0.1:{port}")
            told = run(["bash", "-euo", "pipefail", "-c", lines], folder, env)
            if "hello" not in told:
                sys.exit(f"kcat did not print what it was given:\n{told}")
    finally:
        broker.terminate()
        if broker.wait(timeout=60) != 0:
            sys.exit(f"the broker ended with {broker.returncode}")


def main(compiler, source, installed):
    text = (pathlib.Path(source) / "README.md").read_text()
    blocks = dict(re.findall(r"```(cpp|sh|console)\n(.*?)```", text, re.S))
    for kind in ("cpp", "sh", "console"):
        if not 0 < len(blocks[kind].splitlines()) < 10:
            sys.exit(f"README.md: the {kind} block is not under ten lines")
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "readme.cc").write_text(PROGRAM.format(block=blocks["cpp"]))
        env = os.environ | {"PKG_CONFIG_PATH": f"{installed}/lib/pkgconfig", "LD_LIBRARY_PATH": f"{installed}/lib",
                            "PATH": f"{installed}/bin:{os.environ['PATH']}"}
        flags = run(["pkg-config", "--cflags", "--libs", "flowstone"], folder, env).split()
        run([compiler, "-std=c++23", "-Wall", "-Wextra", "-Werror", "readme.cc", "-o", "readme", *flags], folder, env)
        run(["./readme"], folder, env)
        printed = run(["bash", "-euo", "pipefail", "-c", blocks["sh"]], folder, env)
        for amount in ("12.50", "3.99"):
            if amount not in printed:
                sys.exit(f"the shell block did not print {amount}:\n{printed}")
        run_broker(blocks["console"], folder, env)
    print("README.md does what it says")


main(*sys.argv[1:])
