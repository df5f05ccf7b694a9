# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # $lab and $work are the caller's
# Runs and counts tests of the whole system. Sourced by check.sh and soak.sh, after migration/lib.sh.

passed=0 failed=0 skipped=0 n=0

# run_test NAME COMMAND...: one test. A command that sums itself up ("# NAME: N passed, N failed, N skipped") counts
# as that many.
run_test() {
	local name=$1 log sum rc=0 from=$SECONDS p=0 f=0 s=0; shift
	n=$((n + 1)); log=$work/$(printf '%02d' $n)-${name//[^a-z0-9]/-}.log
	("$@") >"$log" 2>&1 </dev/null || rc=$?
	sum=$(grep -a -E '^# .*: [0-9]+ passed, [0-9]+ failed' "$log" | tail -1 || true)
	if [ -n "$sum" ]; then
		p=$(sed -E 's/.*: ([0-9]+) passed.*/\1/' <<<"$sum"); f=$(sed -E 's/.* ([0-9]+) failed.*/\1/' <<<"$sum")
		[[ $sum != *skipped* ]] || s=$(sed -E 's/.* ([0-9]+) skipped.*/\1/' <<<"$sum")
		[ $rc -eq 0 ] || [ "$f" -gt 0 ] || f=1
	elif [ $rc -eq 0 ]; then p=1
	elif [ $rc -eq 4 ]; then s=1
	else f=1; fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	if [ "$f" -eq 0 ]; then echo "ok $n $name ($p passed, $s skipped, $((SECONDS - from)) s)"
	else
		echo "not ok $n $name ($f failed, $((SECONDS - from)) s): ${log#"$VMBEAM_TOP/"}"
		grep -a -E '^ *(not ok|#.*(Expected|FAIL))' "$log" | head -20 | sed 's/^/    /' || true
		tail -15 "$log" | sed 's/^/    | /'
	fi
	[ "$f" -eq 0 ]
}
# A lab test: the logs of all levels are searched after it.
lab_test() {
	local rc=0
	run_test "$@" || rc=1
	run_test "no splat in any log after: $1" "$lab/logs.sh" splats || rc=1
	return $rc
}
finish() {
	"$lab/lab" down || true
	echo "$passed passed, $failed failed, $skipped skipped"
	[ $failed -eq 0 ]
}

lab_up() { "$lab/lab" down && "$lab/lab" up && "$lab/deploy.sh" && "$lab/logs.sh" plant; }	# "set -e" does not reach into a tested command
create_u1() { guest create hv1 u1 256 2; }
start_checkers() { guest workload u1 128; }
off_and_clean() { shutdown_and_check u1 "$1"; }
# host_selftests SECONDS: the limit of each binary
host_selftests() { on host "/lab/stop; sh /lab/selftests/run.sh /lab/selftests/host $1; rc=\$?; /lab/start host; exit \$rc"; }
