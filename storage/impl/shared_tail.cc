#include "storage/shared_tail.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include <fmt/format.h>

#include "storage/check.h"
#include "storage/limits.h"

namespace flowstone {
namespace {

constexpr std::array<char, 8> magic = {'F', 'L', 'O', 'W', 'T', 'A', 'I', 'L'};
constexpr uint32_t version = 1;
constexpr size_t pages_in_front = 2;
constexpr uint64_t word_bytes = sizeof(uint64_t);
constexpr int64_t stalled_ns = 10'000'000;
constexpr auto relaxed = std::memory_order_relaxed;
// So that ThreadSanitizer sees them.
#if defined(__SANITIZE_THREAD__)
constexpr bool copied_by_word = true;
#elif defined(__has_feature)
constexpr bool copied_by_word = __has_feature(thread_sanitizer);
#else
constexpr bool copied_by_word = false;
#endif
// Of two runs behind one another one is more than half full, or could not be joined.
static_assert(SharedPage::runs_kept * shared_run_bytes / 2 >= shared_tail_bytes / 8 * 7,
              "a page speaks of all that the ring has of a partition that is alone in it");

struct Sizes {
    uint32_t pages;
    uint64_t ring_bytes;
};
Sizes sizes_for(uint64_t bytes) {
    const uint64_t all = bytes / shared_page_bytes;
    const uint64_t pages = std::min<uint64_t>(all / 8, UINT32_MAX);
    return {static_cast<uint32_t>(pages), (all - pages_in_front - pages) * shared_page_bytes};
}

std::array<uint64_t, 2> words_of(const Uuid& id) {
    std::array<uint64_t, 2> words{};
    std::memcpy(words.data(), id.bytes.data(), id.bytes.size());
    return words;
}

// In the mapping: placed by hand, because two processes have it at two addresses.
template <class T>
T* at(const std::byte* memory, uint64_t page) {
    return reinterpret_cast<T*>(const_cast<std::byte*>(memory) + page * shared_page_bytes);
}

// Of memory that a writer may go over meanwhile: whoever copies looks afterwards whether he did. Word by word through a
// register costs half of the bandwidth; what one instruction moves is no access that the language knows of.
void copy_words(uint64_t* to, const std::atomic<uint64_t>* from, uint64_t words) {
    constexpr uint64_t few = 64;  // an instruction of its own costs more than these
    if (words <= few || copied_by_word) {
        for (uint64_t i = 0; i < words; ++i) { to[i] = from[i].load(relaxed); }
        return;
    }
    uint64_t bytes = words * word_bytes;
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

// Changes a page so that whoever reads meanwhile notices.
class PageChange {
public:
    explicit PageChange(SharedPage& page) : page_(page), sequence_(page.sequence.load(relaxed)) {
        page_.sequence.store(sequence_ + 1, relaxed);
        std::atomic_thread_fence(std::memory_order_release);
    }
    ~PageChange() { page_.sequence.store(sequence_ + 2, std::memory_order_release); }
    PageChange(const PageChange&) = delete;
    PageChange& operator=(const PageChange&) = delete;

private:
    SharedPage& page_;
    uint32_t sequence_;
};

}  // namespace

std::string shared_tail_name(const Uuid& directory) {
    std::string name = "flowstone-";
    for (const std::byte byte : directory.bytes) { name += fmt::format("{:02x}", static_cast<unsigned>(byte)); }
    return name;
}

// --- the writer --------------------------------------------------------------------------------------------------------

SharedTailWriter::SharedTailWriter(MutableBytes memory, const Uuid& log)
    : head_(*at<SharedHead>(memory.data(), 0)),
      bell_(*at<SharedBell>(memory.data(), 1)),
      pages_(at<SharedPage>(memory.data(), pages_in_front)),
      ring_(nullptr),
      ring_bytes_(sizes_for(memory.size()).ring_bytes),
      run_bytes_max_(std::min<size_t>(shared_run_bytes, ring_bytes_ / 8)),
      page_count_(sizes_for(memory.size()).pages) {
    CHECK(memory.size() >= shared_tail_bytes_min);
    ring_ = at<std::atomic<uint64_t>>(memory.data(), pages_in_front + page_count_);
    head_.magic = magic;
    head_.version = version;
    head_.pages = page_count_;
    head_.ring_bytes = ring_bytes_;
    head_.log = log;
    for (Page page = page_count_; page-- > 0;) { free_.push_back(page); }
    head_.state.store(SharedHead::live, std::memory_order_release);
}

std::optional<SharedTailWriter::Page> SharedTailWriter::add(const Uuid& topic, int32_t partition, Offset log_start,
                                                            Offset end) {
    const std::lock_guard guard(lock_);
    if (free_.empty()) { return std::nullopt; }
    const Page number = free_.back();
    free_.pop_back();
    SharedPage& page = pages_[number];
    const PageChange change(page);
    const auto id = words_of(topic);
    page.topic[0].store(id[0], relaxed);
    page.topic[1].store(id[1], relaxed);
    page.partition.store(partition, relaxed);
    page.log_start.store(log_start.value, relaxed);
    page.end.store(end.value, relaxed);
    page.runs.store(0, relaxed);
    return number;
}

// At the ring's end, which it moves on. What the ring had there is gone before the first byte changes.
void SharedTailWriter::put(Bytes bytes) {
    const uint64_t end = align_up(end_ + bytes.size(), word_bytes);
    if (end > ring_bytes_) {
        head_.floor.store(end - ring_bytes_, relaxed);
        std::atomic_thread_fence(std::memory_order_release);
    }
    std::atomic<uint64_t>* word = ring_ + end_ % ring_bytes_ / word_bytes;
    const std::byte* from = bytes.data();
    size_t left = bytes.size();
    // A run that goes on inside a word keeps what is in front of it.
    if (const size_t inside = end_ % word_bytes; inside != 0) {
        uint64_t value = word->load(relaxed);
        const size_t some = std::min(left, word_bytes - inside);
        std::memcpy(reinterpret_cast<std::byte*>(&value) + inside, from, some);
        (word++)->store(value, relaxed);
        from += some;
        left -= some;
    }
    for (; left >= word_bytes; left -= word_bytes, from += word_bytes) {
        uint64_t value;
        std::memcpy(&value, from, word_bytes);
        (word++)->store(value, relaxed);
    }
    if (left > 0) {
        uint64_t value = 0;
        std::memcpy(&value, from, left);
        word->store(value, relaxed);
    }
    end_ += bytes.size();
}

void SharedTailWriter::publish(Page number, Bytes batches, Offset base, Offset next) {
    const std::lock_guard guard(lock_);
    SharedPage& page = pages_[number];
    const uint64_t runs = page.runs.load(relaxed);
    const bool kept = batches.size() <= ring_bytes_ / 4;
    // Behind the last run of this partition, when nobody published since, it goes on; else a run begins at a word, and
    // none goes around the ring's end.
    SharedRun* const last = runs == 0 ? nullptr : &page.run[(runs - 1) % SharedPage::runs_kept];
    const bool joined = kept && last != nullptr && last->next.load(relaxed) == base.value &&
                        last->at.load(relaxed) + last->bytes.load(relaxed) == end_ &&
                        last->bytes.load(relaxed) + batches.size() <= run_bytes_max_ &&
                        end_ % ring_bytes_ + batches.size() <= ring_bytes_ && end_ % ring_bytes_ != 0;
    if (kept && !joined) {
        end_ = align_up(end_, word_bytes);
        if (end_ % ring_bytes_ + batches.size() > ring_bytes_) { end_ = align_up(end_, ring_bytes_); }
    }
    const uint64_t begin = end_;
    if (kept) { put(batches); }

    const PageChange change(page);
    page.end.store(next.value, relaxed);
    if (!kept) { return; }
    if (joined) {
        last->bytes.store(last->bytes.load(relaxed) + batches.size(), relaxed);
        last->next.store(next.value, relaxed);
        return;
    }
    SharedRun& run = page.run[runs % SharedPage::runs_kept];
    run.base.store(base.value, relaxed);
    run.next.store(next.value, relaxed);
    run.at.store(begin, relaxed);
    run.bytes.store(batches.size(), relaxed);
    page.runs.store(runs + 1, relaxed);
}

void SharedTailWriter::set_end(Page number, Offset end) {
    const std::lock_guard guard(lock_);
    const PageChange change(pages_[number]);
    pages_[number].end.store(end.value, relaxed);
}

void SharedTailWriter::set_log_start(Page number, Offset log_start) {
    const std::lock_guard guard(lock_);
    const PageChange change(pages_[number]);
    pages_[number].log_start.store(log_start.value, relaxed);
}

void SharedTailWriter::remove(Page number) {
    {
        const std::lock_guard guard(lock_);
        const PageChange change(pages_[number]);
        pages_[number].topic[0].store(0, relaxed);
        pages_[number].topic[1].store(0, relaxed);
        free_.push_back(number);
    }
    ring_the_bell();
}

// Whoever announced itself before `moved` changed is woken; whoever announces itself later sees that it changed.
void SharedTailWriter::ring_the_bell() {
    head_.moved.fetch_add(1, std::memory_order_seq_cst);
    if (bell_.sleepers.load(std::memory_order_seq_cst) == 0) { return; }
    bell_.sleepers.store(0, std::memory_order_seq_cst);
    wake_all_processes(head_.moved);
}

void SharedTailWriter::close() {
    head_.state.store(SharedHead::closed, std::memory_order_release);
    head_.moved.fetch_add(1, std::memory_order_seq_cst);
    wake_all_processes(head_.moved);
}

// --- a reader ----------------------------------------------------------------------------------------------------------

SharedTailReader::SharedTailReader(Bytes memory, SharedBell* bell, Clock& clock)
    : head_(at<const SharedHead>(memory.data(), 0)),
      bell_(bell),
      pages_(at<const SharedPage>(memory.data(), pages_in_front)),
      ring_(at<const std::atomic<uint64_t>>(memory.data(), pages_in_front + sizes_for(memory.size()).pages)),
      ring_bytes_(sizes_for(memory.size()).ring_bytes),
      page_count_(sizes_for(memory.size()).pages),
      clock_(&clock) {}

Result<SharedTailReader> SharedTailReader::over(Bytes memory, SharedBell* bell, Clock& clock) {
    constexpr const char* operation = "shared_tail.open";
    if (memory.size() < shared_tail_bytes_min) { return fail(Code::corrupt, operation, "it is too small"); }
    SharedTailReader reader(memory, bell, clock);
    if (reader.head_->state.load(std::memory_order_acquire) == SharedHead::making) {
        return fail(Code::busy, operation, "it is being made");
    }
    if (reader.head_->magic != magic) { return fail(Code::corrupt, operation, "this is no shared tail"); }
    if (reader.head_->version != version) { return fail(Code::unsupported, operation, "of another version"); }
    if (reader.head_->pages != reader.page_count_ || reader.head_->ring_bytes != reader.ring_bytes_) {
        return fail(Code::corrupt, operation, "its sizes do not agree");
    }
    return reader;
}

std::optional<uint32_t> SharedTailReader::page_of(const Uuid& topic, int32_t partition) const {
    const auto id = words_of(topic);
    for (uint32_t i = 0; i < page_count_; ++i) {
        // Taken for what it seems: read() looks again, under the sequence.
        if (pages_[i].topic[0].load(relaxed) == id[0] && pages_[i].topic[1].load(relaxed) == id[1] &&
            pages_[i].partition.load(relaxed) == partition) {
            return i;
        }
    }
    return std::nullopt;
}

// What a page says of an offset, of one moment.
SharedTailReader::Look SharedTailReader::look(uint32_t number, const Uuid& topic, int32_t partition, Offset from,
                                              Run& out) const {
    const SharedPage& page = pages_[number];
    const auto id = words_of(topic);
    int64_t since_ns = 0;
    for (uint64_t turn = 0;; ++turn) {
        const uint32_t before = page.sequence.load(std::memory_order_acquire);
        if (before % 2 == 0) {
            const bool ours = page.topic[0].load(relaxed) == id[0] && page.topic[1].load(relaxed) == id[1] &&
                              page.partition.load(relaxed) == partition;
            Run run{};
            run.log_start = Offset{page.log_start.load(relaxed)};
            run.end = Offset{page.end.load(relaxed)};
            // The last run that begins at or below the offset. Runs are in the order of their offsets.
            const uint64_t runs = page.runs.load(relaxed);
            uint64_t low = runs - std::min<uint64_t>(runs, SharedPage::runs_kept);
            uint64_t high = runs;
            while (low < high) {
                const uint64_t middle = low + (high - low) / 2;
                const SharedRun& one = page.run[middle % SharedPage::runs_kept];
                if (one.base.load(relaxed) <= from.value) {
                    run.base = Offset{one.base.load(relaxed)};
                    run.next = Offset{one.next.load(relaxed)};
                    run.at = one.at.load(relaxed);
                    run.bytes = one.bytes.load(relaxed);
                    run.known = from < run.next;
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            std::atomic_thread_fence(std::memory_order_acquire);
            if (page.sequence.load(relaxed) == before) {
                if (!ours) { return Look::other; }
                out = run;
                return Look::seen;
            }
        }
        // Whoever changes it holds it for the time of a few stores, unless it was stopped or killed there.
        __builtin_ia32_pause();
        if (turn % 64 != 63) { continue; }
        const int64_t now = clock_->monotonic_ns();
        if (since_ns == 0) { since_ns = now; }
        if (now - since_ns >= stalled_ns) { return Look::stalled; }
    }
}

// Whole words around what is wanted; false when the ring has gone over any of it.
bool SharedTailReader::copy(uint64_t begin, uint64_t bytes, Copy& into) const {
    const uint64_t in_ring = begin % ring_bytes_;
    if (bytes == 0 || bytes > ring_bytes_ - in_ring) { return false; }  // nothing that a writer of ours says
    const uint64_t skip = in_ring % word_bytes;
    const uint64_t words = align_up(skip + bytes, word_bytes) / word_bytes;
    if (into.memory.size() < words) { into.memory.resize(words); }
    const std::atomic<uint64_t>* const from = ring_ + in_ring / word_bytes;
    copy_words(into.memory.data(), from, words);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (head_->floor.load(relaxed) > begin - skip) { return false; }
    into.batches = std::as_bytes(std::span(into.memory)).subspan(skip, bytes);
    return true;
}

SharedTailReader::Found SharedTailReader::read(Place& place, const Uuid& topic, int32_t partition, Offset from,
                                               Copy& into) const {
    if (place.page >= page_count_) { return Found::elsewhere; }
    Run run{};
    const Look seen = look(place.page, topic, partition, from, run);
    if (seen == Look::stalled) { return Found::stalled; }
    if (seen == Look::other || from < run.log_start || from > run.end) { return Found::elsewhere; }
    into.end = run.end;
    if (from == run.end) { return Found::end; }
    if (!run.known) { return Found::elsewhere; }
    uint64_t begin = run.at;
    uint64_t bytes = run.bytes;
    const bool goes_on = place.offset == from && place.at >= begin && place.at - begin < bytes;
    if (goes_on) {
        bytes -= place.at - begin;
        begin = place.at;
    }
    if (!copy(begin, bytes, into)) { return Found::elsewhere; }
    place.offset = run.next;
    place.at = begin + bytes;
    return Found::batches;
}

bool SharedTailReader::announce() const {
    if (bell_ == nullptr) { return false; }
    bell_->sleepers.store(1, std::memory_order_seq_cst);
    return true;
}

}  // namespace flowstone
