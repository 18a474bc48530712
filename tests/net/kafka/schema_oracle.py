#!/usr/bin/env python3
"""Kafka's message schemas read a second time, and the library must agree with them in every version.

    schema_oracle.py PEER SCHEMAS [--seed N] [--cases N] [--only NAME]

SCHEMAS is a directory with Kafka's *Request.json and *Response.json; PEER is tests/net/kafka/wire_peer.cc. For each
message and version: seeded values are written here, the peer decodes them, prints what it understood (so that two fields
of one type cannot be swapped unseen, and defaults are checked) and encodes them again, at that version and at another.
Then with unknown tagged fields at every depth, cut short, and with flipped bytes: both refuse, or both agree. Nothing
here knows net/kafka/: the rules are those of the schemas' own README, KIP-482, and docs/protocol/messages.md for what is
refused. Exit code 0: all agree; 1: not; 77: SCHEMAS is not there.
"""
import argparse
import base64
import json
import pathlib
import random
import re
import struct
import subprocess
import sys
import uuid

ARRAY_MAX, TAGS_MAX, STRING_MAX = 1_000_000, 10_000, 32767
NUMBERS = {"int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "float64": ">d"}
# What no client sends: between brokers, controllers, and the share coordinator's state.
INTERNAL = set("""Vote BeginQuorumEpoch EndQuorumEpoch AlterPartition Envelope FetchSnapshot BrokerRegistration
    BrokerHeartbeat AllocateProducerIds ControllerRegistration AssignReplicasToDirs UpdateRaftVoter
    InitializeShareGroupState ReadShareGroupState WriteShareGroupState DeleteShareGroupState ReadShareGroupStateSummary""".split())
STABLE_UNTIL = {"InitProducerId": 5}  # Kafka calls the version after it unstable, and we do not have it


# --- schemas ------------------------------------------------------------------------------------------------------

def strip_comments(text):
    return re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*', lambda found: found.group(1) or "", text)


class Range:
    def __init__(self, text):
        text = text or "none"
        self.low, self.high = 1, 0
        if text.endswith("+"):
            self.low, self.high = int(text[:-1]), 1 << 20
        elif text != "none":
            ends = text.split("-")
            self.low, self.high = int(ends[0]), int(ends[-1])

    def __contains__(self, version):
        return self.low <= version <= self.high


def snake(name):
    out = ""
    for at, letter in enumerate(name):
        if letter.isupper() and at > 0:
            after = name[at + 1] if at + 1 < len(name) else ""
            if not name[at - 1].isupper() or after.islower():
                out += "_"
        out += letter.lower()
    return out


class Field:
    def __init__(self, schema, structs):
        self.name = snake(schema["name"])
        kind = schema["type"].strip()
        self.is_list, self.kind = kind.startswith("[]"), kind.removeprefix("[]")
        self.versions = Range(schema["versions"])
        self.nullable = Range(schema.get("nullableVersions"))
        self.tag = schema.get("tag")
        self.ignorable = schema.get("ignorable") in (True, "true")
        self.fields = None
        if self.kind not in NUMBERS and self.kind not in ("bool", "string", "bytes", "records", "uuid"):
            self.fields = read_fields(schema.get("fields") or structs[self.kind], structs)
        self.default = self.read_default(schema.get("default"))

    def read_default(self, text):
        if text == "null":
            return None
        if self.is_list:
            return []
        if self.fields is not None:
            return defaults(self.fields)
        if self.kind == "bool":
            return str(text).lower() == "true"
        if self.kind == "float64":
            return float(text or 0)
        if self.kind in NUMBERS:
            return int(str(text if text not in (None, "") else 0), 0)
        if self.kind == "uuid":
            return bytes(16)
        if self.kind == "records":
            return None
        return text or "" if self.kind == "string" else b""


def read_fields(schemas, structs):
    return [Field(one, structs) for one in schemas]


def defaults(fields):
    return {one.name: one.default for one in fields}


def within(fields, versions):
    """Without those that no valid version has: they are of versions that were removed, or of an unstable one."""
    kept = [one for one in fields if one.versions.low <= versions.high and one.versions.high >= versions.low]
    for one in kept:
        if one.fields is not None:
            one.fields = within(one.fields, versions)
            one.default = one.default if one.is_list or one.default is None else defaults(one.fields)
    return kept


class Message:
    def __init__(self, schema):
        self.name, self.key = schema["name"], schema.get("apiKey")
        self.versions, self.flexible = Range(schema["validVersions"]), Range(schema["flexibleVersions"])
        structs = {one["name"]: one["fields"] for one in schema.get("commonStructs", [])}
        self.fields = read_fields(schema["fields"], structs)
        self.versions.high = min(self.versions.high, STABLE_UNTIL.get(self.api, 1 << 20))
        self.fields = within(self.fields, self.versions)

    @property
    def api(self):
        return re.sub("(Request|Response)$", "", self.name)


# --- writing ------------------------------------------------------------------------------------------------------

def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def nothing(field):
    """What stands for null where a version knows none."""
    if field.is_list:
        return []
    return defaults(field.fields) if field.fields else "" if field.kind == "string" else b""


class Writer:
    """Fields to bytes. `strange` is called at the end of each struct for unknown tagged fields: [(tag, bytes)]."""

    def __init__(self, version, flexible, strange=None):
        self.version, self.flexible, self.strange = version, flexible, strange

    def length(self, size, text=False):
        if self.flexible:
            return varint(size + 1)
        return struct.pack(">h" if text else ">i", size)

    def struct(self, fields, values):
        out = b""
        tagged = []
        for field in fields:
            if self.version not in field.versions:
                continue
            value = values[field.name]
            if field.tag is None:
                out += self.field(field, value)
            elif value != field.default:
                tagged.append((field.tag, self.field(field, value)))
        if self.flexible:
            tagged += self.strange(fields, self.version) if self.strange else []
            out += varint(len(tagged))
            for tag, content in sorted(tagged):
                out += varint(tag) + varint(len(content)) + content
        return out

    def field(self, field, value):
        if value is None and self.version not in field.nullable:
            value = nothing(field)
        if field.is_list:
            return self.length(-1) if value is None else self.length(len(value)) + b"".join(
                self.value(field, one) for one in value)
        if field.fields is not None and field.nullable.low <= field.nullable.high:
            return b"\xff" if value is None else b"\x01" + self.struct(field.fields, value)
        return self.value(field, value)

    def value(self, field, value):
        if field.fields is not None:
            return self.struct(field.fields, value)
        if field.kind == "bool":
            return b"\x01" if value else b"\x00"
        if field.kind in NUMBERS:
            return struct.pack(NUMBERS[field.kind], value)
        if field.kind == "uuid":
            return value
        if value is None:
            return self.length(-1, field.kind == "string")
        raw = value.encode("utf-8", "surrogateescape") if field.kind == "string" else value
        return self.length(len(raw), field.kind == "string") + raw


# --- reading ------------------------------------------------------------------------------------------------------

class Refused(Exception):
    pass


class Reader:
    def __init__(self, data, version, flexible):
        self.data, self.at, self.version, self.flexible = data, 0, version, flexible

    def take(self, size):
        if self.at + size > len(self.data):
            raise Refused("ends early")
        self.at += size
        return self.data[self.at - size:self.at]

    def varint(self):
        value = 0
        for place in range(5):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                if value >= 1 << 32:
                    raise Refused("varint")
                return value
        raise Refused("varint")

    def length(self, text=False):
        if self.flexible:
            return self.varint() - 1
        size = struct.unpack(">h", self.take(2))[0] if text else struct.unpack(">i", self.take(4))[0]
        if size < -1:
            raise Refused("length")
        return size

    def struct(self, fields):
        values = defaults(fields)
        for field in fields:
            if self.version in field.versions and field.tag is None:
                values[field.name] = self.field(field)
        if self.flexible:
            self.tagged(fields, values)
        return values

    def tagged(self, fields, values):
        known = {one.tag: one for one in fields if one.tag is not None and self.version in one.versions}
        count = self.varint()
        if count > TAGS_MAX:
            raise Refused("tags")
        for _ in range(count):
            tag, size = self.varint(), self.varint()
            content = self.take(size)
            if tag < 1 << 31 and tag in known:
                inner = Reader(content, self.version, self.flexible)
                field = known.pop(tag)
                values[field.name] = inner.field(field)
                if inner.at != len(content):
                    raise Refused("tagged field's length")
            elif any(one.tag == tag and self.version in one.versions for one in fields):
                raise Refused("a tagged field twice")

    def null(self, field):
        if self.version not in field.nullable:
            raise Refused("null")

    def field(self, field):
        if field.is_list:
            size = self.length()
            if size < 0:
                return self.null(field)
            if size > min(ARRAY_MAX, len(self.data) - self.at):
                raise Refused("too many")
            return [self.value(field, True) for _ in range(size)]
        if field.fields is not None and field.nullable.low <= field.nullable.high:
            if self.take(1)[0] >= 0x80:
                return self.null(field)
            return self.struct(field.fields)
        return self.value(field, False)

    def value(self, field, is_element):
        if field.fields is not None:
            return self.struct(field.fields)
        if field.kind == "bool":
            return self.take(1) != b"\x00"
        if field.kind in NUMBERS:
            form = NUMBERS[field.kind]
            return struct.unpack(form, self.take(struct.calcsize(form)))[0]
        if field.kind == "uuid":
            return self.take(16)
        size = self.length(field.kind == "string")
        if size < 0:
            if is_element:
                raise Refused("null")
            return self.null(field)
        if field.kind == "string":
            if size > STRING_MAX:
                raise Refused("string")
            return self.take(size).decode("utf-8", "surrogateescape")
        return self.take(size)


def read(message, version, data):
    reader = Reader(data, version, version in message.flexible)
    values = reader.struct(message.fields)
    if reader.at != len(data):
        raise Refused("bytes behind")
    return values


# --- printing, and what is lost -----------------------------------------------------------------------------------

def quoted(text):
    out = ""
    for byte in text.encode("utf-8", "surrogateescape"):
        letter = chr(byte)
        out += "\\" + letter if letter in '"\\' else letter if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"
    return f'"{out}"'


def printed(fields, values):
    in_order = [one for one in fields if one.tag is None]
    in_order += sorted((one for one in fields if one.tag is not None), key=lambda one: one.tag)
    return "(" + ", ".join(f"{one.name}={printed_field(one, values[one.name])}" for one in in_order) + ")"


def printed_field(field, value):
    if value is None:
        return "null"
    if field.is_list:
        return "[" + ", ".join(printed_value(field, one) for one in value) + "]"
    return printed_value(field, value)


def printed_value(field, value):
    if field.fields is not None:
        return printed(field.fields, value)
    if field.kind == "bool":
        return "true" if value else "false"
    if field.kind == "float64":
        return repr(value).removesuffix(".0")
    if field.kind in NUMBERS:
        return str(value)
    if field.kind == "uuid":
        return base64.urlsafe_b64encode(value).decode().rstrip("=")
    return quoted(value) if field.kind == "string" else f"<{len(value)} bytes>"


def lost(fields, values, version):
    """The first field that a version cannot say: Kafka's rule of `ignorable`, and null where there is none."""
    for field in [one for one in fields if one.tag is None] + sorted(
            (one for one in fields if one.tag is not None), key=lambda one: one.tag):
        value = values[field.name]
        if version not in field.versions:
            if not field.ignorable and value != field.default:
                return field.name
        elif value is None:
            if version not in field.nullable:
                return field.name
        elif field.fields is not None:
            if any(lost(field.fields, one, version) for one in (value if field.is_list else [value])):
                return field.name
    return None


# --- values -------------------------------------------------------------------------------------------------------

class Maker:
    def __init__(self, rng, version):
        self.rng, self.version = rng, version

    def struct(self, fields):
        return {one.name: self.field(one) if self.version in one.versions else one.default for one in fields}

    def field(self, field):
        if self.rng.random() < 0.2 and (field.default is not None or self.version in field.nullable):
            return field.default
        if self.version in field.nullable and self.rng.random() < 0.25:
            return None
        if field.is_list:
            return [self.value(field) for _ in range(self.rng.choice((0, 1, 1, 2, 3)))]
        return self.value(field)

    def value(self, field):
        rng = self.rng
        if field.fields is not None:
            return self.struct(field.fields)
        if field.kind == "bool":
            return rng.random() < 0.5
        if field.kind == "float64":
            return rng.randrange(-4000, 4000) / 8
        if field.kind in NUMBERS:
            bits = 8 * struct.calcsize(NUMBERS[field.kind])
            low, high = (0, (1 << bits) - 1) if field.kind[0] == "u" else (-(1 << bits - 1), (1 << bits - 1) - 1)
            return rng.choice((low, high, rng.randint(low, high), rng.randint(max(low, -100), 100), 0))
        if field.kind == "uuid":
            return rng.choice((bytes(16), uuid.UUID(int=rng.getrandbits(128)).bytes))
        size = rng.choice((0, 1, 5, 15, 16, 40, 127, 128, 300))
        if field.kind == "string":
            return "".join(rng.choice('abcxyz0189-._ "\\\n\x7fé€😀') for _ in range(size))
        return rng.randbytes(size * rng.choice((1, 1, 4)))


def strange_fields(rng):
    """Unknown tagged fields for any struct: tags that the struct does not know in this version."""
    def make(fields, version):
        known = {one.tag for one in fields if version in one.versions}
        tags = {rng.choice((0, 1, 2, 5, 60, 127, 128, 10_000, (1 << 31) - 1)) for _ in range(rng.randrange(3))} - known
        return [(tag, rng.randbytes(rng.choice((0, 1, 20, 200)))) for tag in tags]
    return make


# --- cases --------------------------------------------------------------------------------------------------------

class Cases:
    """Lines for the peer, each with what it must answer; sent all at once."""

    def __init__(self):
        self.lines, self.expected, self.about = [], [], []

    def add(self, line, expected, about):
        self.lines.append(line)
        self.expected.append(expected)
        self.about.append(about)

    def recode(self, message, version, to, data, about):
        line = f"recode {message.name} {version} {to} {data.hex() or '-'}"
        try:
            values = read(message, version, data)
        except Refused:
            return self.add(line, "refused ", about)
        out = Writer(to, to in message.flexible).struct(message.fields, values)
        expected = f"ok {out.hex() or '-'} {lost(message.fields, values, to) or '-'} "
        self.add(line, expected + message.name + printed(message.fields, values), about)

    def run(self, peer):
        answers = subprocess.run([peer], input="\n".join(self.lines) + "\n", capture_output=True, text=True, check=True)
        answers = answers.stdout.splitlines()
        faults = []
        for line, expected, about, answer in zip(self.lines, self.expected, self.about, answers, strict=True):
            agrees = answer.startswith("refused ") if expected == "refused " else answer == expected
            if not agrees:
                faults.append(f"{about}\n  asked    {line[:400]}\n" + difference(expected, answer))
        return faults


def difference(expected, answer):
    """Both from a little before where they part."""
    same = next((at for at, (a, b) in enumerate(zip(expected, answer)) if a != b), min(len(expected), len(answer)))
    begin = max(0, same - 60)
    return f"  expected ...{expected[begin:same + 60]}\n  answered ...{answer[begin:same + 60]}"


def add_message(cases, message, seed, count):
    for version in range(message.versions.low, message.versions.high + 1):
        flexible = version in message.flexible
        rng = random.Random(f"{seed} {message.name} {version}")
        about = f"{message.name} version {version}"
        for case in range(count):
            values = Maker(rng, version).struct(message.fields)
            plain = Writer(version, flexible).struct(message.fields, values)
            if read(message, version, plain) != values:
                raise SystemExit(f"{about}: this reader does not read what this writer wrote")
            cases.recode(message, version, version, plain, about)
            cases.recode(message, version, rng.randint(message.versions.low, message.versions.high), plain,
                         about + ", at another version")
            if flexible:
                odd = Writer(version, flexible, strange_fields(rng)).struct(message.fields, values)
                cases.recode(message, version, version, odd, about + ", with unknown tagged fields")
            cases.recode(message, version, version, plain + b"\x00", about + ", a byte too many")
            for cut in {rng.randrange(len(plain)) for _ in range(3)} if plain else ():
                cases.recode(message, version, version, plain[:cut], about + ", cut short")
            for _ in range(4 if plain else 0):
                bad = bytearray(plain)
                for _ in range(rng.choice((1, 1, 2, 5))):
                    bad[rng.randrange(len(bad))] = rng.choice((0, 1, 2, 127, 128, 255, rng.randrange(256)))
                cases.recode(message, version, version, bytes(bad), about + ", flipped")


def add_headers(cases, message, seed):
    """Frames of a request, with the header's own two odd rules: an old-form client id, and ApiVersions' answer."""
    rng = random.Random(f"{seed} {message.name} header")
    for version in range(message.versions.low, message.versions.high + 2):
        flexible = version in message.flexible
        client = rng.choice((None, "", "me", "a client with a name"))
        tags = varint(1) + varint(77) + varint(3) + b"abc" if rng.random() < 0.5 else varint(0)
        body = rng.randbytes(rng.randrange(10))
        raw = b"\xff\xff" if client is None else struct.pack(">h", len(client)) + client.encode()
        frame = struct.pack(">hhi", message.key, version, 7) + raw + (tags if flexible else b"") + body
        text = "null" if client is None else client.encode().hex() or "-"
        about = f"{message.name} version {version}, header"
        cases.add(f"request {frame.hex()}", f"ok {message.key} {version} 7 {text} {body.hex() or '-'}", about)
        answer_flexible = flexible and message.api != "ApiVersions"
        answer = struct.pack(">i", 7) + (tags if answer_flexible else b"") + body
        cases.add(f"response {message.key} {version} {answer.hex()}", f"ok 7 {body.hex() or '-'}", about)
        asking = struct.pack(">hhih", message.key, version, 7, 2) + b"me" + (b"\x00" if flexible else b"")
        answering = struct.pack(">i", 7) + (b"\x00" if answer_flexible else b"")
        cases.add(f"headers {message.key} {version}", f"ok {asking.hex()} {answering.hex()}", about)


def add_lists(cases, messages):
    requests = sorted((one for one in messages if one.name.endswith("Request")), key=lambda one: one.key)
    text = ""
    for one in requests:
        flexible = one.flexible.low if one.flexible.low <= one.flexible.high else 32767
        text += f"{one.api} {one.key} {one.versions.low} {one.versions.high} {flexible} "
    cases.add("apis", text, "the table of apis")
    external = sorted((one.name for one in messages if one.api not in INTERNAL), key=lambda name: snake(name) + " ")
    cases.add("messages", "".join(name + " " for name in external), "all messages")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("peer")
    parser.add_argument("schemas", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=4, help="values for each message and version")
    parser.add_argument("--only", help="one message's name")
    options = parser.parse_args()
    files = sorted([*options.schemas.glob("*Request.json"), *options.schemas.glob("*Response.json")])
    if not files:
        print(f"skipped: there are no message schemas in {options.schemas}")
        return 77
    schemas = [json.loads(strip_comments(file.read_text())) for file in files]
    messages = [Message(one) for one in schemas if one["validVersions"] != "none"]
    cases = Cases()
    if not options.only:
        add_lists(cases, messages)
    for message in messages:
        if message.api in INTERNAL or options.only not in (None, message.name):
            continue
        add_message(cases, message, options.seed, options.cases)
        if message.name.endswith("Request"):
            add_headers(cases, message, options.seed)
    faults = cases.run(options.peer)
    for fault in faults[:10]:
        print(fault)
    refusals = sum(1 for one in cases.expected if one == "refused ")
    print(f"{len(cases.lines)} cases, {refusals} of them to be refused, {len(faults)} faults, seed {options.seed}")
    return 1 if faults or not refusals else 0


if __name__ == "__main__":
    sys.exit(main())
