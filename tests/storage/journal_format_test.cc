#include "storage/journal_format.h"

#include <gtest/gtest.h>

#include <vector>

namespace flowstone {
namespace {

CommitFault fault_of_commit_with(const EntryHead& head) {
    std::vector<std::byte> space(8192);
    CommitPlace place;
    place.sequence = 1;
    CommitWriter writer(space, place, {});
    writer.add(head, {});
    CommitView view;
    return parse_commit(writer.finish(4096), Uuid{}, 0, 0, view);
}

// Its sum is right; nothing that is reckoned with later may be out of its range.
TEST(JournalFormat, RefusesOffsetsAndPlacesThatNoLogHas) {
    EntryHead good;
    good.kind = EntryKind::trim;
    good.base_offset = good.next_offset = Offset{7};
    ASSERT_EQ(fault_of_commit_with(good), CommitFault::none);
    const std::vector<void (*)(EntryHead&)> wrongs = {
        [](EntryHead& head) { head.partition = -1; },
        [](EntryHead& head) { head.segment_base = Offset{-1}; },
        [](EntryHead& head) { head.position = BytePos{-1}; },
        [](EntryHead& head) { head.position = BytePos{int64_t{1} << 31}; },
        [](EntryHead& head) { head.base_offset = Offset{-1}; },
        [](EntryHead& head) { head.next_offset = Offset{6}; },
    };
    for (size_t i = 0; i < wrongs.size(); ++i) {
        EntryHead head = good;
        wrongs[i](head);
        EXPECT_EQ(fault_of_commit_with(head), CommitFault::damaged) << i;
    }
}

}  // namespace
}  // namespace flowstone
