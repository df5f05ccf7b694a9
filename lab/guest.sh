#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Guest VMs of the lab.
#
#   guest.sh create HOSTVM GUEST [MIB [VCPUS]]   start it and wait until it answers
#   guest.sh workload GUEST MIB                  start the checkers in it, and the heartbeat's follower in the host
#                                                management VM; wait until each has told something
#   guest.sh state GUEST                         what the checkers tell: JSON
#   guest.sh heartbeat [reset]                   what the follower tells
#   guest.sh shutdown HOSTVM GUEST               orderly, wait until it is off, remove the domain
#   guest.sh destroy HOSTVM GUEST
set -euo pipefail
lab=$(readlink -f "$(dirname "$0")")
. "$lab/cache.sh"
. "$lab/wait.sh"

on() { "$lab/lab" run "$@"; }

is_off() { ! on "$1" "xl list '$2' 2>/dev/null | awk 'NR > 1 {print \$5}' | grep -v s" ; }

case ${1:-} in
create)
	on "$2" "/lab/guestvm ${*:3}"
	# Not cut short: an ssh handshake costs a guest VM many seconds, and a dropped one costs them again.
	until_true 300 "$3's ssh" timeout 200 "$lab/lab" run "$3" true
	;;
workload)
	on host "pkill -x heartbeat; rm -f /run/heartbeat; setsid /lab/heartbeat --follow 7000 /run/heartbeat >/dev/null 2>&1 </dev/null & true"
	on "$2" "mkdir -p /lab"
	"$lab/lab" put "$2" "$VMBEAM_TOP"/build/stage/root/lab/{memcheck,diskwriter,heartbeat,workload} /lab/
	on "$2" "/lab/workload start $3"
	until_true 120 "$2's checkers" on "$2" "test -s /run/memcheck -a -s /run/diskwriter"
	until_true 60 "$2's heartbeat" on host "grep -q 'open 1' /run/heartbeat"
	;;
state) on "$2" "/lab/workload state" ;;
heartbeat)
	if [ "${2:-}" = reset ]; then on host "rm -f /run/heartbeat"; else on host "cat /run/heartbeat"; fi ;;
shutdown)
	on "$2" "xl shutdown $3"
	until_true 120 "$3 to be off" is_off "$2" "$3"
	on "$2" "xl destroy $3 2>/dev/null || true"
	;;
destroy) on "$2" "xl destroy $3" ;;
*) sed -n '3,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 1 ;;
esac
