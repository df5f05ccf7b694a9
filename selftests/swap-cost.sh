#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What a swap costs, from the ioctl to its return, in instructions: boots the outer system alone with QEMU's -icount and
# runs tools/swap_cost there. Writes build/swap-cost.json, and from that the table in docs/hypercall.md. Fails if a case
# costs more than its bound in swap-cost-bounds.json: a guard against growth.
#
#   swap-cost.sh           measure, write both, and compare with the bounds
#   swap-cost.sh check     measure and compare; the table stays
#   swap-cost.sh table     only the table, from the JSON that is there
#   swap-cost.sh compare   only compare the JSON that is there
#   swap-cost.sh bounds    set the bounds 20 % above the JSON that is there
set -euo pipefail
top=$(readlink -f "$(dirname "$0")/..")
lab=$top/lab
json=$top/build/swap-cost.json
doc=$top/docs/hypercall.md
bounds=selftests/swap-cost-bounds.json	# from the top, as the tree has it
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
	jq -r --slurpfile bounds "$bounds" '
		(.cases | map({(.case): .per_pair}) | add) as $got |
		["4 KiB pair, 262,144 scattered", "4k scattered"],
		["4 KiB pair, 262,144 scattered, swapped back", "4k scattered, rolled back"],
		["4 KiB pair, runs of 512", "4k runs of 512"],
		["2 MiB pair", "2m"],
		["2 MiB pair with 8 excluded frames", "2m with 8 excluded"],
		["exchange of two frames'\'' contents", "contents exchanged"],
		["a transaction'\''s begin and commit, once", "begin and commit"],
		["for comparison: memcpy of 4 KiB", "memcpy of 4 KiB"] |
		. as [$what, $case] | $bounds[0][$case] as $bound |
		"| \($what) | \($got[$case] | round) | \(if $bound then "≤ \($bound)" else "" end) |"' <"$json" |
	cat <(printf '%s\n' '| cost per pair, from ioctl to return | instructions | bound |' '|---|---|---|') - \
		<(jq -r '"\nFrom 64 MiB to 4 GiB the cost per pair differs by \(.growth_percent["2m"]) % at 2 MiB and by \(.growth_percent["4k runs"]) % at 4 KiB, in runs."' <"$json")
}

write_table() {
	table >"$json.table"
	awk -v table="$json.table" '
		/^<!-- swap-cost: /{print; print ""; while ((getline line <table) > 0) print line; print ""; skip = 1; next}
		/^<!-- end of swap-cost -->/{skip = 0}
		!skip' "$doc" >"$json.doc"
	cat "$json.doc" >"$doc"; rm "$json.doc" "$json.table"
}

# A case that has a bound must have been measured.
compare() {
	jq -r --slurpfile bounds "$bounds" '
		(.cases | map({(.case): .per_pair}) | add) as $got | $bounds[0] | to_entries | map(
			if $got[.key] == null then "\(.key) was not measured, and has a bound of \(.value) instructions"
			elif $got[.key] > .value then "\(.key) takes \($got[.key]) instructions for a pair, and its bound is \(.value)"
			else empty end) |
		if . == [] then "all cases are within their bounds"
		else join("\n") + "\nFind what has grown (make swap-profile). If it is worth it: swap-cost.sh bounds\n" | halt_error(1) end' \
		<"$json"
}

set_bounds() {
	local new
	new=$(jq --slurpfile bounds "$bounds" '
		(.cases | map({(.case): .per_pair}) | add) as $got | $bounds[0] | with_entries(.value = ($got[.key] * 1.2 | round))' <"$json")
	printf '%s\n' "$new" >"$top/$bounds"
}

case ${1:-} in
"") measure; write_table; compare ;;
check) measure; compare ;;
table) write_table ;;
compare) compare ;;
bounds) set_bounds ;;
*) echo "usage: swap-cost.sh [check|table|compare|bounds]" >&2; exit 2 ;;
esac
