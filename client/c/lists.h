// Lists that a call of the C header gives: copies, which belong to whoever asked.
#pragma once

#include <vector>

#include <flowstone/flowstone.h>
#include <flowstone/log.h>

#include "client/c/words.h"

struct flowstone_topic_list : flowstone::c::Handle<0x46'54'4c'01> {
    struct Entry {
        flowstone::TopicInfo info;
        int32_t durability = -1;
    };
    std::vector<Entry> topics;
};

struct flowstone_offset_list : flowstone::c::Handle<0x46'4f'4c'02> {
    std::vector<flowstone::GroupOffset> offsets;
};
