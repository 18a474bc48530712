// The checkpoint slots of a directory that power loss left, damaged. The first byte says how:
//   1    slot 0 is damaged    2  slot 1    4  what the rest of the input is: edits (edits.h) of the slot, or its body
//   8    its length and sum are made right, so that what lies behind them is reached
//   16   the whole log is opened on it, and shows nothing that was not appended; else slots and journal are verified
// A slot that holds is written and read again, and must be the same.
#include <cstring>
#include <string>
#include <vector>

#include "storage/checkpoint.h"
#include "storage/checksum.h"
#include "storage/journal_verify.h"
#include "tests/fuzz/edits.h"
#include "tests/fuzz/log_directory.h"

using namespace flowstone;

namespace {

constexpr size_t head_bytes = 32;

std::string slot_path(int slot) { return "data/flowstone-checkpoint-" + std::to_string(slot); }

void mend(std::vector<std::byte>& slot) {
    std::memcpy(slot.data(), "FLWCKPT1\1\0\0\0\0\0\0\0", 16);
    store_le<uint64_t>(slot.data() + 16, slot.size());
    store_le<uint64_t>(slot.data() + 24, xxh3_64(Bytes(slot).subspan(head_bytes), slot.size()));
}

std::vector<std::byte> damaged(const std::vector<std::byte>& slot, Bytes input, uint8_t how) {
    std::vector<std::byte> out = slot;
    if ((how & 4) != 0) {
        out.resize(head_bytes);
        out.insert(out.end(), input.begin(), input.end());
    } else {
        apply_edits(input, out);
    }
    if ((how & 8) != 0) { mend(out); }
    return out;
}

void decode(Bytes slot) {
    const auto decoded = decode_checkpoint(slot);
    if (!decoded) { return; }
    const auto bytes = encode_checkpoint(*decoded);
    CHECK(bytes.size() <= slot.size());
    const auto again = decode_checkpoint(bytes);
    CHECK(again.has_value());
    CHECK(encode_checkpoint(*again) == bytes);
}

void replace(Disk& disk, const std::string& path, Bytes bytes) {
    auto file = disk.open(path, {.write = true});
    CHECK(file.has_value());
    CHECK(disk.truncate(**file, 0).has_value());
    if (!bytes.empty()) { CHECK(write_at(disk, **file, BytePos{0}, bytes).has_value()); }
    CHECK(sync(disk, **file).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static LogDirectory directory;
    if (size == 0) { return 0; }
    const uint8_t how = data[0];
    const Bytes input(reinterpret_cast<const std::byte*>(data) + 1, size - 1);
    const auto disk = directory.copy();
    for (int slot = 0; slot < 2; ++slot) {
        if ((how & (slot + 1)) == 0) { continue; }
        const auto valid = read_file(*disk, slot_path(slot), checkpoint_bytes_max);
        CHECK(valid.has_value() && valid->size() > head_bytes);
        const auto bytes = damaged(*valid, input, how);
        decode(bytes);
        replace(*disk, slot_path(slot), bytes);
    }
    if ((how & 16) != 0) {
        directory.use(*disk, (how & 8) == 0);
        return 0;
    }
    (void)read_checkpoint(*disk, "data");
    (void)claimed_checkpoint_number(*disk, "data");
    const auto survey = survey_journal(*disk, "data");
    CHECK(survey.has_value());
    CHECK(verify_journal(*survey, [](const JournalFault&) {}).has_value());
    return 0;
}
