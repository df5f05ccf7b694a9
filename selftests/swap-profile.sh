#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Where the instructions of a swap go, by function: one case of tools/swap_cost, with QEMU's -icount and a plugin that
# counts. Nothing is sampled.
#
#   swap-profile.sh ["CASE"]    begin and commit, 4k scattered, 4k runs of 512, 2m (if none is named), 2m with 8 excluded;
#                               writes build/swap-profile-CASE.txt
set -euo pipefail
top=$(readlink -f "$(dirname "$0")/..")
lab=$top/lab
cd "$top"
case=${1:-2m}
out=$top/build/swap-profile-${case// /-}
export LAB_STATE=host LAB_ACCEL=icount LAB_MIB=${LAB_MIB:-7168} LAB_PROFILE=/vmbeam/build/swap-profile-${case// /-}.blocks
. lab/cache.sh

count() {
	trap '"$lab/lab" down' EXIT
	"$lab/lab" down
	mkdir -p "$top/build"; rm -f "$out".*
	"$lab/lab" up --cold
	"$lab/lab" deploy
	"$lab/lab" run host "/lab/stop; exec /lab/selftests/tools/swap_cost '$case'" </dev/null | tee "$out.lines"
	"$lab/lab" run host 'cat /proc/kallsyms' </dev/null >"$out.kallsyms"
	"$lab/lab" down	# QEMU writes the counts as it ends
	[ -s "$out.blocks" ] || die "QEMU left no counts"
}

# Symbols and blocks in one list, by address: a block belongs to the last symbol before it.
by_function() {
	local pairs
	pairs=$(sed -n "s/.*\"case\":\"$case\".*\"pairs\":\([0-9]*\).*/\1/p" "$out.lines")
	{
		nm "$("$top/xen/build.sh")/xen-syms" | awk '$2 ~ /[tT]/ {print $1, "symbol", "xen:" $3}'
		awk '$2 ~ /[tT]/ {print $1, "symbol", "linux:" $3 ($4 ? " " $4 : "")}' "$out.kallsyms"
		awk '{print $1, "block", $2}' "$out.blocks"
	} | LC_ALL=C sort -k1,1 -k2,2r | awk -v pairs="$pairs" '
		$2 == "symbol" {at = $3 ($4 ? " " $4 : ""); next}
		{n[$1 < "8" ? "programs" : at] += $3; total += $3}
		END {
			printf "%12.1f  all, per pair\n", total / pairs
			for (f in n) if (n[f] / pairs >= total / pairs / 500) printf "%12.1f  %s\n", n[f] / pairs, f | "sort -rn"
		}'
}

count
by_function | tee "$out.txt"
