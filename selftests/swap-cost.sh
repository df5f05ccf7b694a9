#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What a swap costs, from the ioctl to its return, in instructions: boots the outer system alone with QEMU's -icount and
# runs tools/swap_cost there. Writes build/swap-cost.json, and from that the table in docs/hypercall.md.
#
#   swap-cost.sh           measure, and write both
#   swap-cost.sh table     only the table, from the JSON that is there
set -euo pipefail
top=$(readlink -f "$(dirname "$0")/..")
lab=$top/lab
json=$top/build/swap-cost.json
doc=$top/docs/hypercall.md
# Two domains of 4 GiB, the outer dom0 and Xen
export LAB_STATE=host LAB_ACCEL=icount LAB_MIB=${LAB_MIB:-11264}
jq() { "$lab/tree.sh" run build jq "$@"; }

measure() {
	trap '"$lab/lab" down' EXIT
	"$lab/lab" down
	"$lab/lab" up --cold
	"$lab/lab" deploy
	mkdir -p "$top/build"
	"$lab/lab" run host '/lab/stop; exec /lab/selftests/tools/swap_cost' </dev/null | tee "$json.lines"
	jq -s '
		def of($case): map(select(.case == $case));
		def growth($case): of($case) | map(.per_pair) | (max / min - 1) * 1000 | round / 10;
		{unit: "instructions", cases: ., growth_percent: {"2m": growth("2m, by size"), "4k runs": growth("4k runs, by size")}}' \
		<"$json.lines" >"$json"
	rm "$json.lines"
}

table() {
	jq -r '
		def one($case): first(.cases[] | select(.case == $case)) // {per_pair: null};
		(one("contents exchanged").per_pair) as $exchange |
		(one("4k scattered").per_pair) as $scattered |
		["4 KiB pair, 262,144 scattered", one("4k scattered"), 500],
		["4 KiB pair, 262,144 scattered, swapped back", one("4k scattered, rolled back"), 2 * $scattered],
		["4 KiB pair, runs of 512", one("4k runs of 512"), 300],
		["2 MiB pair", one("2m"), 25000],
		["2 MiB pair with 8 excluded frames", one("2m with 8 excluded"), 25000 + 8 * $exchange],
		["exchange of two frames'\'' contents", one("contents exchanged"), null],
		["a transaction'\''s begin and commit, once", one("begin and commit"), null],
		["for comparison: memcpy of 4 KiB", one("memcpy of 4 KiB"), null] |
		"| \(.[0]) | \(.[1].per_pair | round) | \(if .[2] then "≤ \(.[2] | round)" else "" end) |"' <"$json" |
	cat <(printf '%s\n' '| cost per pair, from ioctl to return | instructions | aim |' '|---|---|---|') - \
		<(jq -r '"\nFrom 64 MiB to 4 GiB the cost per pair differs by \(.growth_percent["2m"]) % at 2 MiB and by \(.growth_percent["4k runs"]) % at 4 KiB, in runs."' <"$json")
}

[ "${1:-}" = table ] || measure
table >"$json.table"
awk -v table="$json.table" '
	/^<!-- swap-cost: /{print; print ""; while ((getline line <table) > 0) print line; print ""; skip = 1; next}
	/^<!-- end of swap-cost -->/{skip = 0}
	!skip' "$doc" >"$json.doc"
cat "$json.doc" >"$doc"; rm "$json.doc" "$json.table"
