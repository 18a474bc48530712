#!/usr/bin/env python3
"""A second reader of a Flowstone directory, written from docs/ alone.

    flowstone_oracle.py DIRECTORY              one JSON line a partition, and one a record
    flowstone_oracle.py --summary DIRECTORY    the first only

It works out what the log holds after opening: newest checkpoint slot, the journal's chain from its first sequence on,
replay over the segments, topics from the metadata log. Nothing is written. Bad bytes where none may be are an
exception, Damage, and exit code 2: the page that was broken is named.

Pages: docs/DURABILITY.md and docs/formats/*.md. Where this file and storage/ differ, one of them or the page is wrong.
"""
import base64
import hashlib
import json
import pathlib
import struct
import sys
import zlib

from sums import crc32c, crc64, xxh3_64

EXTENT = 4 << 20
METADATA = "__cluster_metadata"
METADATA_ID = bytes(15) + b"\x01"
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


class Damage(Exception):
    pass


class Fields:
    """Reads fields one after the other from bytes that may be too short."""

    def __init__(self, data, at=0):
        self.data, self.at = bytes(data), at

    def take(self, size):
        if size < 0 or self.at + size > len(self.data):
            raise Damage("a field goes past the end")
        self.at += size
        return self.data[self.at - size:self.at]

    def numbers(self, layout):
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def number(self, layout):
        return self.numbers(layout)[0]

    def unsigned_varint(self):
        value, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise Damage("a varint without an end")

    def varint(self):
        value = self.unsigned_varint()
        return value >> 1 ^ -(value & 1)


# record-batch.md ----------------------------------------------------------------------------------------------------

class Batch:
    HEADER = struct.Struct(">qiibIhiqqqhii")

    def __init__(self, data, at):
        """The batch that begins at `at`; Damage if it is not whole."""
        if at + 61 > len(data):
            raise Damage("torn_end")
        (self.base, length, self.epoch, magic, crc, self.attributes, last_delta, self.base_time, self.max_time,
         _, _, _, self.count) = self.HEADER.unpack_from(data, at)
        if length < 49:
            raise Damage("bad_length")
        if magic != 2:
            raise Damage("bad_magic")
        if at + 12 + length > len(data):
            raise Damage("torn_end")
        self.bytes = bytes(data[at:at + 12 + length])
        if crc32c(self.bytes[21:]) != crc:
            raise Damage("bad_crc")
        if last_delta < 0 or self.count < 0:
            raise Damage("bad_header")
        self.next = self.base + last_delta + 1

    def records(self):
        """(offset, timestamp, key, value, headers) of each record; None if the codec is not one of Python's."""
        codec = self.attributes & 7
        if codec > 1:
            return None
        plain = self.bytes[61:]
        fields = Fields(zlib.decompress(plain, 31) if codec == 1 else plain)
        return [self.record(fields) for _ in range(self.count)]

    def record(self, fields):
        length = fields.varint()
        end = fields.at + length
        fields.take(1)
        timestamp = self.max_time if self.attributes & 8 else self.base_time + fields.varint()
        if self.attributes & 8:
            fields.varint()
        offset = self.base + fields.varint()
        key, value = self.sized(fields), self.sized(fields)
        headers = [(self.sized(fields), self.sized(fields)) for _ in range(fields.varint())]
        if fields.at != end:
            raise Damage("a record's length is not that of its fields")
        return offset, timestamp, key, value, headers

    @staticmethod
    def sized(fields):
        size = fields.varint()
        return None if size == -1 else fields.take(size)


# checkpoint.md -------------------------------------------------------------------------------------------------------

