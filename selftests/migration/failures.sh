# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # $lab, $work and $report: see lib.sh
# Failures of a migration: after each, the guest VM runs on exactly one side, unhurt, and nothing is left behind.
# A process is held at a named step, then killed: no test waits a fixed time for a moment to come. Sourced after lib.sh.

: "${free2:=}"	# what hv2 had free before the tests

hold() { on "$1" "mkdir -p /run/vmbeam/hold && touch '/run/vmbeam/hold/$2'"; }
unhold() { on "$1" "rm -f '/run/vmbeam/hold/$2' '/run/vmbeam/hold/$2.held'"; }
wait_held() { until_true 240 "$2 on $1" on "$1" "test -s '/run/vmbeam/hold/$2.held'"; }
kill_held() { on "$1" "kill -9 \$(cat '/run/vmbeam/hold/$2.held')"; unhold "$1" "$2"; }

# begin_migration: u1 from hv1 to hv2, beside this script; its output is in $work/result and $work/progress
begin_migration() {
	"$lab/lab" run host "vmbeam migrate --json hv1/u1 hv2" </dev/null >"$work/result" 2>"$work/progress" &
	migration=$!
}
end_migration() { local rc=0; wait "$migration" || rc=$?; echo "vmbeam migrate: status $rc"; cat "$work/progress" "$work/result"; return $rc; }
# refused_with TEXT: nothing was touched, and the message says why
refused_with() {
	local rc=0
	begin_migration; end_migration >"$work/said" || rc=$?
	cat "$work/said"
	[ $rc -eq 2 ] || { echo "status $rc, not 2"; return 1; }
	grep -q -E "$1" "$work/said" || { echo "it does not say: $1"; return 1; }
}

settled() { on host "vmbeam status --json" | grep -q '"migration": *null' && on host "vmbeam status" >/dev/null; }
hv2_is_empty() { [ "$(free_mib hv2)" = "$free2" ]; }
alive() { [ "$(cut -d' ' -f2 <<<"$(guest heartbeat)")" -gt "$1" ]; }

# still_on_hv1 BEFORE: u1 runs there and nowhere else, with the same processes; its checkers are clean; hv2 is as it was
still_on_hv1() {
	local before=$1 after disk beats bad=0
	until_true 240 "the daemon to have settled" settled || bad=1
	has_guest hv1 u1 || { echo "hv1 lost u1"; return 1; }
	! has_guest hv2 u1 || { echo "hv2 has u1 too"; bad=1; }
	until_true 120 "u1 to answer" on u1 true || return 1
	every_page u1 || bad=1
	after=$(guest state u1)
	[ "$(field "$before" '[.boot_id,.memcheck,.diskwriter,.heartbeat]')" = "$(field "$after" '[.boot_id,.memcheck,.diskwriter,.heartbeat]')" ] ||
		{ echo "not the same boot and processes: $before, $after"; bad=1; }
	[ "$(field "$after" .memory_errors)" = 0 ] || { echo "memory errors: $after"; bad=1; }
	[ "$(field "$after" .safe)" -gt "$(field "$before" .safe)" ] || { echo "its disk stands still: $before, $after"; bad=1; }
	disk=$(on u1 "/lab/workload check-disk")
	[ "$(field "$disk" .errors)" = 0 ] || { echo "disk errors: $disk"; bad=1; }
	beats=$(cut -d' ' -f2 <<<"$(guest heartbeat)")
	until_true 60 "a further heartbeat" alive "$beats" || { guest heartbeat; bad=1; }
	on u1 'dmesg | grep -E "blocked for more than|rcu.*stall|soft lockup"' && bad=1
	until_true 60 "hv2 to have its memory back" hv2_is_empty || bad=1
	for h in hv1 hv2; do
		[ "$(on $h 'vmbeam export list --json' | jq length)" = 0 ] || { echo "$h still has exports"; on $h 'vmbeam export list'; bad=1; }
	done
	return $bad
}

# killed_at WHO STEP: the process that is held there is killed; its supervisor starts it again; that alone must do
killed_at() {
	local before
	before=$(guest state u1)
	hold "$1" "$2"; begin_migration
	wait_held "$1" "$2" || { end_migration; unhold "$1" "$2"; return 1; }
	kill_held "$1" "$2"
	! end_migration || { echo "the migration succeeded"; return 1; }
	still_on_hv1 "$before"
}

# refused_while TEXT SPOIL MEND: a command on hv2 makes the migration impossible, another one undoes that
refused_while() {
	local before bad=0
	before=$(guest state u1)
	on hv2 "$2" || return 1
	refused_with "$1" || bad=1
	on hv2 "$3"
	still_on_hv1 "$before" && [ $bad = 0 ]
}
too_little_memory() { refused_while 'hv2: .*(memory|MiB|KiB)' "/lab/guestvm --ballast u3 $((free2 - 128))" "xl destroy u3"; }
name_is_taken() { refused_while 'hv2: .*u1' "/lab/guestvm --ballast u1 160" "xl destroy u1"; }
no_agent() { refused_while 'hv2: .*agent' /lab/stop "/lab/start guest"; }
destination_destroyed() {
	local before
	before=$(guest state u1)
	hold host vmbeamd:swap-half; begin_migration
	wait_held host vmbeamd:swap-half || { end_migration; unhold host vmbeamd:swap-half; return 1; }
	on hv2 "xl destroy u1"
	unhold host vmbeamd:swap-half
	! end_migration || { echo "the migration succeeded"; return 1; }
	still_on_hv1 "$before"
}
# Frames that somebody in the host management VM maps for as long as it takes: their contents are exchanged.
busy_to_the_end() {
	local bad=0 holder
	on hv1 "/lab/selftests/tools/p2m \$(xl domid u1) 64 7" >"$work/busy"
	"$lab/lab" run host "exec /lab/selftests/tools/hold_frames \$(xl domid hv1)" <"$work/busy" >"$work/held" 2>&1 &
	holder=$!
	until_true 30 "the frames to be held" grep -q held "$work/held" || { cat "$work/held"; return 1; }
	migrate u1 hv1 hv2 || bad=1
	on host "pkill -x hold_frames"; wait $holder || true
	[ $bad = 0 ] || return 1
	echo "$report"
	[ "$(field "$report" '.frames.exchanged > 0')" = true ] || { echo "nothing was exchanged"; return 1; }
}
