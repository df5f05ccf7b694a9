#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Can the host selftests fail? Each line of mutations.txt takes one check, or one step, out of the hypervisor's code. A
# copy of the checkout is built with it and booted, the outer system alone, and the named tests must fail there: by a
# test that is not ok, or by the system's death. Writes build/mutations.json.
#
#   mutations.sh [NAME...]    these, or all
set -euo pipefail
top=$(readlink -f "$(dirname "$0")/..")
work=$top/build/mutations
copy=$work/tree
code=xen/hypervisor/xen/arch/x86/mm/p2m-swap
export LAB_HOST_ONLY=1
mkdir -p "$work"
cd "$top"
. lab/cache.sh
jq() { "$top/lab/tree.sh" run build jq "$@"; }

end() { [ ! -x "$copy/lab/lab" ] || "$copy/lab/lab" down; }
trap end EXIT

make_copy() {
	end; rm -rf "$copy"; mkdir -p "$copy"
	git ls-files -z | xargs -0 cp --parents -t "$copy"
}

# What a hypervisor with a hole does to its tests may be anything: they get a time limit, and its end is a failure, too.
tests_fail() {
	local t rc=0
	if ! "$copy/lab/lab" up --cold || ! "$copy/lab/deploy.sh"; then echo "the lab does not come up"; return 1; fi
	timeout 60 "$copy/lab/lab" run host /lab/stop </dev/null || return 1
	for t in $1; do
		timeout 150 "$copy/lab/lab" run host "timeout 120 /lab/selftests/host/$t" </dev/null || rc=$?
	done
	[ $rc -ne 0 ] && [ $rc -ne 4 ]
}

make_copy
n=0 failed=0 list='[]'
[ $# -gt 0 ] || echo "1..$(grep -c '^[a-z]' selftests/mutations.txt)"
while IFS='|' read -r -u 3 name file tests edit; do
	[[ $name =~ ^[a-z] ]] || continue
	[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
	n=$((n + 1)); from=$SECONDS
	end; cp "$code"/* "$copy/$code/"
	sed -i -E -z "$edit" "$copy/$code/$file"
	if cmp -s "$copy/$code/$file" "$code/$file"; then
		echo "not ok $n $name: the edit finds nothing"; seen=false
	elif tests_fail "$tests" >"$work/$name.log" 2>&1; then
		how=$(sed -n 's/^not ok [0-9]* //p' "$work/$name.log" | head -4 | paste -sd' ')
		echo "ok $n $name ($((SECONDS - from)) s): ${how:-it hung or died}"; seen=true
	else
		echo "not ok $n $name: $tests did not fail"; tail -5 "$work/$name.log" | sed 's/^/    | /'; seen=false
	fi
	[ $seen = true ] || failed=$((failed + 1))
	rm -rf "$("$copy/xen/build.sh" 2>/dev/null)"	# nobody wants this hypervisor again
	# shellcheck disable=SC2016 # jq's own variables
	list=$(jq -c --arg name "$name" --arg tests "$tests" --argjson seen $seen '. + [{name: $name, tests: $tests, seen: $seen}]' <<<"$list")
	echo "$list" >"$top/build/mutations.json"
done 3<selftests/mutations.txt
echo "$((n - failed)) passed, $failed failed"
[ $failed -eq 0 ]
