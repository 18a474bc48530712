#!/usr/bin/env bash
# Usage: public_headers.sh COMPILER INCLUDE_DIR
# Every public header compiles alone with an embedder's compiler, without a warning. What must not compile does not:
# a loop over a batch whose Result is a temporary would read freed memory.
set -euo pipefail
compiler=$1 include=$2
options=(-std=c++23 -Wall -Wextra -Werror -I "$include" -fsyntax-only -x c++ -)

for header in "$include"/flowstone/*.h; do
    echo "#include <flowstone/$(basename "$header")>" | "$compiler" "${options[@]}"
done

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
expect no 'reader.next();'
