#include "tests/sim/world/sim_pages.h"

#include <algorithm>
#include <cstring>

namespace flowstone {
namespace {

constexpr uint8_t all_sectors = 0xff;
static_assert(sim_sectors_per_page == 8, "one bit of a byte per sector");
constexpr size_t versions_per_page_max = 16;  // older ones in between are forgotten: fewer outcomes, none that is wrong
constexpr size_t size_changes_max = 64;

// The sectors of a page that [begin, end) within it touches.
uint8_t sectors_of(uint64_t begin, uint64_t end) {
    const uint64_t first = begin / sim_sector_bytes;
    const uint64_t last = (end + sim_sector_bytes - 1) / sim_sector_bytes;
    return static_cast<uint8_t>(((1u << (last - first)) - 1) << first);
}

bool has(uint8_t sectors, uint64_t sector) { return (sectors >> sector & 1) != 0; }

uint8_t without(uint8_t sectors, uint8_t others) { return sectors & static_cast<uint8_t>(~others); }

template <class T>
T& own(std::shared_ptr<T>& shared) {
    if (shared == nullptr) {
        shared = std::make_shared<T>();
    } else if (shared.use_count() > 1) {
        shared = std::make_shared<T>(*shared);
    }
    return *shared;
}

}  // namespace

CrashDecision::CrashDecision(const Crash& crash, const std::vector<uint64_t>& unsynced)
    : keep_(crash.keep), prefix_(crash.prefix), random_(crash.seed) {
    if (keep_ != Crash::Keep::seeded) { return; }
    const uint64_t style = random_.below(8);
    if (random_.below(3) == 0) { noise_of_64_ = random_.below(2) == 0 ? 4 : 24; }
    constexpr uint64_t chances_of_8[] = {0, 8, 4, 4, 1, 7};
    if (style < std::size(chances_of_8)) {
        survive_of_8_ = chances_of_8[style];
    } else {
        keep_ = Crash::Keep::prefix;
        prefix_ = unsynced.empty() ? 0 : unsynced[random_.below(unsynced.size())];
    }
}

bool CrashDecision::survives(uint64_t operation) {
    switch (keep_) {
        case Crash::Keep::nothing: return false;
        case Crash::Keep::everything: return true;
        case Crash::Keep::prefix: return operation < prefix_;
        case Crash::Keep::seeded: return random_.below(8) < survive_of_8_;
    }
    return false;
}

int64_t CrashDecision::pick(std::span<const uint64_t> operations) {
    for (size_t i = operations.size(); i > 0; --i) {
        if (survives(operations[i - 1])) { return static_cast<int64_t>(i) - 1; }
    }
    return -1;
}

bool CrashDecision::noise() { return noise_of_64_ != 0 && random_.below(64) < noise_of_64_; }

// Noise is not always random: erased flash reads as ones, a lost write as zeros.
void CrashDecision::fill_noise(MutableBytes sector) {
    switch (random_.below(4)) {
        case 0: std::ranges::fill(sector, std::byte{0}); break;
        case 1: std::ranges::fill(sector, std::byte{0xff}); break;
        default: random_.fill(sector); break;
    }
}

const SimPages::Slot* SimPages::find(uint64_t page) const {
    const uint64_t chunk = page / slots_per_chunk;
    if (chunk >= chunks_.size() || chunks_[chunk] == nullptr) { return nullptr; }
    return &chunks_[chunk]->slots[page % slots_per_chunk];
}

SimPages::Slot& SimPages::touch(uint64_t page) {
    const uint64_t chunk = page / slots_per_chunk;
    if (chunk >= chunks_.size()) { chunks_.resize(chunk + 1); }
    Chunk& owned = own(chunks_[chunk]);
    owned.dirty = true;
    dirty_ = true;
    return owned.slots[page % slots_per_chunk];
}

template <class Visit>
void SimPages::each_dirty(Visit visit) {
    dirty_ = !sizes_.empty();
    for (size_t c = 0; c < chunks_.size(); ++c) {
        if (chunks_[c] == nullptr || !chunks_[c]->dirty) { continue; }
        Chunk& chunk = own(chunks_[c]);
        for (uint64_t i = 0; i < slots_per_chunk; ++i) {
            Slot& slot = chunk.slots[i];
            if (slot.settled()) { continue; }
            const bool took_room = slot.takes_room();
            visit(slot, c * slots_per_chunk + i);
            pages_ = pages_ + (slot.takes_room() ? 1 : 0) - (took_room ? 1 : 0);
        }
        chunk.dirty = !std::ranges::all_of(chunk.slots, &Slot::settled);
        dirty_ = dirty_ || chunk.dirty;
    }
}

SimPages::PagePtr SimPages::merge(const PagePtr& under, const PagePtr& over, uint8_t sectors) {
    if (sectors == 0 || under == over) { return under; }
    if (sectors == all_sectors) { return over; }
    auto page = under == nullptr ? std::make_shared<Page>() : std::make_shared<Page>(*under);
    for (uint64_t sector = 0; sector < sim_sectors_per_page; ++sector) {
        if (!has(sectors, sector)) { continue; }
        std::byte* to = page->data() + sector * sim_sector_bytes;
        if (over == nullptr) {
            std::memset(to, 0, sim_sector_bytes);
        } else {
            std::memcpy(to, over->data() + sector * sim_sector_bytes, sim_sector_bytes);
        }
    }
    return page;
}

uint64_t SimPages::pages_added(uint64_t at, uint64_t bytes) const {
    uint64_t added = 0;
    for (uint64_t page = at / sim_page_bytes; page * sim_page_bytes < at + bytes; ++page) {
        const Slot* slot = find(page);
        if (slot == nullptr || !slot->takes_room()) { ++added; }
    }
    return added;
}

void SimPages::read(uint64_t at, MutableBytes into, bool durable) const {
    while (!into.empty()) {
        const uint64_t within = at % sim_page_bytes;
        const auto bytes = std::min<uint64_t>(into.size(), sim_page_bytes - within);
        const Slot* slot = find(at / sim_page_bytes);
        PagePtr page;
        if (slot != nullptr) { page = durable ? merge(slot->durable, slot->cached, slot->dirty) : slot->cached; }
        if (page == nullptr) {
            std::memset(into.data(), 0, bytes);
        } else {
            std::memcpy(into.data(), page->data() + within, bytes);
        }
        into = into.subspan(bytes);
        at += bytes;
    }
}

void SimPages::write(uint64_t at, Bytes from, uint64_t operation, bool buffered, SimRandom* only) {
    if (from.empty()) { return; }
    change_size(std::max(size_, at + from.size()), operation, false);
    while (!from.empty()) {
        const uint64_t within = at % sim_page_bytes;
        const auto bytes = std::min<uint64_t>(from.size(), sim_page_bytes - within);
        uint8_t sectors = sectors_of(within, within + bytes);
        if (only != nullptr) { sectors &= static_cast<uint8_t>(only->below(256)); }
        if (sectors != 0) {
            Slot& slot = touch(at / sim_page_bytes);
            if (!slot.takes_room()) { ++pages_; }
            auto page = slot.cached == nullptr || bytes == sim_page_bytes ? std::make_shared<Page>()
                                                                          : std::make_shared<Page>(*slot.cached);
            std::memcpy(page->data() + within, from.data(), bytes);
            slot.cached = merge(slot.cached, std::move(page), sectors);
            add_version(slot, {operation, slot.cached, sectors, false, buffered});
        }
        from = from.subspan(bytes);
        at += bytes;
    }
}

void SimPages::add_version(Slot& slot, Version version) {
    slot.dirty |= version.sectors;
    slot.versions.push_back(std::move(version));
    if (slot.versions.size() <= versions_per_page_max) { return; }
    // Only a version that a later one covers may be forgotten, so that "everything survives" stays true; and no cut.
    for (size_t i = slot.versions.size() / 2; i + 1 < slot.versions.size(); ++i) {
        const Version& candidate = slot.versions[i];
        if (!candidate.cut && without(candidate.sectors, slot.versions[i + 1].sectors) == 0) {
            slot.versions.erase(slot.versions.begin() + static_cast<int64_t>(i));
            return;
        }
    }
}

void SimPages::change_size(uint64_t bytes, uint64_t operation, bool cut) {
    if (bytes == size_) { return; }
    size_ = bytes;
    dirty_ = true;
    if (!sizes_.empty() && sizes_.back().operation == operation && !cut) {
        sizes_.back().bytes = bytes;
        return;
    }
    sizes_.push_back({operation, bytes, cut});
    const size_t middle = sizes_.size() / 2;
    if (sizes_.size() > size_changes_max && !sizes_[middle].cut) {
        sizes_.erase(sizes_.begin() + static_cast<int64_t>(middle));
    }
}

void SimPages::truncate(uint64_t bytes, uint64_t operation) {
    const uint64_t old_size = size_;
    change_size(bytes, operation, bytes < size_);
    if (bytes >= old_size) { return; }
    const uint64_t within = bytes % sim_page_bytes;
    if (const Slot* partial = find(bytes / sim_page_bytes);
        within != 0 && partial != nullptr && partial->cached != nullptr) {
        auto page = std::make_shared<Page>(*partial->cached);
        std::memset(page->data() + within, 0, sim_page_bytes - within);
        const uint64_t cut_sector_end = align_up(within, sim_sector_bytes);
        const bool zero_already = std::memcmp(page->data(), partial->cached->data(), cut_sector_end) == 0;
        Slot& slot = touch(bytes / sim_page_bytes);
        if (*page != *slot.cached) { slot.cached = page; }
        // The sector at the cut is rewritten, like any other write. Those behind it go with the size.
        if (!zero_already) { add_version(slot, {operation, page, sectors_of(within, cut_sector_end), false, false}); }
        if (cut_sector_end < sim_page_bytes) {
            add_version(slot, {operation, page, sectors_of(cut_sector_end, sim_page_bytes), true, false});
        }
    }
    for (uint64_t page = align_up(bytes, sim_page_bytes) / sim_page_bytes; page < chunks_.size() * slots_per_chunk;
         ++page) {
        const Slot* found = find(page);
        if (found == nullptr || (found->settled() && !found->takes_room())) { continue; }
        Slot& slot = touch(page);
        if (slot.takes_room()) { --pages_; }
        slot.cached = nullptr;
        slot.reserved = false;
        add_version(slot, {operation, nullptr, all_sectors, true, false});
    }
}

void SimPages::reserve(uint64_t begin, uint64_t end) {
    for (uint64_t page = begin / sim_page_bytes; page * sim_page_bytes < end; ++page) {
        const Slot* found = find(page);
        if (found != nullptr && found->reserved) { continue; }
        Slot& slot = touch(page);
        if (!slot.takes_room()) { ++pages_; }
        slot.reserved = true;
    }
}

void SimPages::make_durable(Slot& slot, uint8_t sectors) {
    slot.durable = merge(slot.durable, slot.cached, sectors);
    slot.dirty = without(slot.dirty, sectors);
    for (Version& version : slot.versions) { version.sectors = without(version.sectors, sectors); }
    std::erase_if(slot.versions, [](const Version& version) { return version.sectors == 0; });
    slot.reserved_durable = slot.reserved;
    const bool both = slot.cached != nullptr && slot.durable != nullptr;
    if (slot.dirty == 0 && slot.versions.empty() && both && *slot.cached == *slot.durable) {
        slot.cached = slot.durable;
    }
}

void SimPages::sync() {
    each_dirty([](Slot& slot, uint64_t) {
        slot.versions.clear();
        make_durable(slot, slot.dirty);
    });
    durable_size_ = size_;
    if (!sizes_.empty()) {
        sizes_.clear();
        each_dirty([](Slot&, uint64_t) {});
    }
}

void SimPages::sync_range(uint64_t at, uint64_t bytes) {
    if (bytes == 0) { return; }
    for (uint64_t page = at / sim_page_bytes; page * sim_page_bytes < at + bytes; ++page) {
        const uint64_t start = page * sim_page_bytes;
        const uint8_t sectors =
            sectors_of(std::max(at, start) - start, std::min(at + bytes, start + sim_page_bytes) - start);
        Slot& slot = touch(page);
        make_durable(slot, sectors & slot.dirty);
    }
    const bool too_short =
        durable_size_ < at + bytes ||
        std::ranges::any_of(sizes_, [&](const SizeChange& change) { return change.bytes < at + bytes; });
    if (too_short && !sizes_.empty()) { commit_sizes(); }
    each_dirty([](Slot&, uint64_t) {});  // takes back the marks of what is settled now
}

// The file system's journal has committed: every change of size so far is durable, and what was cut is gone for good.
void SimPages::commit_sizes() {
    each_dirty([](Slot& slot, uint64_t) {
        for (size_t i = 0; i < slot.versions.size(); ++i) {
            if (!slot.versions[i].cut) { continue; }
            const uint8_t gone = slot.versions[i].sectors;
            slot.durable = merge(slot.durable, nullptr, gone);
            uint8_t written_later = 0;
            for (size_t j = 0; j <= i; ++j) { slot.versions[j].sectors = without(slot.versions[j].sectors, gone); }
            for (size_t j = i + 1; j < slot.versions.size(); ++j) { written_later |= slot.versions[j].sectors; }
            slot.dirty = without(slot.dirty, without(gone, written_later));
        }
        std::erase_if(slot.versions, [](const Version& version) { return version.sectors == 0; });
    });
    durable_size_ = size_;
    sizes_.clear();
}

void SimPages::fail_sync(SimRandom& random) {
    commit_sizes();
    each_dirty([&](Slot& slot, uint64_t) {
        make_durable(slot, slot.dirty & static_cast<uint8_t>(random.below(256)));
        slot.dirty = 0;
        slot.versions.clear();
    });
}

void SimPages::drop_cache() {
    each_dirty([](Slot& slot, uint64_t) { slot.cached = merge(slot.durable, slot.cached, slot.dirty); });
}

void SimPages::collect_unsynced(std::set<uint64_t>& into) const {
    for (const SizeChange& change : sizes_) { into.insert(change.operation); }
    for (const auto& chunk : chunks_) {
        if (chunk == nullptr || !chunk->dirty) { continue; }
        for (const Slot& slot : chunk->slots) {
            for (const Version& version : slot.versions) { into.insert(version.operation); }
        }
    }
}

void SimPages::crash(CrashDecision& decision) {
    std::vector<uint64_t> operations;
    for (const SizeChange& change : sizes_) { operations.push_back(change.operation); }
    const int64_t picked = decision.pick(operations);
    const uint64_t cuts_below = picked < 0 ? 0 : sizes_[static_cast<size_t>(picked)].operation + 1;
    size_ = picked < 0 ? durable_size_ : sizes_[static_cast<size_t>(picked)].bytes;
    durable_size_ = size_;
    sizes_.clear();
    each_dirty([&](Slot& slot, uint64_t page) {
        crash_slot(slot, decision, cuts_below);
        const uint64_t start = page * sim_page_bytes;
        if (start >= size_) {
            slot.durable = nullptr;  // bytes past the size are never seen again
        } else if (slot.durable != nullptr && size_ - start < sim_page_bytes) {
            auto cut = std::make_shared<Page>(*slot.durable);
            std::memset(cut->data() + (size_ - start), 0, sim_page_bytes - (size_ - start));
            slot.durable = std::move(cut);
        }
        slot.cached = slot.durable;
    });
}

void SimPages::crash_slot(Slot& slot, CrashDecision& decision, uint64_t cuts_below) {
    auto result = slot.durable == nullptr ? std::make_shared<Page>() : std::make_shared<Page>(*slot.durable);
    const bool whole_page = std::ranges::any_of(slot.versions, &Version::buffered);
    std::vector<const Version*> choices;
    std::vector<uint64_t> operations;
    for (uint64_t sector = 0; sector < sim_sectors_per_page; ++sector) {
        choices.clear();
        operations.clear();
        const MutableBytes bytes(result->data() + sector * sim_sector_bytes, sim_sector_bytes);
        for (const Version& version : slot.versions) {
            if (!has(version.sectors, sector)) { continue; }
            if (!version.cut) {
                choices.push_back(&version);
                operations.push_back(version.operation);
            } else if (version.operation < cuts_below) {
                choices.clear();
                operations.clear();
                std::ranges::fill(bytes, std::byte{0});
            }
        }
        const int64_t picked = decision.pick(operations);
        if (picked >= 0) {
            const Page& page = *choices[static_cast<size_t>(picked)]->page;
            std::memcpy(bytes.data(), page.data() + sector * sim_sector_bytes, sim_sector_bytes);
        }
        if ((whole_page || !choices.empty()) && decision.noise()) { decision.fill_noise(bytes); }
    }
    slot.durable = std::move(result);
    slot.reserved = slot.reserved_durable || (slot.reserved && decision.survives(0));
    slot.reserved_durable = slot.reserved;
    slot.versions.clear();
    slot.dirty = 0;
}

}  // namespace flowstone
