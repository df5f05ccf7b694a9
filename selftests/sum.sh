#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Run a command that prints TAP, maybe of several programs one after the other, and sum it up in a last line:
#   # NAME: N passed, N failed, N skipped
#
#   sum.sh NAME COMMAND...
#
# A test that was planned and not heard of failed; so did a command that exits with an error and names no test.
# Exit: 0 if something passed and nothing failed.
name=${1:?usage: sum.sh NAME COMMAND...}
shift

out=$(mktemp -d) || exit 1
trap 'rm -rf "$out"' EXIT
{ "$@" 2>&1; echo $? >"$out/rc"; } | tee "$out/log"

count() { grep -c -E "$1" "$out/log"; }
skipped=$(count '^ok .*# SKIP')
passed=$(($(count '^ok ') - skipped))
failed=$(count '^not ok ')
planned=$(awk -F'[. ]' '/^1\.\.[0-9]/ { n += $3 } END { print n + 0 }' "$out/log")
missing=$((planned - passed - skipped - failed))
if [ "$missing" -gt 0 ]; then
	echo "# $name: $missing planned and not heard of"
	failed=$((failed + missing))
fi
[ "$(cat "$out/rc")" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
echo "# $name: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
