#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Run all test binaries of a directory, as TAP: a line for each binary, its own output indented before that.
#
#   run.sh DIR [SECONDS]    SECONDS: limit for each binary, 600 by default
#
# Exit: 0 all passed or skipped, 1 otherwise, 4 nothing ran. The last line sums up the single tests of all binaries.
dir=${1:?usage: run.sh DIR [SECONDS]}
limit=${2:-600}

set --
for test in "$dir"/*; do
	if [ -f "$test" ] && [ -x "$test" ]; then set -- "$@" "$test"; fi
done
if [ $# -eq 0 ]; then
	echo "run.sh: nothing to run in $dir" >&2
	exit 1
fi

out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT

echo "TAP version 13"
echo "1..$#"
n=0 failed=0 ran=0 pass=0 fail=0 skip=0
for test in "$@"; do
	n=$((n + 1))
	name=${test##*/}
	timeout --kill-after=10 "$limit" "$test" >"$out" 2>&1
	rc=$?
	sed 's/^/    /' "$out"
	p=$(grep -c '^ok ' "$out") s=$(grep -c '^ok .*# SKIP' "$out") f=$(grep -c '^not ok ' "$out")
	pass=$((pass + p - s)) skip=$((skip + s)) fail=$((fail + f))
	case $rc in
	0) echo "ok $n $name"; ran=1 ;;
	4) echo "ok $n $name # SKIP" ;;
	124 | 137) echo "not ok $n $name # timed out after $limit s"; failed=1 ran=1 ;;
	*) echo "not ok $n $name # exit $rc"; failed=1 ran=1 ;;
	esac
done
echo "# $dir: $pass passed, $fail failed, $skip skipped"
[ $failed -eq 0 ] || exit 1
[ $ran -eq 1 ] || exit 4
