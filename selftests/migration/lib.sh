# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC1091,SC2034,SC2154 # $lab and $work are the caller's, $report is for it
# What the demo and the tests of a migration share: move a guest VM whose checkers run, and look at it from all sides.
# Sourced, never run; wants $lab.
: "${lab:?}" "${work:?}"
report=	# of the last migrate: an element of report.json
. "$lab/cache.sh"
. "$lab/wait.sh"

on() { "$lab/lab" run "$@" </dev/null; }
guest() { "$lab/lab" guest "$@"; }
jq() { "$lab/tree.sh" run build jq "$@"; }
field() { jq -r "$2" <<<"$1"; }	# field JSON FILTER
now() { date +%T; }

free_mib() { on "$1" "xl info free_memory 2>/dev/null || xl info | sed -n 's/^free_memory *: //p'"; }
has_guest() { on "$1" "xl domid $2 >/dev/null 2>&1"; }

# samples HOSTVM GUEST COUNT SEED: "pfn gfn mfn" lines
samples() {
	on "$1" "/lab/selftests/tools/p2m \$(xl domid $2) $3 $4" >"$work/p2m"
	"$lab/lab" run host "/lab/selftests/tools/mfn \$(xl domid $1)" <"$work/p2m"
}

# left_behind HOSTVM: what that system has now at the gfns of the samples before
left_behind() { cut -d' ' -f1,2 "$work/before" | "$lab/lab" run host "/lab/selftests/tools/mfn \$(xl domid $1)" >"$work/left"; }

# Compare the samples before, $1, with those after, $2, and with what was left behind, $3; pfns that were kept, and gfns
# that were exchanged (in the report $4), are left aside. Prints "taken same": that many went, frame and all.
compare_samples() {
	jq -r '.kept_pfns[] | "k \(.[0]) \(.[1])"' <<<"$4" >"$work/aside"
	jq -r '.exchanged_gfns[] | "x \(.[0]) \(.[1])"' <<<"$4" >>"$work/aside"
	awk '
		FILENAME ~ /aside$/ {for (i = 0; i < $3; i++) if ($1 == "k") kept[$2 + i] = 1; else exchanged[$2 + i] = 1; next}
		FILENAME ~ /before$/ {mfn[$1] = $3; gfn[$1] = $2; next}
		FILENAME ~ /left$/ {left[$1] = $3; next}
		($1 in mfn) && !($1 in kept) && !(gfn[$1] in exchanged) && !seen[$1]++ {
			taken++; if (mfn[$1] == $3 && ($1 in left) && left[$1] != $3) same++}
		END {print taken + 0, same + 0}' "$work/aside" "$1" "$3" "$2"
}

# every_page GUEST: its memory checker has looked at every page since this began
every_page() { timeout 300 "$lab/lab" run "$1" "/lab/workload pass 1" </dev/null || { say "$1's memory checker did not go through its pages in 300 s"; return 1; }; }

# migrate GUEST FROM TO: moves it and looks; sets $report (an element of report.json) and fails if anything is wrong
migrate() {
	local name=$1 from=$2 to=$3 before after result disk beat taken same seed problems=0
	seed=$((RANDOM * 32768 + RANDOM))
	before=$(guest state "$name")
	samples "$from" "$name" 500 $seed >"$work/before"
	guest heartbeat reset
	"$lab/lab" run host "vmbeam migrate --json $from/$name $to" </dev/null >"$work/result" 2>"$work/progress" || {
		say "vmbeam migrate failed:"; cat "$work/progress" "$work/result" >&2; return 1; }
	result=$(cat "$work/result")
	until_true 120 "$name to answer on $to" on "$name" true || return 1
	every_page "$name" || problems=1
	after=$(guest state "$name")
	disk=$(on "$name" "/lab/workload check-disk")
	beat=$(guest heartbeat)
	samples "$to" "$name" 500 $seed >"$work/after"
	left_behind "$from"
	read -r taken same < <(compare_samples "$work/before" "$work/after" "$work/left" "$result")

	wrong() { say "$name, $from to $to: $*"; problems=1; }
	[ "$(field "$before" '[.boot_id,.memcheck,.diskwriter,.heartbeat]')" = "$(field "$after" '[.boot_id,.memcheck,.diskwriter,.heartbeat]')" ] ||
		wrong "not the same boot and processes: $before, $after"
	[ "$(field "$after" .memory_errors)" = 0 ] || wrong "memory errors: $after"
	[ "$(field "$disk" .errors)" = 0 ] || wrong "disk errors: $disk"
	[[ $beat == *"lost 0 open 1"* ]] || wrong "the heartbeat was lost: $beat"
	[ "$taken" -ge 200 ] || wrong "only $taken frames could be compared"
	[ "$taken" = "$same" ] || wrong "of $taken frames $same have the machine frame that they had, and $from has another one there"
	! has_guest "$from" "$name" || wrong "$from still has it"
	[ "$(field "$result" '.frames | .swapped + .kept + .exchanged == .total and .swapped >= 0.97 * .total')" = true ] ||
		wrong "frames: $(field "$result" '.frames | tostring')"
	report=$(jq --argjson before "$before" --argjson after "$after" --argjson disk "$disk" --arg gap "$(cut -d' ' -f4 <<<"$beat")" \
		--argjson taken "$taken" --argjson same "$same" '
		{guest, from, to, memory_mib, frames, phases_ms, downtime_ms, total_ms,
		 guest_checks: {memory_errors: $after.memory_errors, disk_errors: $disk.errors, boot_id_same: ($before.boot_id == $after.boot_id), heartbeat_gap_ms: ($gap | tonumber)},
		 mfn_samples: {taken: $taken, same: $same}}' <<<"$result")
	return $problems
}

# shutdown_and_check GUEST HOSTVM: off, and its filesystem, read in the host management VM, is clean
shutdown_and_check() {
	guest shutdown "$2" "$1" || return 1
	on host 'echo 3 >/proc/sys/vm/drop_caches; e2fsck -fn /dev/vdb'
}
