#include "tests/sim/world/sim_disk.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "storage/check.h"
#include "storage/limits.h"
#include "storage/try.h"
#include "tests/sim/world/sim_pages.h"

namespace flowstone {
namespace {

using InodeId = uint64_t;
constexpr InodeId root_inode = 0;
constexpr InodeId no_inode = ~uint64_t{0};
constexpr uint64_t sim_file_bytes_max = uint64_t{1} << 40;

struct Inode {
    bool directory = false;
    std::map<std::string, InodeId> entries;          // of a directory, as processes see it
    std::map<std::string, InodeId> durable_entries;  // and as it is on the device
    SimPages pages;                                  // of a file
    bool linked = true;                              // has a name that processes see
};

// A change of names that has not been synced. A rename names two places, the others only `to`.
struct NameChange {
    enum class Kind : uint8_t { link, unlink, move };
    uint64_t operation = 0;
    Kind kind = Kind::link;
    InodeId inode = no_inode;
    InodeId to_directory = no_inode;
    std::string to{};
    InodeId from_directory = no_inode;
    std::string from{};
};

// Everything a crash can meet. Copying it shares inodes; who changes one makes it its own first.
struct State {
    std::vector<std::shared_ptr<Inode>> inodes;
    std::vector<NameChange> names;  // unsynced, in order
    uint64_t pages = 0;             // that take room

    const Inode& at(InodeId id) const { return *inodes[id]; }
    Inode& own(InodeId id) {
        if (inodes[id].use_count() > 1) { inodes[id] = std::make_shared<Inode>(*inodes[id]); }
        return *inodes[id];
    }
    InodeId add(bool directory) {
        inodes.push_back(std::make_shared<Inode>());
        inodes.back()->directory = directory;
        return inodes.size() - 1;
    }
};

using Entries = std::map<std::string, InodeId> Inode::*;

void apply(State& state, const NameChange& change, Entries entries) {
    if (change.kind == NameChange::Kind::unlink) {
        (state.own(change.to_directory).*entries).erase(change.to);
        return;
    }
    if (change.kind == NameChange::Kind::move) { (state.own(change.from_directory).*entries).erase(change.from); }
    (state.own(change.to_directory).*entries)[change.to] = change.inode;
}

// "./a//b/" and "/a/b" are both {"a", "b"}: the simulated root is also the working directory.
std::vector<std::string> split(const std::string& path) {
    std::vector<std::string> parts;
    size_t begin = 0;
    while (begin <= path.size()) {
        const size_t end = std::min(path.find('/', begin), path.size());
        std::string part = path.substr(begin, end - begin);
        if (!part.empty() && part != ".") { parts.push_back(std::move(part)); }
        begin = end + 1;
    }
    return parts;
}

std::vector<uint64_t> unsynced_in(const State& state) {
    std::set<uint64_t> operations;
    for (const NameChange& change : state.names) { operations.insert(change.operation); }
    for (const auto& inode : state.inodes) {
        if (!inode->pages.clean()) { inode->pages.collect_unsynced(operations); }
    }
    return {operations.begin(), operations.end()};
}

// The room of everything that has a name from `directory` down.
uint64_t count_linked(const State& state, InodeId directory) {
    uint64_t pages = 0;
    for (const auto& [name, id] : state.at(directory).entries) {
        pages += state.at(id).directory ? count_linked(state, id) : state.at(id).pages.pages();
    }
    return pages;
}

// Which changes of names survive. In any subset, but what happened to one name or to one file keeps its order: a file
// that was there before is never lost because a later change survived and an earlier one did not.
std::vector<bool> surviving_names(const std::vector<NameChange>& names, CrashDecision& decision) {
    std::vector<bool> survives(names.size());
    std::set<InodeId> inodes;
    std::set<std::pair<InodeId, std::string>> places;
    for (size_t i = names.size(); i > 0; --i) {
        const NameChange& change = names[i - 1];
        const std::pair to{change.to_directory, change.to};
        const std::pair from{change.from_directory, change.from};
        const bool needed = inodes.contains(change.inode) || places.contains(to) || places.contains(from);
        if (!decision.survives(change.operation) && !needed) { continue; }
        survives[i - 1] = true;
        inodes.insert(change.inode);
        places.insert(to);
        if (change.kind == NameChange::Kind::move) { places.insert(from); }
    }
    return survives;
}

State crash_of(const State& before, const Crash& crash) {
    CrashDecision decision(crash, unsynced_in(before));
    State after = before;
    const auto survives = surviving_names(before.names, decision);
    for (size_t i = 0; i < before.names.size(); ++i) {
        if (survives[i]) { apply(after, before.names[i], &Inode::durable_entries); }
    }
    after.names.clear();
    for (InodeId id = 0; id < after.inodes.size(); ++id) {
        if (!after.at(id).pages.clean()) { after.own(id).pages.crash(decision); }
        if (after.at(id).entries != after.at(id).durable_entries) {
            Inode& directory = after.own(id);
            directory.entries = directory.durable_entries;
        }
    }
    after.pages = count_linked(after, root_inode);
    return after;
}

}  // namespace

std::string CrashPoint::to_string() const {
    std::string text = fmt::format("{} {}, ", during ? "during" : "before", operation);
    switch (crash.keep) {
        case Crash::Keep::nothing: return text + "nothing unsynced survives";
        case Crash::Keep::everything: return text + "everything survives";
        case Crash::Keep::prefix: return text + fmt::format("operations below {} survive", crash.prefix);
        case Crash::Keep::seeded: return text + fmt::format("seed {}", crash.seed);
    }
    return text;
}

struct SimDisk::Core {
    struct Step {
        State during;  // what the operation did is there, what it synced is not synced
        State after;
        std::string text;
    };

