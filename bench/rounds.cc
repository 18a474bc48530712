#include "bench/rounds.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include <fmt/format.h>

#include "storage/try.h"

namespace flowstone::bench {

Result<std::vector<Series>> run_rounds(const Workload& workload, const Rounds& wanted, const std::string& directory) {
    std::vector<Series> series;
    for (const Contender& contender : workload.contenders) { series.push_back({contender.name, {}}); }
    std::filesystem::create_directories(directory);
    if (workload.prepare) { TRY_VOID(workload.prepare(wanted.setting, directory)); }
    for (uint32_t round = 0; round < wanted.rounds; ++round) {
        for (size_t turn = 0; turn < workload.contenders.size(); ++turn) {
            const size_t which = (turn + round) % workload.contenders.size();
            const Contender& contender = workload.contenders[which];
            if (contender.peer && !wanted.peers) { continue; }
            if (!wanted.only.empty() && contender.name != wanted.only) { continue; }
            const std::string own = directory + "/" + contender.name;
            std::filesystem::create_directories(own);
            auto outcome = contender.run(wanted.setting, own);
            const auto removed = std::filesystem::remove_all(own);
            // ext4 without a journal passes over inodes freed within the last five seconds, one by one.
            if (removed > 500) { std::this_thread::sleep_for(std::chrono::seconds(6)); }
            ::sync();  // what the one before left to write is not the next one's load
            if (!outcome) {
                return std::unexpected(outcome.error().with_detail(
                    fmt::format("{} {}: {}", workload.name, contender.name, outcome.error().detail)));
            }
            series[which].rounds.push_back(std::move(*outcome));
        }
    }
    return series;
}

Result<std::vector<Workload>> choose(std::vector<Workload> all, const std::vector<std::string>& names) {
    for (const std::string& wanted : names) {
        if (std::ranges::find(all, wanted, &Workload::name) == all.end()) {
            return fail(Code::invalid, "bench.choose",
                        fmt::format("no workload is called {}; --list names them", wanted));
        }
    }
    if (!names.empty()) {
        std::erase_if(all,
                      [&](const Workload& workload) { return std::ranges::find(names, workload.name) == names.end(); });
    }
    return all;
}

}  // namespace flowstone::bench
