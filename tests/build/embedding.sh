#!/usr/bin/env bash
# Usage: embedding.sh COMPILER SOURCE_DIR BUILD_DIR
# Installs into an empty directory, moves that, and builds docs/examples/embed against it four ways with the compiler
# that a distribution's user has: CMake and pkg-config, shared and static. Each program runs and prints what it wrote. Then README.md's
# own words are tried on the same installation.
set -euo pipefail
compiler=$1 source=$2 build=$3
example=$source/docs/examples/embed
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
    local name=$1 program=$2 printed
    printed=$(LD_LIBRARY_PATH=$prefix/lib "$program" "$work/data-$name")
    [ "$printed" = "$expected" ] || { printf '%s printed:\n%s\n' "$name" "$printed"; exit 1; }
}
# By `yes` or `no`: whether the program needs our shared library.
needs_shared_library() {
    local found=no
    if readelf -d "$1" | grep 'libflowstone\.so\.0' >/dev/null; then found=yes; fi
    [ "$found" = "$2" ] || { echo "$1 needs the shared library: $found, must: $2"; exit 1; }
}

warnings=(-std=c++23 -Wall -Wextra -Werror)
for kind in shared static; do
    mkdir "cmake-$kind"
    cp "$example"/* "cmake-$kind"
    if [ $kind = static ]; then sed -i 's/find_package(flowstone 0.1 /&COMPONENTS static /' cmake-static/CMakeLists.txt; fi
    cmake -S "cmake-$kind" -B "cmake-$kind/build" "-DCMAKE_CXX_COMPILER=$compiler" "-DCMAKE_PREFIX_PATH=$prefix" \
        "-DCMAKE_CXX_FLAGS=${warnings[*]}" >cmake.log || { cat cmake.log; exit 1; }
    cmake --build "cmake-$kind/build" >cmake.log || { cat cmake.log; exit 1; }
    run "cmake-$kind" "cmake-$kind/build/embed"
done
needs_shared_library cmake-shared/build/embed yes
needs_shared_library cmake-static/build/embed no

export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
[ "$(pkg-config --modversion flowstone)" = "$version" ] || { echo "pkg-config and version.h disagree on the version"; exit 1; }
# shellcheck disable=SC2046  # flags are words
"$compiler" "${warnings[@]}" "$example/main.cc" -o shared $(pkg-config --cflags --libs flowstone)
# shellcheck disable=SC2046
"$compiler" "${warnings[@]}" "$example/main.cc" -o static $(pkg-config --cflags flowstone) "$prefix/lib/libflowstone.a" \
    $(pkg-config --static --libs-only-l flowstone | sed 's/-lflowstone//')
run pkg-config-shared ./shared
run pkg-config-static ./static
needs_shared_library shared yes
needs_shared_library static no
echo "flowstone $version: embedded four ways"
"$source/tests/build/readme.py" "$compiler" "$source" "$prefix"
