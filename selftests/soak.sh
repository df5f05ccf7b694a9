#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What takes long: boots in a row, checksums, rollbacks in a row. Writes build/soak/*.json, which the docs quote.
#
#   soak.sh [boots] [checksums] [rollbacks]    all three if none is named
#   SOAK_BOOTS=20 SOAK_SECONDS=600 SOAK_ROLLBACKS=20
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

# Cold boots, none tried twice. Every boot that was begun is in the file, with what became of it.
boots() {
	local i good=0 from rc list='[]'
	for i in $(seq "${SOAK_BOOTS:-20}"); do
		"$lab/lab" down; from=$SECONDS rc=0
		"$lab/lab" up --cold >"$work/boot-$i.log" 2>&1 || rc=$?
		[ $rc -ne 0 ] || good=$((good + 1))
		cp "$top/build/lab/serial.log" "$work/boot-$i.serial.log"
		list=$(jq -c --argjson ok "$([ $rc -eq 0 ] && echo true || echo false)" --argjson s $((SECONDS - from)) '. + [{ok: $ok, seconds: $s}]' <<<"$list")
		jq -n --argjson boots "$list" '{tried: ($boots | length), good: ([$boots[] | select(.ok)] | length), retries: 0, boots: $boots}' >"$work/boots.json"
	done
	"$lab/lab" down
	[ "$good" -eq "${SOAK_BOOTS:-20}" ]
}

# The same sums again and again, everywhere at once: a vector register that another vCPU's kernel has overwritten shows.
checksums() {
	local s bad=0 seconds=${SOAK_SECONDS:-600} job jobs=()
	for s in host hv1 hv2 u1; do
		"$lab/lab" run "$s" "SECONDS=0; n=0; wrong=0; first=; f=/usr/bin/busybox
			while [ \$SECONDS -lt $seconds ]; do
				now=\$(sha256sum <\$f; md5sum <\$f; cksum <\$f; xz -1c \$f | sha256sum)
				[ -n \"\$first\" ] || first=\$now
				[ \"\$now\" = \"\$first\" ] || wrong=\$((wrong + 1))
				n=\$((n + 1))
			done
			echo \"{\\\"system\\\":\\\"$s\\\",\\\"rounds\\\":\$n,\\\"wrong\\\":\$wrong,\\\"seconds\\\":\$SECONDS}\"" </dev/null >"$work/sums-$s" &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do wait "$job" || bad=1; done
	cat "$work"/sums-* | jq -s . >"$work/checksums.json"
	[ $bad = 0 ] && [ "$(jq 'all(.[]; .rounds > 0 and .wrong == 0) and length == 4' <"$work/checksums.json")" = true ]
}

rollbacks() {
	local i good=0 total=${SOAK_ROLLBACKS:-20}
	for i in $(seq "$total"); do
		if killed_at host vmbeamd:swap-half; then good=$((good + 1)); else echo "rollback $i is not as it must be"; fi
		jq -n --argjson tried "$i" --argjson good "$good" '{tried: $tried, good: $good}' >"$work/rollbacks.json"
	done
	[ "$good" -eq "$total" ]
}

if [[ $what == *boots* ]]; then run_test "cold boots in a row" boots || true; fi
if [[ $what == *checksums* || $what == *rollbacks* ]]; then
	run_test "the lab comes up" lab_up || finish
	free2=$(free_mib hv2)
	lab_test "a guest VM starts" create_u1 || finish
	run_test "its checkers start" start_checkers || finish
	if [[ $what == *checksums* ]]; then lab_test "checksums everywhere" checksums || true; fi
	if [[ $what == *rollbacks* ]]; then lab_test "rollbacks in a row, after the suspend" rollbacks || true; fi
	lab_test "u1 shuts down and its filesystem is clean" off_and_clean hv1 || true
fi
finish
