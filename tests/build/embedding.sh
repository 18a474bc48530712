#!/usr/bin/env bash
# Usage: embedding.sh COMPILER SOURCE_DIR BUILD_DIR
# Installs into an empty directory, moves that, and builds docs/examples/embed, client and stage against it four ways
# each with the compiler that a distribution's user has: CMake and pkg-config, shared and static. Each program runs and
# prints what it wrote. Then README.md's own words are tried on the same installation, and the examples in C
# and Python.
set -euo pipefail
compiler=$1 source=$2 build=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export CMAKE_GENERATOR=Ninja  # the one that is surely here

cmake --install "$build" --prefix "$work/first" >install.log
mv first installed  # nothing may remember where it was installed
prefix=$work/installed
version=$(sed -n 's/^#define FLOWSTONE_VERSION "\(.*\)"/\1/p' "$prefix/include/flowstone/version.h")

expected=$'0 12.50 EUR\n1 3.99 EUR\n2 -12.50 EUR'
run() {
    local program=$1 printed
    printed=$(LD_LIBRARY_PATH=$prefix/lib "$program" "$2")
    [ "$printed" = "$expected" ] || { printf '%s printed:\n%s\n' "$program" "$printed"; exit 1; }
}
# By `yes` or `no`: whether the program needs that shared library of ours.
needs_shared_library() {
    local found=no
    if readelf -d "$1" | grep "$3\.so\.0" >/dev/null; then found=yes; fi
    [ "$found" = "$2" ] || { echo "$1 needs $3: $found, must: $2"; exit 1; }
}

warnings=(-std=c++23 -Wall -Wextra -Werror)
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
# embed_four_ways EXAMPLE LIBRARY PKG_CONFIG_NAME SCHEME: what the program gets is SCHEME and a path.
embed_four_ways() {
    local example=$1 library=$2 name=$3 scheme=$4 kind
    for kind in shared static; do
        mkdir "$example-$kind"
        cp "$source/docs/examples/$example"/* "$example-$kind"
        if [ $kind = static ]; then sed -i 's/find_package(flowstone 0.1 /&COMPONENTS static /' "$example-static/CMakeLists.txt"; fi
        cmake -S "$example-$kind" -B "$example-$kind/build" "-DCMAKE_CXX_COMPILER=$compiler" "-DCMAKE_PREFIX_PATH=$prefix" \
            "-DCMAKE_CXX_FLAGS=${warnings[*]}" >cmake.log || { cat cmake.log; exit 1; }
        cmake --build "$example-$kind/build" >cmake.log || { cat cmake.log; exit 1; }
        run "$example-$kind/build/$example" "$scheme$work/data-$example-$kind"
    done
    needs_shared_library "$example-shared/build/$example" yes "$library"
    needs_shared_library "$example-static/build/$example" no "$library"

    [ "$(pkg-config --modversion "$name")" = "$version" ] || { echo "$name.pc and version.h disagree on the version"; exit 1; }
    # shellcheck disable=SC2046  # flags are words
    "$compiler" "${warnings[@]}" "$source/docs/examples/$example/main.cc" -o "$example-pc-shared" $(pkg-config --cflags --libs "$name")
    # shellcheck disable=SC2046
    "$compiler" "${warnings[@]}" "$source/docs/examples/$example/main.cc" -o "$example-pc-static" $(pkg-config --cflags "$name") \
        "$prefix/lib/$library.a" $(pkg-config --static --libs-only-l "$name" | sed "s/-l${library#lib}//")
    run "./$example-pc-shared" "$scheme$work/data-$example-pc-shared"
    run "./$example-pc-static" "$scheme$work/data-$example-pc-static"
    needs_shared_library "$example-pc-shared" yes "$library"
    needs_shared_library "$example-pc-static" no "$library"
}
embed_four_ways embed libflowstone flowstone ""
embed_four_ways client libflowstone_client flowstone-client dir:
embed_four_ways stage libflowstone_client flowstone-client dir:
# Who only wants a log gets no network with it.
if nm -D --undefined-only "$prefix/lib/libflowstone.so" | grep -w -e socket -e epoll_wait; then
    echo "the log's library opens sockets"
    exit 1
fi
echo "flowstone $version: embedded four ways, three times"
"$source/tests/build/readme.py" "$compiler" "$source" "$prefix"
"$source/tests/build/c_examples.py" "$compiler" "$source" "$prefix"
