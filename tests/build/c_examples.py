#!/usr/bin/env python3
"""Usage: c_examples.py COMPILER SOURCE_DIR INSTALLED_DIR
Builds docs/examples/c against the installed library by pkg-config, shared and static, without a warning of the C compiler
that belongs to COMPILER, and runs it against the installed broker and on a directory; runs docs/examples/python with the installed shared
library. Both print what they wrote, and are as short as the guide says. Prints what went wrong; exit code 1 then.
"""
import pathlib
import sys
import tempfile

from readme import broker, environment, run

EVENTS = ["12.50 EUR", "3.99 EUR", "-12.50 EUR"]
LINES_MAX = {"c/main.c": 50, "c/group.c": 50, "python/log.py": 60}


def expect(printed, events, what, begin=0):
    wanted = "".join(f"{offset} {event}\n" for offset, event in enumerate(events, begin))
    if printed != wanted:
        sys.exit(f"{what} printed:\n{printed}instead of:\n{wanted}")


def build(compiler, source, installed, folder, env):
    """The C examples, the first by each kind of library."""
    c_compiler = compiler.replace("g++", "gcc")
    strict = [c_compiler, "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror"]
    command = [*strict, source / "c" / "main.c", "-o"]
    flags = run(["pkg-config", "--cflags", "--libs", "flowstone-client"], folder, env).split()
    run([*command, "shared", *flags], folder, env)
    run([*strict, source / "c" / "group.c", "-o", "group", *flags], folder, env)
    flags = run(["pkg-config", "--static", "--cflags", "--libs", "flowstone-client"], folder, env).split()
    archive = [f"{installed}/lib/libflowstone_client.a" if flag == "-lflowstone_client" else flag for flag in flags]
    run([*command, "static", *archive], folder, env)
    for kind, needs in (("shared", True), ("static", False)):
        if ("libflowstone_client.so.0" in run(["readelf", "-d", kind], folder, env)) != needs:
            sys.exit(f"docs/examples/c: the {kind} program is not {kind}")


def run_against_broker(folder, env):
    with broker(["flowstoned", "--data", "served"], folder, env) as port:
        expect(run(["./shared", f"127.0.0.1:{port}"], folder, env), EVENTS, "docs/examples/c")
        # The topic is there by now, with its records: the same again reads the first three.
        expect(run(["./static", f"127.0.0.1:{port}"], folder, env), EVENTS, "docs/examples/c, static")
        for begin in (0, len(EVENTS)):
            expect(run(["./group", f"127.0.0.1:{port}"], folder, env), EVENTS, "docs/examples/c, a group", begin)
    expect(run(["./shared", "dir:held"], folder, env), EVENTS, "docs/examples/c, a directory")


def main(compiler, source, installed):
    examples = pathlib.Path(source) / "docs" / "examples"
    for name, lines in LINES_MAX.items():
        if len((examples / name).read_text().splitlines()) >= lines:
            sys.exit(f"docs/examples/{name} has {lines} lines or more")
    env = environment(installed)
    with tempfile.TemporaryDirectory() as folder:
        build(compiler, examples, installed, folder, env)
        run_against_broker(folder, env)
        python = [sys.executable, examples / "python" / "log.py", "embedded"]
        expect(run([*python, *EVENTS], folder, env), EVENTS, "docs/examples/python")
        expect(run([*python, "5.00 EUR"], folder, env), [*EVENTS, "5.00 EUR"], "docs/examples/python, again")
    print("C and Python: their examples do what they say")


main(*sys.argv[1:])
