// A directory that Kafka wrote: nothing of ours says what is proven, so everything is looked at once (JOURNAL 3.3).
//
// Read-only, only the last segment of each partition is walked, to find its end. For writing, every batch of every
// partition is checked, an unfinished last batch is cut, topics that the metadata log does not know are entered into
// it, and the caller writes our checkpoint last: until then Kafka can go on as if nothing had happened.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <flowstone/result.h>

#include "log/metadata_records.h"
#include "storage/checkpoint.h"
#include "storage/disk.h"
#include "storage/meta_files.h"
#include "storage/random.h"

namespace flowstone {

struct AdoptOptions {
    std::string directory;
    Uuid cluster;
    int32_t node = 1;
    Uuid directory_id;
    Uuid metadata_topic;
    bool write = false;
    std::function<void(std::string_view line)> on_log;
};

struct Adopted {
    Checkpoint checkpoint;              // clean, of no ring, numbered 0
    std::vector<MetadataRecord> known;  // read-only: to be applied before the records of the metadata log
};

// Errors: corrupt (naming the file and place), unsupported (magic 0 or 1; a metadata log whose beginning is gone, for
// writing), those of Disk.
Result<Adopted> adopt(Disk& disk, Random& random, const AdoptOptions& options);

}  // namespace flowstone