    explicit Core(const Options& wanted) : options(wanted) {}

    Result<InodeId> find(const std::string& path, const char* operation) const;
    // The directory that holds `path`, and the last part of it.
    struct Place {
        InodeId directory = root_inode;
        std::string name;
        InodeId inode = no_inode;  // what is there now
    };
    Result<Place> place(const std::string& path, const char* operation) const;

    // An operation is begun, does its work in `state`, says so by `did`, syncs, and is ended.
    uint64_t operation() const { return count; }
    void did() {
        if (options.record) { during = state; }
    }
    void ended(std::string text) {
        if (options.record) { trace.push_back({std::move(during), state, std::move(text)}); }
        during = {};
        ++count;
    }
    void change_name(NameChange change) {
        change.operation = operation();
        apply(state, change, &Inode::entries);
        state.names.push_back(std::move(change));
    }
    // The file has lost a name or a descriptor; without either its room is free again.
    void release(InodeId id) {
        if (state.at(id).linked || open_files.contains(id) || state.at(id).directory) { return; }
        state.pages -= state.at(id).pages.pages();
    }
    void unlink_inode(InodeId id) {
        state.own(id).linked = false;
        release(id);
    }
    void closed(InodeId id) {
        if (--open_files[id] == 0) {
            open_files.erase(id);
            release(id);
        }
    }
    const State& state_at(uint64_t point, bool during_it) const;
    int32_t perform(Io& request, bool direct, InodeId id, SimRandom* failing, int32_t failing_errno);
    void run(std::span<Io> requests, int32_t failing_errno);

    uint64_t pages_max() const { return full ? state.pages : options.bytes_max / sim_page_bytes; }
    uint64_t pages_free() const { return pages_max() - std::min(pages_max(), state.pages); }

