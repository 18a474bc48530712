#!/usr/bin/env bash
# Usage: public_headers.sh COMPILER INCLUDE_DIR
# Every public header compiles alone with an embedder's compiler, without a warning; that for C as C, too. What must not compile does not:
# a loop over the value of a temporary Result would read freed memory, and a dropped one is an error nobody saw.
set -euo pipefail
compiler=$1 include=$(realpath "$2")
options=(-std=c++23 -Wall -Wextra -Werror -I "$include" -fsyntax-only -x c++ -)

for header in "$include"/flowstone/*.h; do
    echo "#include <flowstone/$(basename "$header")>" | "$compiler" "${options[@]}"
done
# The one for C is C.
echo "#include <flowstone/flowstone.h>" |
    "$compiler" -std=c11 -pedantic -Wall -Wextra -Werror -I "$include" -fsyntax-only -x c -

# compiles STATEMENTS: whether they do as the body of a function that has a log, a topic and a reader.
compiles() {
    "$compiler" "${options[@]}" 2>build_error <<END
#include <flowstone/log.h>
void take(const flowstone::RecordView&);
void body(flowstone::Log& log, flowstone::Topic& topic, flowstone::Reader& reader);
void body([[maybe_unused]] flowstone::Log& log, [[maybe_unused]] flowstone::Topic& topic,
          [[maybe_unused]] flowstone::Reader& reader) {
    $1
}
END
}
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT

expect() {
    local wanted=$1 got=yes
    compiles "$2" || got=no
    if [ "$got" != "$wanted" ]; then
        printf 'compiles: %s, must: %s\n    %s\n' "$got" "$wanted" "$2"
        cat build_error
        exit 1
    fi
}
expect yes 'while (auto batch = reader.next()) { for (const auto& record : *batch) { take(record); } }'
expect yes 'if (auto batch = reader.next(); batch && !batch->empty()) { take(*batch->begin()); }'
expect no 'for (const auto& record : *reader.next()) { take(record); }'
expect no 'for (const auto& record : *std::move(reader.next())) { take(record); }'
expect no 'take(*reader.next()->begin());'
expect no 'const auto& batch = *reader.next(); take(*batch.begin());'

expect yes 'auto topics = log.describe("a"); if (topics) { for (const auto& config : topics->configs) { (void)config; } }'
expect yes 'auto offsets = log.fetch_offsets("g"); if (offsets) { auto mine = std::move(*offsets); (void)mine; }'
expect yes 'const auto& error = log.flush().error(); (void)error;'
expect yes 'flowstone::Result<bool> good = true; flowstone::Result<bool> bad = flowstone::fail(flowstone::Code::io, ""); (void)good, (void)bad;'
expect no 'for (const auto& offset : *log.fetch_offsets("g")) { (void)offset; }'
expect no 'for (const auto& config : log.describe("a")->configs) { (void)config; }'
expect no 'for (const auto& config : (*log.describe("a")).configs) { (void)config; }'
expect no 'for (const auto& offset : log.fetch_offsets("g").value()) { (void)offset; }'
expect no 'flowstone::Topic& other = *log.topic("a"); (void)other;'

expect no 'reader.next();'
expect no 'log.flush();'
expect no 'topic.append({.value = "a"});'
expect no 'log.topic("a");'
