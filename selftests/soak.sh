#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What takes long: boots in a row, checksums, rollbacks in a row. Writes build/soak/*.json, which the docs quote.
#
#   soak.sh [boots] [checksums] [rollbacks]    these three if none is named
#   SOAK_BOOTS=20 SOAK_SECONDS=600 SOAK_ROLLBACKS=20
#
#   soak.sh qemu     boots, then checksums, without what the lab does for the sake of QEMU's faults: docs/lab.md
#   LAB_QEMU=fixed   or bare: writes qemu-bare.json, and is expected to fail
#   SOAK_QEMU_BOOTS=8 SOAK_QEMU_SECONDS=180
#
#   soak.sh races    either domain destroyed in the middle of the swap of a million frames; the outer system alone
#   SOAK_RACES=50    of each domain
#
#   soak.sh hypervisors   the host selftests on a debug build of the hypervisor, and on Xen 4.17 with bookworm's kernel and
#                    toolstack
#
#   soak.sh large    a guest VM of 1 GiB that was used for a while moves: how much of it at 2 MiB, and what becomes of the
#                    host VMs' superpages; large.json
#
#   soak.sh devices  a guest VM with heavy disk traffic moves, the guest management VMs being without swiotlb=force:
#                    their device models have its frames mapped, and must be asked to let go; devices.json
set -euo pipefail
top=$(readlink -f "$(dirname "$0")/..")
lab=$top/lab
work=$top/build/soak
mkdir -p "$work"
cd "$top"
. selftests/migration/lib.sh
. selftests/migration/failures.sh
. selftests/harness.sh
what=${*:-boots checksums rollbacks}

# boots N NAME: cold boots, none tried twice. Every boot that was begun is in the file, with what became of it. The lab
# stays as the last one left it.
boots() {
	local total=$1 name=$2 i good=0 from rc list='[]' faults
	for i in $(seq "$total"); do
		"$lab/lab" down; from=$SECONDS rc=0
		"$lab/lab" up --cold >"$work/$name-$i.log" 2>&1 || rc=$?
		[ $rc -ne 0 ] || good=$((good + 1))
		cp "$top/build/lab/serial.log" "$work/$name-$i.serial.log"
		faults=$(grep -a -c 'Triple fault' "$work/$name-$i.serial.log" || true)
		list=$(jq -c --argjson ok "$([ $rc -eq 0 ] && echo true || echo false)" --argjson s $((SECONDS - from)) \
			--argjson faults "${faults:-0}" '. + [{ok: $ok, seconds: $s, triple_faults: $faults}]' <<<"$list")
		jq -n --argjson boots "$list" '{tried: ($boots | length), good: ([$boots[] | select(.ok)] | length), retries: 0, boots: $boots}' >"$work/$name.json"
	done
	[ "$good" -eq "$total" ]
}
boots_in_a_row() {
	local rc=0
	boots "${SOAK_BOOTS:-20}" boots || rc=1
	"$lab/lab" down
	return $rc
}

