# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Where built things are kept, and under which key. Sourced, never run.
#
# An entry is named NAME-KEY, where KEY is the hash of everything it is made from: a changed input gives a
# new name, so a stale entry cannot be used. It is built beside its place and renamed when whole, so a
# killed build leaves no entry behind. A key names another entry by its basename: the cache is at another path
# inside a tree.

VMBEAM_TOP=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/..")
VMBEAM_CACHE=${VMBEAM_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/vmbeam}
mkdir -p "$VMBEAM_CACHE"; VMBEAM_CACHE=$(readlink -f "$VMBEAM_CACHE")

say() { printf '%s\n' "vmbeam-lab: $*" >&2; }
die() { say "$*"; exit 1; }

# cache_key FILE|DIR|=TEXT ... : one hash over contents and relative names
cache_key() {
	local a
	for a in "$@"; do
		case $a in
		=*) printf '%s\n' "$a" ;;
		*)  [ -e "$a" ] || die "cache key: $a does not exist"
		    find "$a" -type f ! -name '*.o' ! -name '*.cmd' -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum |
			sed "s,$VMBEAM_TOP/,," ;;
		esac
	done | sha256sum | cut -c1-16
}

# cache_entry NAME KEY BUILDER [ARG ...] : prints the entry's path, and runs "BUILDER DIR ARG..." if it is missing
cache_entry() {
	local name=$1 key=$2 dir; shift 2
	dir=$VMBEAM_CACHE/$name-$key
	(
		flock 9
		[ ! -d "$dir" ] || exit 0
		say "building $name ($key)"
		rm -rf --one-file-system "$dir.part"; mkdir -p "$dir.part"
		"$@" "$dir.part" >&2 || { say "building $name failed; what there is stays in $dir.part"; exit 1; }
		mv "$dir.part" "$dir"
	) 9>"$VMBEAM_CACHE/.$name.lock" || return 1
	touch "$dir"
	printf '%s\n' "$dir"
}

# apply_patches DIR PATCH... : each must apply without fuzz. One that does not is named, with the hunks that failed.
apply_patches() {
	local dir=$1 rejects p out; shift
	rejects=$(mktemp)
	for p in "$@"; do
		out=$(patch -d "$dir" -p1 -N --fuzz=0 --no-backup-if-mismatch -r "$rejects" <"$p" 2>&1) && continue
		say "$p does not apply:"
		printf '%s\n' "$out" >&2; cat "$rejects" >&2; rm -f "$rejects"
		return 1
	done
	rm -f "$rejects"
}
