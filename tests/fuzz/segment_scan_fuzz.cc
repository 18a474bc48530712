// A .log file: scanned, and after each fault searched for the next batch, to the end.
#include "storage/check.h"
#include "storage/segment_scan.h"
#include "tests/sim/world/sim_disk.h"

using namespace flowstone;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    SimDisk disk;
    auto file = disk.open("log", {.write = true, .create = true});
    CHECK(file.has_value());
    const Bytes content(reinterpret_cast<const std::byte*>(data), size);
    if (size > 0) { CHECK(write_at(disk, **file, BytePos{0}, content).has_value()); }
    for (const bool crc : {true, false}) {
        SegmentScanner scanner(disk, **file, {.crc = crc, .batch_bytes_max = 1 << 16});
        BytePos before{-1};
        while (true) {
            const auto scanned = scanner.next();
            CHECK(scanned.has_value());
            if (*scanned) {
                CHECK((*scanned)->at > before);  // always forwards, so that it ends
                before = (*scanned)->at;
                continue;
            }
            if (scanner.fault() == ScanFault::none) { break; }
            const auto again = scanner.resync();
            CHECK(again.has_value());
            if (!*again) { break; }
        }
        CHECK(scanner.position() <= BytePos{static_cast<int64_t>(size)});
    }
    return 0;
}
