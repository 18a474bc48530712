#include "client/c/lists.h"

#include <algorithm>
#include <cstring>
#include <string>

using namespace flowstone;
using namespace flowstone::c;

namespace {

Result<void> check_index(size_t index, size_t count, const char* operation) {
    if (index < count) { return {}; }
    return fail(Code::out_of_range, operation, std::to_string(index) + " of " + std::to_string(count));
}

}  // namespace

size_t flowstone_topic_list_count(const flowstone_topic_list* list) noexcept {
    return alive(list, "topic_list.count") ? list->topics.size() : 0;
}

int32_t flowstone_topic_list_get(const flowstone_topic_list* list, size_t index, flowstone_topic_info* info,
                                 flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "topic_list.get";
        TRY_VOID(alive(list, operation));
        TRY_VOID(check_given(info, operation, "the info"));
        TRY_VOID(check_size(info, operation));
        TRY_VOID(check_index(index, list->topics.size(), operation));
        const auto& [topic, durability] = list->topics[index];
        flowstone_topic_info filled{.size = 0,
                                    .partitions = topic.partitions,
                                    .name = bytes_of(topic.name),
                                    .id = {},
                                    .durability = durability,
                                    .internal = topic.internal ? 1u : 0u};
        std::memcpy(filled.id, topic.id.bytes.data(), sizeof filled.id);
        give(filled, info);
        return {};
    });
}

void flowstone_topic_list_free(flowstone_topic_list* list) noexcept {
    if (alive(list, "topic_list.free")) { delete list; }
}

size_t flowstone_offset_list_count(const flowstone_offset_list* list) noexcept {
    return alive(list, "offset_list.count") ? list->offsets.size() : 0;
}

int32_t flowstone_offset_list_get(const flowstone_offset_list* list, size_t index, flowstone_group_offset* offset,
                                  flowstone_error* error) noexcept {
    return answer(Side::log, error, [&]() -> Result<void> {
        constexpr const char* operation = "offset_list.get";
        TRY_VOID(alive(list, operation));
        TRY_VOID(check_given(offset, operation, "the offset"));
        TRY_VOID(check_index(index, list->offsets.size(), operation));
        const GroupOffset& found = list->offsets[index];
        *offset = {bytes_of(found.topic), found.offset.value, found.partition, 0, bytes_of(found.metadata)};
        return {};
    });
}

void flowstone_offset_list_free(flowstone_offset_list* list) noexcept {
    if (alive(list, "offset_list.free")) { delete list; }
}
