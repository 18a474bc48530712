#!/usr/bin/env python3
"""Usage: readme.py COMPILER SOURCE_DIR INSTALLED_DIR
Does what README.md tells a reader to do: compiles and runs its C++ block, runs its shell block line by line in an empty
directory, and holds each to under ten lines. Prints what went wrong; exit code 1 then.
"""
import os
import pathlib
import re
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


def main(compiler, source, installed):
    text = (pathlib.Path(source) / "README.md").read_text()
    blocks = dict(re.findall(r"```(cpp|sh)\n(.*?)```", text, re.S))
    for kind in ("cpp", "sh"):
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
    print("README.md does what it says")


main(*sys.argv[1:])
