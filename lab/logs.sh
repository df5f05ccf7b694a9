#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The logs of all levels.
#
#   logs.sh collect DIR   Xen, kernel, device models, daemons of every system that runs, a file each
#   logs.sh plant         write a splat into every kernel's log, and a mark into every Xen's
#   logs.sh splats        collect, then search; fails on a splat, on a log that is empty or missing, and when the
#                         search does not find what `plant` wrote (so plant comes first, once after each start)
set -euo pipefail
lab=$(readlink -f "$(dirname "$0")")
. "$lab/cache.sh"
. "$lab/qemu.sh"

planted="BUG: planted by the lab, to prove that the search finds it"
splat='(^|[^a-z])(BUG|Oops|panic|Panic)([: ]|$)|WARNING: |Xen BUG|Xen WARN|Assertion .* failed|Call Trace|Xen call trace|general protection|double fault|Triple fault|FATAL |soft lockup|hard LOCKUP|rcu_.*(stall|self-detected)|blocked for more than|KASAN|UBSAN|refcount_t|scheduling while atomic|bad page|Bad page|I/O error|EXT4-fs error|AddressSanitizer|runtime error:|LeakSanitizer|segfault|Segmentation fault|mm.c:[0-9]+:d.* (Bad|bad|Error)'
# What stock parts say at every boot under emulation and nobody is hurt by; each with its reason.
harmless='^$'

in_lab() { "$lab/lab" run "$@"; }

guests() {	# the guest VMs that run, each once
	local s
	for s in $LAB_HOSTVMS; do in_lab "$s" 'xl list' | awk '$1 ~ /^u[0-9]$/ {print $1}'; done | sort -u
}

collect() {
	local dir=$1 s
	rm -rf "$dir"; mkdir -p "$dir"
	cp "$LAB_DIR/serial.log" "$dir/host.serial.log"
	for s in host $LAB_HOSTVMS; do
		in_lab "$s" 'xl dmesg' >"$dir/$s.xen.log" 2>&1 || true
		in_lab "$s" 'dmesg' >"$dir/$s.kernel.log" 2>&1 || true
		in_lab "$s" 'cd /var/log && tar cf - --ignore-failed-read *.log xen' >"$dir/$s.tar" 2>/dev/null || true
		mkdir "$dir/$s"; tar -C "$dir/$s" -xf "$dir/$s.tar" 2>/dev/null || true; rm -f "$dir/$s.tar"
	done
	for s in $(guests); do
		timeout 60 "$lab/lab" run "$s" 'dmesg' </dev/null >"$dir/$s.kernel.log" 2>&1 || true
	done
}

plant() {
	local s
	for s in host $LAB_HOSTVMS; do in_lab "$s" "echo '<3>$planted' >/dev/kmsg; xl debug-keys h"; done
}

splats() {
	local dir=$LAB_DIR/logs f bad=0 found
	collect "$dir"
	for f in host $LAB_HOSTVMS; do
		grep -a -q "$planted" "$dir/$f.kernel.log" || { say "the planted splat is not in $f's kernel log"; bad=1; }
		grep -a -q "key 'h' (ascii '68')\|'h' (ascii '68') is pressed\|'h' pressed" "$dir/$f.xen.log" || { say "the mark is not in $f's Xen log"; bad=1; }
	done
	while read -r f; do
		[ -s "$f" ] || { say "${f#"$dir/"} is empty"; bad=1; continue; }
		found=$(grep -a -n -E "$splat" "$f" | grep -a -v -F "$planted" | grep -a -v -E "$harmless" || true)
		[ -z "$found" ] || { bad=1; say "in ${f#"$dir/"}:"; head -20 <<<"$found" >&2; }
		# The same search, on this very log with a splat put in, must find it.
		{ cat "$f"; echo "Xen BUG at planted.c:1"; } | grep -a -E "$splat" | grep -a -q 'planted.c:1' ||
			{ say "the search is blind in ${f#"$dir/"}"; bad=1; }
	done < <(find "$dir" -maxdepth 1 -name '*.log'; find "$dir"/*/ -name '*.log' -size +0)
	[ $bad -eq 0 ] || return 1
	say "no splat in $(find "$dir" -name '*.log' | wc -l) logs"
}

case ${1:-} in
collect) collect "$2" ;;
plant) plant ;;
splats) splats ;;
*) die "usage: logs.sh collect DIR | plant | splats" ;;
esac