def read_slot(path, slot):
    data = path.read_bytes()
    magic, version, _, length, checksum = struct.unpack_from("<8sIIQQ", data) if len(data) >= 32 else (b"",) + (0,) * 4
    if magic != b"FLWCKPT1" or not 32 <= length <= len(data):
        raise Damage("no slot")
    if xxh3_64(data[32:length], length) != checksum or version != 1:
        raise Damage("the slot's sum does not hold")
    body = Fields(data[32:length])
    checkpoint = {"number": body.number("<Q"), "cluster": body.take(16)}
    checkpoint["generation"], checkpoint["clean"], _ = body.numbers("<IIq")
    if checkpoint["number"] % 2 != slot:
        raise Damage("a slot in the other one's place")
    checkpoint["rings"] = []
    for _ in range(body.number("<I")):
        ring = dict(zip(("id", "shard", "known", "first", "prior"), body.numbers("<16sIIQQ")))
        checkpoint["rings"].append(ring)
    checkpoint["partitions"] = {}
    for _ in range(body.number("<I")):
        place = body.numbers("<16si")
        names = ("base", "proven", "log_start", "boundary", "boundary_offset")
        point = dict(zip(names, body.numbers("<qQqQq")))
        point["gaps_end"] = body.numbers("<qqIIqqqq")[1]  # behind the producers' offset; then the index
        checkpoint["partitions"][place] = point
        body.take(16 * body.number("<I"))
        body.take(12 * body.number("<I"))
        body.take(body.number("<I"))
    checkpoint["lost"] = {}
    if body.at != len(body.data):  # acknowledged records that are gone
        for _ in range(body.number("<I")):
            place = body.numbers("<16si")
            checkpoint["lost"][place] = body.numbers("<qqQIqqI")[:2]
            if place not in checkpoint["partitions"]:
                raise Damage("a lost range of a partition that is not named")
    if body.at != len(body.data):
        raise Damage("the slot is longer than its fields")
    return checkpoint


def read_checkpoint(directory, notes):
    found = []
    for slot in range(2):
        try:
            found.append(read_slot(directory / ("flowstone-checkpoint-%d" % slot), slot))
        except (Damage, FileNotFoundError) as fault:
            notes.append("slot %d: %s" % (slot, fault))
    if not found:
        raise Damage("neither checkpoint slot holds")
    return max(found, key=lambda checkpoint: checkpoint["number"])


# journal.md ----------------------------------------------------------------------------------------------------------

class Entry:
    def __init__(self, fields):
        (self.kind, self.partition, self.topic, self.segment, self.position, self.base, self.next, self.epoch,
         size) = fields.numbers("<Ii16sqQqqiI")
        self.head = fields.data[fields.at - 64:fields.at]
        self.payload = fields.take(size)
        fields.take(-fields.at % 8)

    def batches(self):
        at = 0
        while at < len(self.payload):
            batch = Batch(self.payload, at)
            at += len(batch.bytes)
            yield batch

    def summed(self):
        if self.kind == 1:
            return self.head + b"".join(batch.bytes[:61] for batch in self.batches())
        return self.head + self.payload


class Commit:
    def __init__(self, block, ring, number, index):
        """The commit that begins `block`, which reaches to the end of its extent; Damage if it does not count."""
        (magic, identity, self.generation, _, self.sequence, file, at, size, entries, places, _,
         self.before, self.sum) = struct.unpack_from("<8s16sIIQIIIIIIQQ", block)
        if magic != b"FLOWCMT1" or identity != ring or (file, at) != (number, index):
            raise Damage("no commit")
        if not 96 + 40 * places + 64 * entries <= size <= len(block):
            raise Damage("a commit's length")
        fields = Fields(block[:size], 96)
        self.places = [fields.numbers("<16siIqq") for _ in range(places)]
        self.entries = [Entry(fields) for _ in range(entries)]
        if fields.at != size:
            raise Damage("a commit longer than its entries")
        total = crc64(block[:72] + bytes(8) + block[80:96], self.before)
        total = crc64(block[96:96 + 40 * places], total)
        for entry in self.entries:
            total = crc64(entry.summed(), total)
        if total != self.sum:
            raise Damage("a commit's sum")


