#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# All tests, from style to the failures of a migration in the lab. One line each; the output of each is kept in
# build/check/. Ends with "N passed, N failed[, N skipped]".
set -euo pipefail
top=$(readlink -f "$(dirname "$0")/..")
lab=$top/lab
work=$top/build/check
mkdir -p "$work"; rm -rf "${work:?}"/*
cd "$top"
. selftests/migration/lib.sh
. selftests/migration/failures.sh
. selftests/harness.sh

native() { "$lab/source.sh" linux >/dev/null; "$lab/tree.sh" run build make -s -C selftests/native run SAN=1; }
modules() { "$lab/tree.sh" run "$1" kmod/build.sh "$1"; }
guest_selftests() { on hv1 "/lab/stop; VMBEAM_TEST_DOMID=\$(xl domid u1) sh /lab/selftests/run.sh /lab/selftests/guest 300; rc=\$?; /lab/start guest; exit \$rc"; }
# What is told beforehand is what goes: a guest VM that was made by plain xl lies in pieces of 2 MiB.
told_beforehand() {
	local told; told=$(on host "vmbeam check --json hv1/u1 hv2") || return 1
	echo "$told"
	[ "$(field "$told" '.frames | .superpages >= 0.9 * .total and .superpages <= .total')" = true ]
}
migration() { migrate "$@"; local rc=$?; echo "$report"; return $rc; }

run_test "lint" ./lint.sh || true
run_test "the save helper over a fake Xen" xen/tools/test/run.sh || true
run_test "native tests, under ASan and UBSan" native || true
run_test "modules build against 6.12, W=1" modules build || true
run_test "modules build against 6.1, W=1" modules bookworm || true

run_test "the host hypervisor builds with XSM, FLASK and its policy" xen/build.sh xsm || true

run_test "the lab comes up" lab_up || finish
lab_test "selftests of the swap, in the host management VM" host_selftests 300 || true
free1=$(free_mib hv1); free2=$(free_mib hv2)
lab_test "a guest VM starts" create_u1 || finish
lab_test "selftests of the export, in nested Xen" guest_selftests || true
run_test "its checkers start" start_checkers || finish
run_test "vmbeam check tells how u1's frames lie" told_beforehand || true
lab_test "u1 moves from hv1 to hv2" migration u1 hv1 hv2 || finish
run_test "hv1 has its memory back" [ "$(free_mib hv1)" = "$free1" ] || true
lab_test "u1 moves back from hv2 to hv1" migration u1 hv2 hv1 || finish
run_test "hv2 has its memory back" [ "$(free_mib hv2)" = "$free2" ] || true

lab_test "refused: the destination has too little memory" too_little_memory || true
lab_test "refused: the destination has a guest of that name" name_is_taken || true
lab_test "refused: no agent answers" no_agent || true
lab_test "rolled back: vmbeamd killed during the swap" killed_at host vmbeamd:swap-half || true
lab_test "rolled back: the destination's agent killed during prepare" killed_at hv2 agent:restore-write || true
lab_test "rolled back: the new domain destroyed in the middle of the swap" destination_destroyed || true
lab_test "rolled back, once more: vmbeamd killed during the swap" killed_at host vmbeamd:swap-half || true
lab_test "arrives: frames busy to the end" busy_to_the_end || true
at=hv1; ! has_guest hv2 u1 || at=hv2
lab_test "u1 shuts down and its filesystem is clean" off_and_clean $at || true
finish
