#!/usr/bin/env python3
"""Makes the seeds of batch_fuzz and codec_fuzz, from the formats' specifications. Checked in; run again to change them."""

import gzip
import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus"
XERIAL = b"\x82SNAPPY\0" + struct.pack(">ii", 1, 1)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def varint(value):
    code, out = ((value << 1) ^ (value >> 63)) & 0xFFFFFFFFFFFFFFFF, b""
    while code > 127:
        out += bytes([code & 127 | 128])
        code >>= 7
    return out + bytes([code])


def nullable(text):
    return varint(-1) if text is None else varint(len(text)) + text


def record(offset, key, value, headers=(), time=0):
    body = b"\0" + varint(time) + varint(offset) + nullable(key) + nullable(value) + varint(len(headers))
    body += b"".join(nullable(name) + nullable(content) for name, content in headers)
    return varint(len(body)) + body


def batch(records, count, attributes=0, last=None, base=7):
    checked = struct.pack(">hiqqqhii", attributes, count - 1 if last is None else last, 10**12, 10**12, -1, -1, -1, count)
    checked += records
    return struct.pack(">qiib", base, 9 + len(checked), 3, 2) + struct.pack(">I", crc32c(checked)) + checked


def zstd_raw(text):
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(text)]) + struct.pack("<I", 1 | len(text) << 3)[:3] + text


def lz4_raw(text):
    return b"\x04\x22\x4d\x18\x60\x40\x82" + struct.pack("<I", len(text) | 1 << 31) + text + bytes(4)


def snappy_raw(text):
    return bytes([len(text), len(text) - 1 << 2]) + text


def xerial(text):
    block = snappy_raw(text)
    return XERIAL + struct.pack(">i", len(block)) + block


def main():
    plain = record(0, b"key", b"value") + record(1, None, None, time=-5) + record(2, b"", b"", [(b"h", b"x"), (b"", None)])
    short = record(0, b"k", b"short enough for one literal")
    batches = {
        "plain": batch(plain, 3),
        "compacted": batch(record(2, b"k", b"v"), 1, last=9),
        "empty": batch(b"", 0, last=4),
        "log_append_time": batch(plain, 3, attributes=8),
        "gzip": batch(gzip.compress(plain, mtime=0), 3, attributes=1),
        "snappy": batch(xerial(short), 1, attributes=2),
        "lz4": batch(lz4_raw(plain), 3, attributes=3),
        "zstd": batch(zstd_raw(plain), 3, attributes=4),
        "marker": batch(record(0, b"\0\0\0\1", bytes(6)), 1, attributes=0x30),
    }
    codecs = {
        "none": b"\0text",
        "gzip": b"\1" + gzip.compress(b"text text text text text", mtime=0),
        "snappy": b"\2" + snappy_raw(b"text"),
        "xerial": b"\2" + xerial(b"text"),
        "lz4": b"\3" + lz4_raw(b"text"),
        "zstd": b"\4" + zstd_raw(b"text"),
    }
    for target, seeds in {"batch_fuzz": batches, "codec_fuzz": codecs}.items():
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        for name, content in seeds.items():
            (CORPUS / target / name).write_bytes(content)


if __name__ == "__main__":
    main()
