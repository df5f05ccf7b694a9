#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The main job, seen: a running guest VM moves from one nested Xen to the other and back. Leaves build/demo/report.json.
set -euo pipefail
top=$(readlink -f "$(dirname "$0")/..")
lab=$top/lab
work=$top/build/demo
mkdir -p "$work"; rm -f "$work"/*
. "$top/selftests/migration/lib.sh"

show() {	# a migration in a person's words
	jq -r '
		"\n  \(.guest) moved from \(.from) to \(.to): \(.memory_mib) MiB, \(.frames.total) frames",
		"    \(.frames.swapped) swapped (\(.frames.swapped * 1000 / .frames.total | round / 10) %), \(.frames.kept) kept as content, \(.frames.exchanged) exchanged",
		"    \(.frames.superpages) of them in superpages of 2 MiB that went whole (\(.frames.superpages * 1000 / .frames.total | round / 10) %)",
		(.phases_ms | to_entries[] | "    \(.key + "          " | .[:10])\(.value | round) ms"),
		"    downtime  \(.downtime_ms | round) ms of \(.total_ms | round) ms",
		"    after it: \(.guest_checks.memory_errors) memory errors, \(.guest_checks.disk_errors) disk errors, same boot id: \(.guest_checks.boot_id_same), longest heartbeat gap \(.guest_checks.heartbeat_gap_ms) ms",
		"    \(.mfn_samples.same) of \(.mfn_samples.taken) random frames have the very machine frame that they had\n"' <<<"$1"
}

say "$(now) the lab: an outer Xen, two host VMs with a stock nested Xen each, in QEMU ($("$lab/lab" accel))"
trap '"$lab/lab" down' EXIT
"$lab/lab" down
"$lab/lab" up
"$lab/deploy.sh" 2>"$work/deploy.log" || { tail -20 "$work/deploy.log" >&2; die "the modules or tools could not be built or carried in"; }
"$lab/logs.sh" plant
free1=$(free_mib hv1); free2=$(free_mib hv2)

say "$(now) u1 on hv1: a stock Debian kernel, 2 vCPUs, 256 MiB; its checkers start"
guest create hv1 u1 256 2 >/dev/null
guest workload u1 128
say "$(now) vmbeam migrate hv1/u1 hv2"
migrate u1 hv1 hv2 || die "the migration to hv2 is not as it must be"
there=$report; show "$there"
[ "$(free_mib hv1)" = "$free1" ] || die "hv1 had $free1 MiB free, now $(free_mib hv1)"
say "$(now) vmbeam migrate hv2/u1 hv1"
migrate u1 hv2 hv1 || die "the migration back is not as it must be"
back=$report; show "$back"
[ "$(free_mib hv2)" = "$free2" ] || die "hv2 had $free2 MiB free, now $(free_mib hv2)"

say "$(now) a further guest VM on each; then u1 is shut down and its disk checked"
for h in hv1 hv2; do
	guest create $h u2 128 1 >/dev/null || die "no further guest VM can be created on $h"
	guest destroy $h u2
done
shutdown_and_check u1 hv1 >"$work/e2fsck.log" 2>&1 || { cat "$work/e2fsck.log" >&2; die "u1's filesystem is not clean"; }
splats=0; "$lab/logs.sh" splats || splats=1
jq -n --argjson there "$there" --argjson back "$back" --argjson splats $splats '{migrations: [$there, $back], log_splats: $splats}' >"$work/report.json"
[ $splats = 0 ] || die "there are splats in the logs"
say "$(now) report: build/demo/report.json"