# checksums SECONDS NAME SYSTEM...: the same sums again and again, everywhere at once: a vector register that another
# vCPU's kernel has overwritten shows.
checksums() {
	local seconds=$1 name=$2 s bad=0 job jobs=(); shift 2
	rm -f "$work/$name"-*.sums
	for s in "$@"; do
		"$lab/lab" run "$s" "SECONDS=0; n=0; wrong=0; first=; f=/usr/bin/busybox
			while [ \$SECONDS -lt $seconds ]; do
				now=\$(sha256sum <\$f; md5sum <\$f; cksum <\$f; xz -1c \$f | sha256sum)
				[ -n \"\$first\" ] || first=\$now
				[ \"\$now\" = \"\$first\" ] || wrong=\$((wrong + 1))
				n=\$((n + 1))
			done
			echo \"{\\\"system\\\":\\\"$s\\\",\\\"rounds\\\":\$n,\\\"wrong\\\":\$wrong,\\\"seconds\\\":\$SECONDS}\"" </dev/null >"$work/$name-$s.sums" &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do wait "$job" || bad=1; done
	cat "$work/$name"-*.sums | jq -s . >"$work/$name.json"
	[ $bad = 0 ] && jq -e --argjson n $# 'all(.[]; .rounds > 0 and .wrong == 0) and length == $n' <"$work/$name.json"
}

# qemu fixed|bare: the sums are after the last boot, if that one succeeded.
qemu() {
	local name=qemu rc=0
	export LAB_QEMU=$1
	[ "$LAB_QEMU" = fixed ] || name=qemu-$LAB_QEMU
	rm -f "$work/$name-sums.json"
	boots "${SOAK_QEMU_BOOTS:-8}" "$name-boots" || rc=1
	if jq -e '.boots[-1].ok' <"$work/$name-boots.json" >/dev/null; then
		checksums "${SOAK_QEMU_SECONDS:-180}" "$name-sums" host hv1 hv2 || rc=1
	else echo '[]' >"$work/$name-sums.json"; fi
	jq -n --arg qemu "$LAB_QEMU" --slurpfile boots "$work/$name-boots.json" --slurpfile sums "$work/$name-sums.json" \
		'{qemu: $qemu} + $boots[0] + {checksums: $sums[0]}' >"$work/$name.json"
	return $rc
}

rollbacks() {
	local i good=0 total=${SOAK_ROLLBACKS:-20}
	for i in $(seq "$total"); do
		if killed_at host vmbeamd:swap-half; then good=$((good + 1)); else echo "rollback $i is not as it must be"; fi
		jq -n --argjson tried "$i" --argjson good "$good" '{tried: $tried, good: $good}' >"$work/rollbacks.json"
	done
	[ "$good" -eq "$total" ]
}

races() {
	local i good=0 total=${SOAK_RACES:-50}
	for i in $(seq "$total"); do
		# A name that selects nothing would pass, too.
		if on host "RACE_FRAMES=1048576 /lab/selftests/host/test_race -r race.a_is_destroyed -r race.b_is_destroyed" |
			tee /dev/stderr | grep '^# PASSED: 2 / 2 tests passed' >/dev/null; then
			good=$((good + 1))
		else echo "round $i is not as it must be"; fi
		jq -n --argjson tried "$i" --argjson good "$good" '{frames: 1048576, tried: ($tried * 2), good_rounds: $good}' >"$work/races.json"
	done
	[ "$good" -eq "$total" ]
}

# Compiler, its libraries and something to compile, on the disk that is u1's later.
carry_compiler() {
	local cc=$work/cc
	rm -rf "$cc"; mkdir -p "$cc"
	# shellcheck disable=SC2016 # expanded in the tree
	"$lab/tree.sh" run build sh -euc '
		cc1=$(gcc -print-prog-name=cc1)
		cp "$cc1" $(ldd "$cc1" | grep -o "/[^ ]*") "$1"
		gcc -E -O2 -std=gnu11 -D_GNU_SOURCE lab/workload/memcheck.c -o "$1/source.i"
		strip "$1/cc1"' sh "/vmbeam${cc#"$VMBEAM_TOP"}" || return 1
	on host 'mkdir -p /run/disk && mount /dev/vdb /run/disk' || return 1
	"$lab/lab" put host "$cc" /run/disk && on host 'umount /run/disk && sync'
}

# Anonymous memory that comes and goes, many processes, a page cache as large as it gets.
# shellcheck disable=SC2016 # expanded over there
use_for_a_while() {
	on u1 'set -e
		for i in 1 2 3; do LD_LIBRARY_PATH=/data/cc /data/cc/ld-linux-x86-64.so.2 /data/cc/cc1 -quiet -O2 -fpreprocessed /data/cc/source.i -o /tmp/out.s; done
		test -s /tmp/out.s
		dd if=/dev/zero of=/data/large bs=1M count=500 2>/dev/null; cat /data/large >/dev/null
		for i in $(seq 50); do /bin/busybox true; done
		grep -E "^(Cached|MemFree)" /proc/meminfo'
}

# Nine frames of ten go at 2 MiB, and both host VMs have their superpages afterwards, within 2 %.
large() {
	local before after
	use_for_a_while || return 1
	before=$(lab/superpages.sh hv1 hv2)
	migrate u1 hv1 hv2 || return 1
	after=$(lab/superpages.sh hv1 hv2)
	jq -n --argjson report "$report" --argjson before "$(jq -s . <<<"$before")" --argjson after "$(jq -s . <<<"$after")" '
		{$report, mapped: {$before, $after}}' | tee "$work/large.json"
	[ "$(jq 'def frames: .["1g"] * 262144 + .["2m"] * 512;
		(.report.frames | .superpages >= 0.9 * .total) and
		([.mapped.before, .mapped.after] | transpose | all(.[]; (.[1] | frames) >= 0.98 * (.[0] | frames)))' <"$work/large.json")" = true ]
}

# Mappings that the device models of both host VMs have.
# shellcheck disable=SC2016 # expanded over there
mapped() { on host 'cat $(grep -l privcmd /proc/[0-9]*/maps 2>/dev/null)' | grep -c privcmd; }
mapped_at_most() { [ "$(mapped)" -le "$1" ]; }
# A device model that has looked at a frame keeps the megabyte around it mapped, until it is asked.
# shellcheck disable=SC2016 # expanded over there
let_go() {
	local before kept
	before=$(mapped)
	on host 'for vm in hv1 hv2; do for at in 0x10000000 0x18000000; do xl qemu-monitor-command $vm "xp /1x $at"; done; done' || return 1
	kept=$(mapped)
	echo "mappings: $before, $kept after a look at two places of each host VM"
	[ "$kept" -ge $((before + 4)) ] || return 1
	on host '/lab/selftests/tools/invalidate $(xl domid hv1) $(xl domid hv2)' || return 1
	until_true 60 "the device models let go" mapped_at_most "$before"
}

# At most one frame in 200 may have to be exchanged.
devices() {
	on u1 'setsid sh -c "while :; do dd if=/dev/zero of=/data/traffic bs=64k count=512 conv=fsync; echo 3 >/proc/sys/vm/drop_caches; cat /data/traffic; done" >/dev/null 2>&1 </dev/null & true'
	until_true 60 "the traffic" on u1 'find /data -name traffic -size +8000k | grep -q .'
	migrate u1 hv1 hv2 || return 1
	jq . <<<"$report" | tee "$work/devices.json"
	[ "$(field "$report" '.frames | .exchanged <= .total / 200')" = true ]
}

if [[ $what == *devices* ]]; then
	export LAB_SWIOTLB=0
	run_test "the lab comes up, without swiotlb=force" lab_up || finish
	lab_test "device models let go of what they only keep, when asked" let_go || true
	lab_test "a guest VM starts" create_u1 || finish
	run_test "its checkers start" start_checkers || finish
	lab_test "it moves while its disk is busy" devices || true
fi
if [[ $what == *large* ]]; then
	run_test "the lab comes up" lab_up || finish
	run_test "a compiler is put on its disk" carry_compiler || finish
	lab_test "a guest VM of 1 GiB starts" guest create hv1 u1 1024 2 || finish
	run_test "its checkers start" start_checkers || finish
	lab_test "it moves by superpages, and these stay whole" large || true
fi
if [[ $what == *hypervisors* ]]; then
	export LAB_HOST_ONLY=1
	for LAB_XEN_VARIANT in debug 4.17; do
		export LAB_XEN_VARIANT
		run_test "the outer system comes up: $LAB_XEN_VARIANT" lab_up || finish
		lab_test "host selftests: $LAB_XEN_VARIANT" host_selftests 600 || true
	done
	"$lab/lab" down; unset LAB_XEN_VARIANT LAB_HOST_ONLY
fi
if [[ $what == *races* ]]; then
	export LAB_HOST_ONLY=1 LAB_MIB=11264
	run_test "the outer system comes up" lab_up || finish
	on host /lab/stop
	lab_test "domains destroyed during a swap" races || true
	"$lab/lab" down; unset LAB_HOST_ONLY LAB_MIB
fi
if [[ $what == *boots* ]]; then run_test "cold boots in a row" boots_in_a_row || true; fi
if [[ $what == *qemu* ]]; then
	run_test "cold boots, then checksums, with QEMU ${LAB_QEMU:-fixed}" qemu "${LAB_QEMU:-fixed}" || true
fi
if [[ $what == *checksums* || $what == *rollbacks* ]]; then
	run_test "the lab comes up" lab_up || finish
	free2=$(free_mib hv2)
	lab_test "a guest VM starts" create_u1 || finish
	run_test "its checkers start" start_checkers || finish
	if [[ $what == *checksums* ]]; then lab_test "checksums everywhere" checksums "${SOAK_SECONDS:-600}" checksums host hv1 hv2 u1 || true; fi
	if [[ $what == *rollbacks* ]]; then lab_test "rollbacks in a row, after the suspend" rollbacks || true; fi
	lab_test "u1 shuts down and its filesystem is clean" off_and_clean hv1 || true
fi
finish