def read_ring(directory, ring, notes):
    """Every commit that counts, by sequence: the one of the highest generation."""
    commits = {}
    for path in sorted(directory.glob("flowstone-journal-%d.*" % ring["shard"])):
        data = path.read_bytes()
        header = struct.unpack_from("<8sI16sIIIQ12xI", data) if len(data) >= 64 else (b"",) * 8
        magic, version, identity, shard, number, block, size, checksum = header
        if magic != b"FLOWING1" or version != 1 or identity != ring["id"] or crc32c(data[:60]) != checksum:
            notes.append("%s: no file of this ring" % path.name)
            continue
        for at in range(block, min(len(data), size), block):
            if data[at:at + 8] != b"FLOWCMT1":
                continue
            extent_end = (at // EXTENT + 1) * EXTENT
            try:
                commit = Commit(data[at:extent_end], ring["id"], number, at // block)
            except Damage:
                continue
            commit.path, commit.at = path, at
            older = commits.get(commit.sequence)
            if older is None or older.generation < commit.generation:
                commits[commit.sequence] = commit
    return commits


def read_chain(directory, ring, notes):
    commits = read_ring(directory, ring, notes)
    sequence, before, chain = ring["first"], ring["prior"] if ring["known"] else None, []
    while sequence in commits and before in (None, commits[sequence].before):
        chain.append(commits[sequence])
        before = commits[sequence].sum
        sequence += 1
    behind = [number for number in commits if number > sequence]
    if behind:
        raise Damage("shard %d: commit %d is missing, %d are behind it" % (ring["shard"], sequence, len(behind)))
    return chain


# DURABILITY.md: replay -----------------------------------------------------------------------------------------------

class Partition:
    """One partition's bytes as they are once its journal entries are in place."""

    def __init__(self, directory, place, point):
        self.directory, self.place = directory, place
        self.files = {}
        if self.is_ours():
            self.files = {int(path.stem): path for path in directory.glob("[0-9]*.log") if len(path.stem) == 20}
        self.segments = {}
        self.rolled = {}   # base: (bytes, next base), by the journal
        self.journaled = {}  # base: bytes that the journal vouches for
        self.directs = []
        self.started = point is not None
        self.base = 0
        self.proven = self.boundary = 0
        self.boundary_offset = self.log_start = self.base
        self.gaps_end = 0  # below it offsets may be missing
        if point is not None:
            self.__dict__.update(point)

    def is_ours(self):
        """False if the directory is left from a deleted topic of the same name."""
        try:
            lines = (self.directory / "partition.metadata").read_text().split()
        except FileNotFoundError:
            return True
        return base64.urlsafe_b64decode(lines[lines.index("topic_id:") + 1] + "==") == self.place[0]

    def segment(self, base):
        if base not in self.segments:
            self.segments[base] = bytearray(self.files[base].read_bytes() if base in self.files else b"")
        return self.segments[base]

    def put(self, base, position, data):
        segment = self.segment(base)
        if len(segment) < position:
            segment.extend(bytes(position - len(segment)))
        segment[position:position + len(data)] = data
        self.journaled[base] = max(self.journaled.get(base, 0), position + len(data))

    def replay(self, entry):
        if entry.kind == 4:
            self.log_start = max(self.log_start, entry.base)
            return
        if entry.kind == 5:
            self.truncate(entry)
            return
        if entry.kind == 8:
            self.gaps_end = max(self.gaps_end, struct.unpack("<q", entry.payload)[0])
            if not self.started and entry.base == entry.segment:
                self.started = True
                self.base = self.boundary_offset = self.log_start = entry.base
            return
        if entry.kind == 7:
            self.swap(*entry.payload.decode().split()[1:])
            return
        if self.started and entry.segment < self.base:
            return  # the checkpoint is past this segment
        if not self.started:
            self.started = True
            self.base = self.boundary_offset = entry.segment
            self.log_start = max(self.log_start, entry.segment) if self.files else entry.segment
        if entry.kind in (1, 3):
            self.put(entry.segment, entry.position, entry.payload)
        elif entry.kind == 2:
            length = struct.unpack_from("<Q", entry.payload)[0]
            self.put(entry.segment, entry.position + length, entry.payload[16:])
            self.directs.append(entry)
        elif entry.kind == 6:
            self.rolled[entry.segment] = (entry.position, entry.base)
        else:
            raise Damage("an entry of kind %d" % entry.kind)

    def truncate(self, entry):
        """What comes before it in the chain the files have, but for what it takes away."""
        self.base, self.proven, self.boundary, self.boundary_offset = (entry.segment, entry.position, entry.position,
                                                                       entry.base)
        self.gaps_end = min(self.gaps_end, entry.base)
        self.files = {base: path for base, path in self.files.items() if base <= entry.segment}
        self.segments = {base: data for base, data in self.segments.items() if base <= entry.segment}
        del self.segment(entry.segment)[entry.position:]
        self.rolled, self.directs, self.journaled = {}, [], {entry.segment: entry.position}
        self.put(entry.segment, entry.position - len(entry.payload), entry.payload)

    def swap(self, token, first, *others):
        cleaned = self.directory / ("%020d.log.%s.cleaned" % (int(first), token))
        if cleaned.exists():
            self.files[int(first)] = cleaned
        for base in others:
            self.files.pop(int(base), None)

    def check_direct(self, entry):
        """After replay, because a later entry may have trimmed the segment away."""
        length, total = struct.unpack_from("<QQ", entry.payload)
        segment, at, found = self.segment(entry.segment), entry.position, 0
        end = entry.position + length + len(entry.payload) - 16
        try:
            while at < end:
                batch = Batch(segment, at)
                found = crc64(batch.bytes[:61], found)
                at += len(batch.bytes)
        except Damage as fault:
            raise Damage("a direct write at %d: %s" % (at, fault)) from fault
        if at != end or found != total:
            raise Damage("a direct write at %d is not what the journal says" % entry.position)

    def rolled_batches(self):
        """Of the segments that end before the checkpoint: they are whole."""
        bases = sorted(base for base in self.files if base < self.base) + [self.base]
        for base, end in zip(bases, bases[1:]):
            if end <= self.log_start:
                continue
            at, offset, data = 0, base, self.segment(base)
            while at < len(data):
                batch = Batch(data, at)
                if batch.base < offset or batch.next > end:
                    raise Damage("offset_order in segment %d at %d" % (base, at))
                at, offset = at + len(batch.bytes), batch.next
                yield batch

    @staticmethod
    def crosses(data, at, proven):
        """Whether a batch begins below what is proven and ends past it: its end may be gone, or anything."""
        head = data[at:at + 12]
        return at + 61 > proven or len(head) < 12 or at + 12 + int.from_bytes(head[8:], "big") > proven

    def batches(self):
        """Everything from the log's beginning to its end, which is then in `end`."""
        for entry in self.directs:
            if entry.next > self.log_start:
                self.check_direct(entry)
        yield from self.rolled_batches()
        base, at, self.end, epoch = self.base, 0, self.base, -1
        proven = self.proven
        while True:
            data = self.segment(base)
            limit, following = self.rolled.get(base, (len(data), None))
            proven = max(proven, self.journaled.get(base, 0))
            while at < limit:
                try:
                    batch = Batch(data, at)
                    gap = self.end < batch.base < self.gaps_end
                    if (batch.base != self.end and not gap) or batch.epoch < epoch:
                        raise Damage("offset_order")
                except Damage as fault:
                    crosses = not self.durable and self.crosses(data, at, proven)
                    if (at < proven and not crosses) or following is not None:
                        raise Damage("segment %d at %d, proven to %d: %s" % (base, at, proven, fault)) from fault
                    if self.durable or at < proven:
                        return
                    break  # what follows the last whole batch is no part of the segment
                at, self.end, epoch = at + len(batch.bytes), batch.next, batch.epoch
                yield batch
            trimmed = following is not None and following <= self.log_start
            if len(data) < proven and not trimmed:
                raise Damage("segment %d ends at %d, proven to %d" % (base, len(data), proven))
            ends = at == len(data) or not self.durable
            if following is None and (not ends or self.end == base or self.end not in self.files):
                return
            base, at, proven = self.end if following is None else following, 0, 0


# metadata-log.md -----------------------------------------------------------------------------------------------------

class Metadata:
    def __init__(self):
        self.topics = {METADATA_ID: {"name": METADATA, "partitions": {0}}}
        self.deleted = set()
        self.levels = {}  # by name; "" and missing: durable
        self.waiting = None  # records of an open transaction

    def apply(self, value):
        fields = Fields(value)
        frame, kind, version = fields.unsigned_varint(), fields.unsigned_varint(), fields.unsigned_varint()
        if frame != 1:
            raise Damage("a metadata record of frame version %d" % frame)
        if kind == 23:
            self.waiting = []
        elif kind == 24:
            records, self.waiting = self.waiting or [], None
            for record in records:
                self.apply(record)
        elif kind == 25:
            self.waiting = None
        elif self.waiting is not None:
            self.waiting.append(value)
        else:
            self.change(kind, version, fields)

    def change(self, kind, version, fields):
        if kind == 2:
            name = fields.take(fields.unsigned_varint() - 1).decode()
            self.topics[fields.take(16)] = {"name": name, "partitions": set()}
        elif kind == 3:
            number, topic = fields.numbers(">i16s")
            if version > 2:
                raise Damage("a partition record of version %d" % version)
            if topic in self.topics:
                self.topics[topic]["partitions"].add(number)
        elif kind == 4 and fields.number(">b") == 2:
            name, key, value = (fields.take(max(fields.unsigned_varint() - 1, 0)).decode() for _ in range(3))
            if key == "flowstone.durability":
                self.levels[name] = value
        elif kind == 9:
            topic = fields.take(16)
            self.levels.pop(self.topics.pop(topic, {"name": None})["name"], None)
            self.deleted.add(topic)


# The directory -------------------------------------------------------------------------------------------------------

class Directory:
    def __init__(self, path):
        self.path, self.notes = pathlib.Path(path), []
        if not (self.path / "meta.properties").exists():
            raise Damage("it holds no log: the making of one was cut off")
        self.checkpoint = read_checkpoint(self.path, self.notes)
        self.entries = {}
        for ring in self.checkpoint["rings"]:
            for commit in read_chain(self.path, ring, self.notes):
                for entry in commit.entries:
                    self.entries.setdefault((entry.topic, entry.partition), []).append(entry)
        self.metadata = Metadata()
        for batch in self.partition(METADATA_ID, 0).batches():
            for record in batch.records():
                self.metadata.apply(record[3])
        for topic, _ in self.entries:
            if topic not in self.metadata.topics and topic not in self.metadata.deleted:
                raise Damage("topic id %s is in the journal and not in the metadata" % topic.hex())

    def partition(self, topic, number):
        name = METADATA if topic == METADATA_ID else self.metadata.topics[topic]["name"]
        place = (topic, number)
        partition = Partition(self.path / ("%s-%d" % (name, number)), place, self.checkpoint["partitions"].get(place))
        partition.durable = self.metadata.levels.get(name, "") in ("", "durable") if topic != METADATA_ID else True
        for entry in self.entries.get(place, []):
            partition.replay(entry)
        return partition

    def partitions(self):
        """(topic, number, partition), sorted by name."""
        for topic, known in sorted(self.metadata.topics.items(), key=lambda item: item[1]["name"]):
            for number in sorted(known["partitions"]):
                yield known["name"], number, self.partition(topic, number)


def text(data):
    return None if data is None else base64.b64encode(data).decode()


def describe(name, number, partition):
    """The line of a partition and those of its records."""
    lines, digest = [], hashlib.sha256()
    counts = {"batches": 0, "records": 0, "opaque": 0}
    for batch in partition.batches():
        if batch.next <= partition.log_start or batch.attributes & 0x20:  # markers are nobody's records
            continue
        counts["batches"] += 1
        digest.update(batch.bytes)
        records = batch.records()
        if records is None:
            counts["opaque"] += batch.count
            records = []
        for offset, timestamp, key, value, headers in records:
            if offset < partition.log_start:
                continue
            counts["records"] += 1
            lines.append({"topic": name, "partition": number, "offset": offset, "timestamp": timestamp,
                          "key": text(key), "value": text(value),
                          "headers": [[text(header), text(content)] for header, content in headers]})
    # Below `durable` power loss takes back what a log was trimmed to.
    end = max(partition.end, partition.log_start) if partition.durable else partition.end
    head = {"topic": name, "partition": number, "start": min(partition.log_start, end), "end": end, **counts,
            "sha256": digest.hexdigest()}
    return head, lines


def main(arguments):
    directory = Directory(arguments[-1])
    for note in directory.notes:
        print("note: " + note, file=sys.stderr)
    for name, number, partition in directory.partitions():
        head, lines = describe(name, number, partition)
        for line in [head] + ([] if "--summary" in arguments else lines):
            print(json.dumps(line, separators=(",", ":")))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Damage as damage:
        print("damage: %s" % damage, file=sys.stderr)
        sys.exit(2)
