# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Waiting for a state, with a limit. Sourced after cache.sh, never run.

# until_true SECONDS WHAT COMMAND...: the limit ends a wait that will never be over; it proves no speed
until_true() {
	local limit=$1 what=$2 from=$SECONDS; shift 2
	until "$@" >/dev/null 2>&1 </dev/null; do
		[ $((SECONDS - from)) -lt "$limit" ] || { say "waited $limit s in vain for $what"; return 1; }
		sleep 0.5
	done
}
