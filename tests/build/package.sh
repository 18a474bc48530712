#!/usr/bin/env bash
# Usage: package.sh SOURCE_DIR BUILD_DIR
# Makes the .deb and the tar as `./dev package` does, and looks at both: what is in them, that the programs run from
# where they were unpacked, that the unit is one systemd takes, that scripts are whole, and that the Dockerfile installs
# just those libraries that the .deb depends on. Needs no root: nothing is installed. 77, skipped, without dpkg.
set -euo pipefail
source=$1 build=$2
for program in dpkg-deb dpkg-shlibdeps file; do
    command -v "$program" >/dev/null || { echo "no $program here"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
say() { echo "$*"; exit 1; }

cpack --config "$build/CPackConfig.cmake" -B "$work/made" >cpack.log 2>&1 || { cat cpack.log; exit 1; }
deb=$(echo made/*.deb) tar=$(echo made/*.tar.gz)
dpkg-deb --extract "$deb" deb
dpkg-deb --control "$deb" control
tar -xf "$tar"
mv flowstone-*/ tar || say "the tar is not one directory: $(tar -tf "$tar")"

files='usr/bin/flowstone usr/bin/flowstoned usr/lib/systemd/system/flowstoned.service usr/share/doc/flowstone/LICENSE'
for file in $files; do
    [ -f "deb/$file" ] || say "the .deb lacks $file"
    [ -f "tar/${file#usr/}" ] || say "the tar lacks ${file#usr/}"
done
found=$(cd deb && find . -type f | sed 's,^\./,,' | sort)
[ "$found" = "$(tr ' ' '\n' <<<"$files" | sort)" ] || say "the .deb has other files too: $found"

version=$(sed -n 's/^#define FLOWSTONE_VERSION "\(.*\)"/\1/p' "$source/log/log.h")
for program in flowstone flowstoned; do
    printed=$("deb/usr/bin/$program" --version)
    case $printed in *"$version"*) ;; *) say "$program --version prints: $printed" ;; esac
done

# A directory that holds other files is refused, so the container's must not be a home with files of a shell.
if grep -q -e '--create-home' <(grep -v '^#' "$source/tools/package/Dockerfile"); then say 'the Dockerfile fills /data'; fi

for script in postinst prerm postrm; do
    [ -x "control/$script" ] || say "the .deb has no $script that can be run"
    sh -n "control/$script"
done

# With the targets of this machine, as far as they are here; the program must be where systemd looks for it.
targets=/usr/lib/systemd/system
if command -v systemd-analyze >/dev/null && [ -f $targets/sysinit.target ]; then
    cp $targets/*.target "deb$targets"
    said=$(systemd-analyze verify --root="$work/deb" flowstoned.service 2>&1) || say "systemd says: $said"
fi

libraries=$(sed -n 's/^Depends: //p' control/control | tr ',' '\n' | sed 's/ *(.*//; s/ //g' | grep -v '^libc6$\|^libgcc-s1$' | sort)
installed=$(tr '\n\\' '  ' <"$source/tools/package/Dockerfile" | sed 's/.*--no-install-recommends \(.*\) && rm -rf.*/\1/' |
    sed 's/ && .*//' | tr -s ' ' '\n' | sort)
[ "$libraries" = "$installed" ] || say "the .deb depends on: $libraries; the Dockerfile installs: $installed"