    const Options options;
    std::mutex mutex;
    bool full = false;
    State state;
    State first;   // before operation 0
    State during;  // of the operation that is going on
    uint64_t count = 0;
    std::vector<Step> trace;
    std::map<InodeId, uint32_t> open_files;
    std::set<InodeId> locked;
};

namespace {

class SimFile final : public File {
public:
    SimFile(std::shared_ptr<SimDisk::Core> core, std::string path, InodeId id, bool direct, bool writable)
        : core_(std::move(core)), path_(std::move(path)), id_(id), direct_(direct), writable_(writable) {
        ++core_->open_files[id_];
    }
    ~SimFile() override {
        const std::lock_guard guard(core_->mutex);
        core_->closed(id_);
    }
    const std::string& path() const override { return path_; }
    bool direct() const override { return direct_; }
    bool writable() const { return writable_; }
    InodeId id() const { return id_; }

private:
    std::shared_ptr<SimDisk::Core> core_;
    std::string path_;
    InodeId id_;
    bool direct_;
    bool writable_;
};

SimFile& sim(File& file) { return static_cast<SimFile&>(file); }

class SimLock final : public DirectoryLock {
public:
    SimLock(std::shared_ptr<SimDisk::Core> core, InodeId id) : core_(std::move(core)), id_(id) {}
    ~SimLock() override {
        const std::lock_guard guard(core_->mutex);
        core_->locked.erase(id_);
    }

private:
    std::shared_ptr<SimDisk::Core> core_;
    InodeId id_;
};

uint64_t bytes_of(const Io& request) {
    uint64_t bytes = 0;
    for (const iovec& piece : request.pieces) { bytes += piece.iov_len; }
    return bytes;
}

bool aligned(const Io& request, uint32_t block_bytes) {
    uint64_t bits = static_cast<uint64_t>(request.at.value);
    for (const iovec& piece : request.pieces) { bits |= reinterpret_cast<uintptr_t>(piece.iov_base) | piece.iov_len; }
    return bits % block_bytes == 0;
}

std::string text_of(const Io& request) {
    constexpr const char* kinds[] = {"read", "write", "write_durable", "sync"};
    std::string text = fmt::format("{} {}", kinds[static_cast<size_t>(request.kind)], request.file->path());
    if (request.kind == Io::Kind::sync) { return text; }
    return text + fmt::format(" at {} +{}", request.at.value, bytes_of(request));
}

}  // namespace

Result<InodeId> SimDisk::Core::find(const std::string& path, const char* operation) const {
    InodeId id = root_inode;
    for (const std::string& part : split(path)) {
        const Inode& inode = state.at(id);
        if (!inode.directory) { return fail_errno(ENOTDIR, operation, path); }
        const auto entry = inode.entries.find(part);
        if (entry == inode.entries.end()) { return fail_errno(ENOENT, operation, path); }
        id = entry->second;
    }
    return id;
}

Result<SimDisk::Core::Place> SimDisk::Core::place(const std::string& path, const char* operation) const {
    const auto parts = split(path);
    if (parts.empty()) { return fail_errno(EBUSY, operation, path); }
    TRY(const InodeId directory, find(parent_path(path), operation));
    const Inode& inode = state.at(directory);
    if (!inode.directory) { return fail_errno(ENOTDIR, operation, path); }
    const auto entry = inode.entries.find(parts.back());
    return Place{directory, parts.back(), entry == inode.entries.end() ? no_inode : entry->second};
}

const State& SimDisk::Core::state_at(uint64_t point, bool during_it) const {
    CHECK(options.record);
    CHECK(point <= trace.size() && (!during_it || point < trace.size()));
    if (during_it) { return trace[point].during; }
    return point == 0 ? first : trace[point - 1].after;
}

// One request, up to but not including what it syncs. Returns its errno.
int32_t SimDisk::Core::perform(Io& request, bool direct, InodeId id, SimRandom* failing, int32_t failing_errno) {
    const auto at = static_cast<uint64_t>(request.at.value);
    const uint64_t asked = bytes_of(request);
    if (request.kind == Io::Kind::sync) { return failing_errno; }
    if (request.at.value < 0 || request.pieces.size() > io_pieces_max) { return EINVAL; }
    if (at + asked > sim_file_bytes_max) { return request.kind == Io::Kind::read ? 0 : EFBIG; }
    if (direct && !aligned(request, options.block_bytes)) { return EINVAL; }

    if (request.kind == Io::Kind::read) {
        if (failing != nullptr) { return failing_errno; }
        const SimPages& pages = state.at(id).pages;
        uint64_t left = at >= pages.size() ? 0 : std::min(asked, pages.size() - at);
        for (const iovec& piece : request.pieces) {
            const auto step = std::min<uint64_t>(left, piece.iov_len);
            pages.read(at + request.done, {static_cast<std::byte*>(piece.iov_base), step}, direct);
            request.done += step;
            left -= step;
        }
        return 0;
    }

    if (!sim(*request.file).writable()) { return EBADF; }
    if (failing_errno == ENOSPC || failing_errno == EDQUOT) { return failing_errno; }
    // A full disk takes the pages that still fit, as a real one does.
    uint64_t fits = asked;
    while (fits > 0 && state.at(id).pages.pages_added(at, fits) > pages_free()) {
        const uint64_t end = align_down(at + fits - 1, sim_page_bytes);
        fits = end > at ? end - at : 0;
    }
    Inode& inode = state.own(id);
    const uint64_t pages_before = inode.pages.pages();
    uint64_t written = 0;
    for (const iovec& piece : request.pieces) {
        const auto step = std::min<uint64_t>(fits - written, piece.iov_len);
        inode.pages.write(at + written, {static_cast<const std::byte*>(piece.iov_base), step}, operation(), !direct,
                          failing);
        written += step;
    }
    state.pages += inode.pages.pages() - pages_before;
    if (failing != nullptr) { return failing_errno; }
    request.done = written;
    return fits < asked ? ENOSPC : 0;
}

void SimDisk::Core::run(std::span<Io> requests, int32_t failing_errno) {
    const std::lock_guard guard(mutex);
    SimRandom random(operation());
    SimRandom* failing = failing_errno != 0 ? &random : nullptr;
    bool changes = false;
    std::string text = failing != nullptr ? "failing run:" : "run:";
    for (Io& request : requests) {
        const SimFile& file = sim(*request.file);
        request.done = 0;
        request.os_errno = perform(request, file.direct(), file.id(), failing, failing_errno);
        if (request.kind == Io::Kind::read) { continue; }
        changes = true;
        if (options.record) { text += ' ' + text_of(request); }
    }
    if (!changes) { return; }
    did();
    for (const Io& request : requests) {
        const bool durable = request.kind == Io::Kind::write_durable && failing == nullptr;
        if (!durable && request.kind != Io::Kind::sync) { continue; }
        SimPages& pages = state.own(sim(*request.file).id()).pages;
        if (durable) {
            pages.sync_range(static_cast<uint64_t>(request.at.value), request.done);
        } else if (failing != nullptr) {
            pages.fail_sync(random);
        } else {
            pages.sync();
        }
    }
    ended(std::move(text));
}

SimDisk::SimDisk() : SimDisk(Options{}) {}

SimDisk::SimDisk(Options options) : core_(std::make_shared<Core>(options)) {
    CHECK(std::has_single_bit(options.block_bytes));
    core_->state.add(true);
    core_->first = core_->state;
}

SimDisk::SimDisk(std::shared_ptr<Core> core) : core_(std::move(core)) {}
SimDisk::~SimDisk() = default;

Result<uint32_t> SimDisk::block_bytes(const std::string& directory) {
    const std::lock_guard guard(core_->mutex);
    TRY(const InodeId id, core_->find(directory, "disk.block_bytes"));
    if (!core_->state.at(id).directory) { return fail_errno(ENOTDIR, "disk.block_bytes", directory); }
    return core_->options.block_bytes;
}

Result<std::unique_ptr<File>> SimDisk::open(const std::string& path, OpenOptions options) {
    const std::lock_guard guard(core_->mutex);
    TRY(auto place, core_->place(path, "disk.open"));
    if (place.inode == no_inode) {
        if (!options.create) { return fail_errno(ENOENT, "disk.open", path); }
        if (core_->full) { return fail_errno(ENOSPC, "disk.open", path); }
        place.inode = core_->state.add(false);
        core_->change_name({.inode = place.inode, .to_directory = place.directory, .to = place.name});
        core_->did();
        core_->ended("create " + path);
    } else if (options.create && options.exclusive) {
        return fail_errno(EEXIST, "disk.open", path);
    }
    if (core_->state.at(place.inode).directory) {
        return fail(Code::invalid, "disk.open", fmt::format("{} is not a file", path));
    }
    const bool direct = options.direct && core_->options.direct;
    return std::make_unique<SimFile>(core_, path, place.inode, direct, options.write);
}

void SimDisk::run(std::span<Io> requests) { core_->run(requests, 0); }

std::unique_ptr<BackgroundRead> SimDisk::begin_read(const std::shared_ptr<File>& file, BytePos at, MutableBytes into) {
    return std::make_unique<SimRead>(*this, file, at, into, operations() % 2 == 0);
}

void SimDisk::run_failing(std::span<Io> requests, int32_t os_errno) {
    CHECK(os_errno != 0);
    core_->run(requests, os_errno);
}

Result<uint64_t> SimDisk::size(File& file) {
    const std::lock_guard guard(core_->mutex);
    return core_->state.at(sim(file).id()).pages.size();
}

Result<void> SimDisk::truncate(File& file, uint64_t bytes) {
    const std::lock_guard guard(core_->mutex);
    if (!sim(file).writable()) { return fail_errno(EINVAL, "disk.truncate", file.path()); }
    if (bytes > sim_file_bytes_max) { return fail_errno(EFBIG, "disk.truncate", file.path()); }
    SimPages& pages = core_->state.own(sim(file).id()).pages;
    const uint64_t before = pages.pages();
    pages.truncate(bytes, core_->operation());
    core_->state.pages = core_->state.pages + pages.pages() - before;
    core_->did();
    core_->ended(fmt::format("truncate {} to {}", file.path(), bytes));
    return {};
}

Result<void> SimDisk::allocate(File& file, BytePos begin, BytePos end, bool keep_size) {
    const std::lock_guard guard(core_->mutex);
    if (begin.value < 0 || end <= begin) { return fail(Code::invalid, "disk.allocate", file.path()); }
    if (!sim(file).writable()) { return fail_errno(EBADF, "disk.allocate", file.path()); }
    if (static_cast<uint64_t>(end.value) > sim_file_bytes_max) {
        return fail_errno(EFBIG, "disk.allocate", file.path());
    }
    const auto first = static_cast<uint64_t>(begin.value);
    const auto last = static_cast<uint64_t>(end.value);
    SimPages& pages = core_->state.own(sim(file).id()).pages;
    const uint64_t before = pages.pages();
    if (pages.pages_added(first, last - first) > core_->pages_free()) {
        return fail_errno(ENOSPC, "disk.allocate", file.path());
    }
    pages.reserve(first, last);
    if (!keep_size && last > pages.size()) { pages.truncate(last, core_->operation()); }
    core_->state.pages += pages.pages() - before;
    core_->did();
    core_->ended(fmt::format("allocate {} from {} to {}", file.path(), first, last));
    return {};
}

Result<FileInfo> SimDisk::info(const std::string& path) {
    const std::lock_guard guard(core_->mutex);
    TRY(const InodeId id, core_->find(path, "disk.info"));
    const Inode& inode = core_->state.at(id);
    return FileInfo{.bytes = inode.pages.size(),
                    .allocated_bytes = inode.pages.pages() * sim_page_bytes,
                    .directory = inode.directory};
}

Result<std::vector<DirectoryEntry>> SimDisk::list(const std::string& directory) {
    const std::lock_guard guard(core_->mutex);
    TRY(const InodeId id, core_->find(directory, "disk.list"));
    if (!core_->state.at(id).directory) { return fail_errno(ENOTDIR, "disk.list", directory); }
    std::vector<DirectoryEntry> entries;
    for (const auto& [name, inode] : core_->state.at(id).entries) {
        entries.push_back({name, core_->state.at(inode).directory});
    }
    return entries;
}

Result<void> SimDisk::make_directory(const std::string& path) {
    const std::lock_guard guard(core_->mutex);
    if (split(path).empty()) { return fail_errno(EEXIST, "disk.make_directory", path); }
    TRY(const auto place, core_->place(path, "disk.make_directory"));
    if (place.inode != no_inode) { return fail_errno(EEXIST, "disk.make_directory", path); }
    if (core_->full) { return fail_errno(ENOSPC, "disk.make_directory", path); }
    core_->change_name({.inode = core_->state.add(true), .to_directory = place.directory, .to = place.name});
    core_->did();
    core_->ended("make_directory " + path);
    return {};
}

Result<void> SimDisk::remove(const std::string& path) {
    const std::lock_guard guard(core_->mutex);
    TRY(const auto place, core_->place(path, "disk.remove"));
    if (place.inode == no_inode) { return fail_errno(ENOENT, "disk.remove", path); }
    const Inode& inode = core_->state.at(place.inode);
    if (inode.directory && !inode.entries.empty()) { return fail_errno(ENOTEMPTY, "disk.remove", path); }
    core_->change_name(
        {.kind = NameChange::Kind::unlink, .inode = place.inode, .to_directory = place.directory, .to = place.name});
    core_->unlink_inode(place.inode);
    core_->did();
    core_->ended("remove " + path);
    return {};
}

Result<void> SimDisk::rename(const std::string& from, const std::string& to) {
    const std::lock_guard guard(core_->mutex);
    const std::string both = fmt::format("{} to {}", from, to);
    TRY(const auto source, core_->place(from, "disk.rename"));
    TRY(const auto target, core_->place(to, "disk.rename"));
    if (source.inode == no_inode) { return fail_errno(ENOENT, "disk.rename", both); }
    if (source.inode == target.inode) { return {}; }
    const auto from_parts = split(from);
    const auto to_parts = split(to);
    const bool into_itself =
        to_parts.size() > from_parts.size() && std::equal(from_parts.begin(), from_parts.end(), to_parts.begin());
    if (into_itself) { return fail_errno(EINVAL, "disk.rename", both); }
    if (target.inode != no_inode) {
        const Inode& replaced = core_->state.at(target.inode);
        const bool directory = core_->state.at(source.inode).directory;
        if (replaced.directory != directory) { return fail_errno(directory ? ENOTDIR : EISDIR, "disk.rename", both); }
        if (!replaced.entries.empty()) { return fail_errno(ENOTEMPTY, "disk.rename", both); }
    }
    core_->change_name({.kind = NameChange::Kind::move,
                        .inode = source.inode,
                        .to_directory = target.directory,
                        .to = target.name,
                        .from_directory = source.directory,
                        .from = source.name});
    if (target.inode != no_inode) { core_->unlink_inode(target.inode); }
    core_->did();
    core_->ended("rename " + both);
    return {};
}

Result<void> SimDisk::sync_directory(const std::string& path) {
    const std::lock_guard guard(core_->mutex);
    TRY(const InodeId id, core_->find(path, "disk.sync_directory"));
    if (!core_->state.at(id).directory) { return fail_errno(ENOTDIR, "disk.sync_directory", path); }
    core_->did();
    // A rename is one change even when it concerns two directories, so what concerns the other goes along.
    std::set<InodeId> covered{id};
    for (size_t before = 0; before != covered.size();) {
        before = covered.size();
        for (const NameChange& change : core_->state.names) {
            const bool concerned = covered.contains(change.to_directory) || covered.contains(change.from_directory);
            if (!concerned) { continue; }
            covered.insert(change.to_directory);
            if (change.from_directory != no_inode) { covered.insert(change.from_directory); }
        }
    }
    std::erase_if(core_->state.names, [&](const NameChange& change) {
        if (!covered.contains(change.to_directory)) { return false; }
        apply(core_->state, change, &Inode::durable_entries);
        return true;
    });
    core_->ended("sync_directory " + path);
    return {};
}

Result<std::unique_ptr<DirectoryLock>> SimDisk::lock(const std::string& path) {
    TRY(auto file, open(path, {.write = true, .create = true}));
    const InodeId id = sim(*file).id();
    {
        const std::lock_guard guard(core_->mutex);
        if (core_->locked.contains(id)) {
            return fail(Code::locked, "disk.lock", fmt::format("process {} has {}", core_->options.process_id, path));
        }
        core_->locked.insert(id);
    }
    auto lock = std::make_unique<SimLock>(core_, id);
    (void)truncate(*file, 0);
    (void)write_at(*this, *file, BytePos{0}, as_bytes(fmt::format("{}\n", core_->options.process_id)));
    return lock;
}

void SimDisk::drop_cache(File& file) {
    const std::lock_guard guard(core_->mutex);
    SimPages& pages = core_->state.own(sim(file).id()).pages;
    const uint64_t before = pages.pages();
    pages.drop_cache();
    core_->state.pages = core_->state.pages + pages.pages() - before;
}

Result<uint64_t> SimDisk::free_bytes(const std::string& directory) {
    const std::lock_guard guard(core_->mutex);
    TRY_VOID(core_->find(directory, "disk.free_bytes"));
    return core_->pages_free() * sim_page_bytes;
}

void SimDisk::set_full(bool full) {
    const std::lock_guard guard(core_->mutex);
    core_->full = full;
}

uint64_t SimDisk::operations() const {
    const std::lock_guard guard(core_->mutex);
    return core_->count;
}

std::string SimDisk::describe(uint64_t operation) const {
    const std::lock_guard guard(core_->mutex);
    CHECK(operation < core_->trace.size());
    return core_->trace[operation].text;
}

std::unique_ptr<SimDisk> SimDisk::crash(const Crash& crash, bool record) const {
    const std::lock_guard guard(core_->mutex);
    Options options = core_->options;
    options.record = record;
    auto core = std::make_shared<Core>(options);
    core->state = crash_of(core_->state, crash);
    if (record) { core->first = core->state; }
    return std::unique_ptr<SimDisk>(new SimDisk(std::move(core)));
}

std::unique_ptr<SimDisk> SimDisk::crash_state(const CrashPoint& point, bool record) const {
    const std::lock_guard guard(core_->mutex);
    Options options = core_->options;
    options.record = record;
    auto core = std::make_shared<Core>(options);
    core->state = crash_of(core_->state_at(point.operation, point.during), point.crash);
    if (record) { core->first = core->state; }
    return std::unique_ptr<SimDisk>(new SimDisk(std::move(core)));
}

std::vector<uint64_t> SimDisk::unsynced(uint64_t operation, bool during) const {
    const std::lock_guard guard(core_->mutex);
    return unsynced_in(core_->state_at(operation, during));
}

std::vector<CrashPoint> SimDisk::all_crashes(uint64_t seeds, uint64_t first) const {
    std::vector<CrashPoint> points;
    const uint64_t end = operations();
    for (uint64_t operation = first; operation <= end; ++operation) {
        for (const bool during : {false, true}) {
            if (during && operation == end) { continue; }
            points.push_back({operation, during, {.keep = Crash::Keep::nothing}});
            const auto left = unsynced(operation, during);
            if (left.empty()) { continue; }
            points.push_back({operation, during, {.keep = Crash::Keep::everything}});
            // A prefix that ends before the oldest is "nothing", one after the newest "everything".
            for (size_t i = 1; i < left.size(); ++i) {
                points.push_back({operation, during, {.keep = Crash::Keep::prefix, .prefix = left[i]}});
            }
            for (uint64_t seed = 0; seed < seeds; ++seed) {
                points.push_back({operation, during, {.seed = (operation << 20) + seed * 2 + (during ? 1 : 0)}});
            }
        }
    }
    return points;
}

std::vector<CrashPoint> SimDisk::sample_crashes(uint64_t count, uint64_t seed, uint64_t first) const {
    SimRandom random(seed);
    const uint64_t end = operations();
    CHECK(first <= end);
    std::vector<CrashPoint> points;
    for (uint64_t i = 0; i < count; ++i) {
        CrashPoint point{.operation = first + random.below(end - first + 1), .crash = {.seed = random.next()}};
        point.during = point.operation < end && random.below(2) == 0;
        const uint64_t kind = random.below(16);
        if (kind == 0) { point.crash.keep = Crash::Keep::nothing; }
        if (kind == 1) { point.crash.keep = Crash::Keep::everything; }
        points.push_back(point);
    }
    return points;
}

}  // namespace flowstone
