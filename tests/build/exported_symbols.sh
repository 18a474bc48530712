#!/usr/bin/env bash
# Usage: exported_symbols.sh LIBRARY INCLUDE_DIR SONAME
# The shared library exports what the public headers declare, and nothing else: no symbol of fmt, of the standard
# library or of our own insides that could meet another copy in the host's process.
set -euo pipefail
library=$1 include=$2 name=$3
symbols=$(nm --dynamic --defined-only --demangle "$library" | cut -d' ' -f3- | sed 's/@.*//' | grep -v '^FLOWSTONE_[0-9]*$')
[ -n "$symbols" ] || { echo "$library exports nothing"; exit 1; }

words=$(cat "$include"/flowstone/*.h | sed 's://.*::' | grep -o -E '[A-Za-z_][A-Za-z0-9_]*' | sort -u)
status=0
while IFS= read -r symbol; do
    # flowstone::Log::open(std::string, ...) is made of the words Log and open; ~Log is Log.
    path=$(sed -E 's/^(vtable|typeinfo|typeinfo name) for //; s/\(.*//; s/\[abi:[a-z0-9]*\]//g; s/<.*//; s/~//g' <<<"$symbol")
    case $path in
        flowstone::* | flowstone_*) ;;
        *)
            echo "foreign: $symbol"
            status=1
            continue
            ;;
    esac
    for word in ${path//::/ }; do
        [[ $word = operator* ]] && continue
        grep -q -x -F -- "$word" <<<"$words" || { echo "not in a public header: $symbol"; status=1; }
    done
    case $path in
        *::Impl*) echo "an implementation's insides: $symbol"; status=1 ;;
    esac
done <<<"$symbols"

soname=$(readelf -d "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
[ "$soname" = "$name" ] || { echo "soname is $soname"; status=1; }
echo "$(wc -l <<<"$symbols") symbols"
exit $status
