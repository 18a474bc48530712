#!/usr/bin/env python3
"""Makes the seeds of journal_fuzz and checkpoint_fuzz, from docs/formats. Checked in; run again to change them."""

import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus"
BLOCK = 4096
MENDED, CHAINED, LOG = 1, 2, 4  # of journal_fuzz
BOTH, BODY, RIGHT, OPENED = 3, 4, 8, 16  # of checkpoint_fuzz

# Where in a commit that begins on a block: header, the first place, the first entry and its payload.
FIELDS = {
    "magic": (0, b"X"),
    "ring": (8, b"\1"),
    "sequence": (32, b"\xff"),
    "block": (44, b"\7"),
    "length": (48, b"\xff\xff\xff\x7f"),
    "entries": (52, b"\0"),
    "places": (56, b"\xff\xff"),
    "prior_sum": (64, b"\0"),
    "kind": (136, b"\3"),
    "topic": (144, b"\1"),
    "position": (168, b"\xff\xff\xff\xff\xff\xff\xff\x7f"),
    "base_offset": (176, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
    "epoch": (192, b"\xff\xff\xff\x7f"),
    "payload": (196, b"\xff\xff\xff\x7f"),
    "batch_delta": (200 + 23, b"\x80\0\0\0"),
}


def place(at):
    return struct.pack("<I", at)[:3]


def write(at, content):
    return place(at) + bytes([len(content)]) + content


def copy(to, source, blocks):
    return place(to) + bytes([2 << 6 | blocks]) + place(source)


def journal():
    seeds = {"whole": bytes([LOG]), "scanned": bytes([0])}
    ways = (0, LOG, MENDED | LOG, MENDED | CHAINED | LOG)
    for i, (name, (at, content)) in enumerate(FIELDS.items()):
        block = 1 + 3 * i % 20
        seeds[name] = bytes([ways[i % 4]]) + write(block * BLOCK + at, content)
        seeds[name + "_forged"] = bytes([ways[3]]) + write((block + 2) * BLOCK + at, content)
    seeds["header"] = bytes([LOG]) + write(36, b"\1")
    seeds["gone"] = bytes([LOG]) + copy(5 * BLOCK, 7 * BLOCK, 1)
    seeds["moved"] = bytes([MENDED | LOG]) + copy(3 * BLOCK, 9 * BLOCK, 3)
    return seeds


def body(number, partitions=(), lost=b""):
    """A slot without its head: one ring, and these partitions."""
    ring = bytes(16) + struct.pack("<IIQQ", 0, 0, 1, 0)
    out = struct.pack("<Q16sIIq", number, bytes(16), 2, 0, 10**12) + struct.pack("<I", 1) + ring
    return out + struct.pack("<I", len(partitions)) + b"".join(partitions) + lost


def partition(proven=4096, pieces=0, epochs=1, producers=b""):
    out = b"\1" * 16 + struct.pack("<iqQqQqqq", 0, 0, proven, 0, proven, 5, 5, 0)
    out += struct.pack("<IIqqqq", 1, 1, 0, 10**12, 10**12, 4)
    out += struct.pack("<I", pieces) + bytes(16 * pieces)
    out += struct.pack("<I", epochs) + struct.pack("<iq", 1, 0) * epochs
    return out + struct.pack("<I", len(producers)) + producers


def checkpoint():
    lost = struct.pack("<I", 1) + b"\1" * 16 + struct.pack("<iqqQIqqI", 0, 3, 5, 7, 0, 0, 100, 0)
    return {
        "whole": bytes([OPENED]),
        "edited": bytes([1]) + write(40, b"\4"),
        "one_opened": bytes([1 | OPENED]) + write(40, b"\4"),
        "both_opened": bytes([BOTH | OPENED]) + write(40, b"\4"),
        "number": bytes([1 | RIGHT | OPENED]) + write(32, b"\xff\xff\xff\xff\xff\xff\xff\x7f"),
        "generation": bytes([BOTH | RIGHT | OPENED]) + write(56, b"\xff\xff\xff\xff"),
        "clean": bytes([BOTH | RIGHT | OPENED]) + write(60, b"\1"),
        "rings": bytes([BOTH | RIGHT | OPENED]) + write(72, b"\xff\xff\xff\xff"),
        "first_sequence": bytes([BOTH | RIGHT | OPENED]) + write(100, b"\xff\xff\xff\xff"),
        "partitions": bytes([BOTH | RIGHT | OPENED]) + write(116, b"\xff\xff\xff\xff"),
        "proven": bytes([BOTH | RIGHT | OPENED]) + write(148, b"\xff\xff\xff\xff\xff\xff\xff\x7f"),
        "log_start": bytes([BOTH | RIGHT | OPENED]) + write(156, b"\xff\xff\xff\xff\xff\xff\xff\x7f"),
        "empty": bytes([1 | BODY | RIGHT]) + body(2),
        "partition": bytes([1 | BODY | RIGHT]) + body(2, [partition(pieces=2, epochs=3, producers=b"x" * 9)]),
        "lost": bytes([1 | BODY | RIGHT]) + body(2, [partition()], lost),
        "other_directory": bytes([BOTH | BODY | RIGHT | OPENED]) + body(2, [partition()]),
    }


def main():
    for target, seeds in {"journal_fuzz": journal(), "checkpoint_fuzz": checkpoint()}.items():
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        for name, content in seeds.items():
            (CORPUS / target / name).write_bytes(content)


if __name__ == "__main__":
    main()
