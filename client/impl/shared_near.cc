#include "client/impl/shared_near.h"

#include <algorithm>

#include "storage/disk.h"
#include "storage/meta_files.h"
#include "storage/try.h"

namespace flowstone {
namespace {

constexpr int64_t ms_ns = 1'000'000;
constexpr int64_t look_again_ns = 100 * ms_ns;  // for a tail that is not there
constexpr int64_t stalled_pause_ns = 1'000 * ms_ns;
constexpr int64_t alive_check_ns = 250 * ms_ns;  // whoever died rings no bell
constexpr int64_t without_bell_ns = ms_ns;

Result<SharedMemory> map_tail(const std::string& directory) {
    TRY(const auto properties, read_meta_properties(*open_posix_disk(), directory));
    return SharedMemory::open(shared_tail_name(properties.directory_id), directory, shared_page_bytes,
                              shared_page_bytes);
}

}  // namespace

bool SharedNear::attached() {
    if (tail_ && !tail_->reader.closed()) { return true; }
    if (tail_) { detach(0); }
    const int64_t now = clock_.monotonic_ns();
    if (now < not_before_ns_) { return false; }
    not_before_ns_ = now + look_again_ns;
    auto memory = map_tail(directory_);
    if (!memory || !memory->alive()) { return false; }
    const MutableBytes page = memory->writable();
    auto* const bell = page.empty() ? nullptr : reinterpret_cast<SharedBell*>(page.data());
    auto reader = SharedTailReader::over(memory->bytes(), bell, clock_);
    if (!reader) { return false; }
    tail_.emplace(Tail{std::move(*memory), std::move(*reader)});
    return true;
}

void SharedNear::detach(int64_t pause_ns) {
    tail_.reset();
    places_.clear();
    not_before_ns_ = clock_.monotonic_ns() + pause_ns;
}

Result<NearLog::Answer> SharedNear::read(const TopicPartition& place, const Uuid& topic, Offset from) {
    if (!attached()) { return Answer{}; }
    auto known = places_.find(place);
    if (known == places_.end()) {
        const auto page = tail_->reader.page_of(topic, place.partition);
        if (!page) { return Answer{}; }
        known = places_.emplace(place, SharedTailReader::Place{.page = *page, .offset = {}, .at = 0}).first;
    }
    switch (tail_->reader.read(known->second, topic, place.partition, from, copy_)) {
        case SharedTailReader::Found::batches: return Answer{Found::batches, copy_.batches, copy_.end};
        case SharedTailReader::Found::end: return Answer{Found::end, {}, copy_.end};
        case SharedTailReader::Found::elsewhere: places_.erase(known); break;  // the page may be another's
        case SharedTailReader::Found::stalled: detach(stalled_pause_ns); break;
    }
    return Answer{};
}

uint32_t SharedNear::ticket() {
    if (!tail_) { return 0; }
    const uint32_t ticket = tail_->reader.ticket();
    announced_ = tail_->reader.announce();
    return ticket;
}

void SharedNear::sleep(const WordToWatch& own, uint32_t ticket, int64_t timeout_ns) {
    if (!tail_) { return sleep_while(own.word, own.expected, timeout_ns); }
    const int64_t most = announced_ ? alive_check_ns : without_bell_ns;
    const WordToWatch shared{tail_->reader.word(), ticket};
    sleep_while_both(own, shared, timeout_ns < 0 ? most : std::min(timeout_ns, most));
    const bool quiet = shared.word.load(std::memory_order_relaxed) == ticket;
    if (quiet && own.word.load(std::memory_order_relaxed) == own.expected && !tail_->memory.alive()) { detach(0); }
}

}  // namespace flowstone
