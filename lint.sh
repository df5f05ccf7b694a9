#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Style of all sources, as TAP: "ok N lint: NAME" or "not ok N lint: NAME" after what was found. Exit: 0 if nothing.
#
#   lint.sh [CHECK...]               look at this checkout, also at files that git does not know yet
#   lint.sh --self-test [CHECK...]   plant a fault for each check in a copy; fails if one is not found
#
# Everything happens in a copy in the build tree's own /tmp, so nothing is left behind in the checkout.
set -euo pipefail

if [ "${1:-}" != --in-tree ]; then
	cd "$(dirname "$0")"
	linux=$(lab/source.sh linux)
	exec lab/tree.sh run build ./lint.sh --in-tree "/cache/${linux##*/}" "$@"
fi
linux=$2 mode=; shift 2
if [ "${1:-}" = --self-test ]; then mode=$1; shift; fi

# What checkpatch is not asked for, and why.
ignored=(
	BIT_MACRO			# the ABI's headers are for userspace, too, which has no BIT()
	ENOSYS				# what a hypervisor without the op answers
	NEW_TYPEDEFS MACRO_ARG_UNUSED	# hypercall.h gives Xen's header the types that it asks for
	MACRO_ARG_REUSE			# only in sizeof() and offsetof()
	UNCOMMENTED_DEFINITION		# locks have their kernel-doc line, which it does not see
)
ignored_in_tests=(
	PREFER_KERNEL_TYPES		# userspace has those of C
	VOLATILE			# a bad pointer that the compiler must not see through
	COMPLEX_MACRO			# makes a whole FIXTURE_VARIANT
	MACRO_WITH_FLOW_CONTROL		# makes a whole main()
	AVOID_EXTERNS			# a program for a vCPU is in assembly
	CAMELCASE			# libFuzzer names its entry itself
	REPEATED_WORD			# an order of steps that a test expects
	SPLIT_STRING QUOTED_WHITESPACE_BEFORE_NEWLINE	# JSON and tables that a test gives or expects
	LINE_SPACING			# takes Xen's HVM_SAVE_TYPE(x) for code
	PREFER_DEFINED_ATTRIBUTE_MACRO	# userspace has none
)

shells() { grep -lE -m1 '^#!.*[/ ](ba)?sh$' "${files[@]}"; printf '%s\n' "${files[@]}" | grep '\.sh$'; }
check_shellcheck() { shells | sort -u | xargs shellcheck -x -P SCRIPTDIR -f gcc; }

checkpatch() {
	local no=${1// /,}; shift
	perl "$linux/scripts/checkpatch.pl" --no-tree --root="$PWD" --strict --terse --no-summary --show-types \
		--max-line-length=120 --ignore "$no" --file "$@"
}
c_files() { find "$@" -name '*.[ch]' | sort; }
check_checkpatch() {
	local kernel tests rc=0
	mapfile -t kernel < <(c_files kmod include/uapi selftests/mfn)
	mapfile -t tests < <(c_files selftests | grep -v '^selftests/mfn/')
	checkpatch "${ignored[*]}" "${kernel[@]}" || rc=1
	# It takes the harness's FIXTURE_DATA(x) * for a product.
	sed -i -E 's/FIXTURE_(DATA|VARIANT)\((\w+)\) \*/struct \2 */g' "${tests[@]}"
	checkpatch "${ignored[*]} ${ignored_in_tests[*]}" "${tests[@]}" || rc=1
	return $rc
}

check_sparse() {
	local headers=(/usr/src/linux-headers-6.12*[0-9]-amd64) log=$copy.sparse
	make --no-print-directory -j"${JOBS:-2}" -C "${headers[0]}" "M=$PWD" C=2 CF=-Wsparse-error VMBEAM_TESTS=1 \
		modules >"$log" 2>&1 || { cat "$log"; return 1; }
	# That it ran at all: a kernel that is built without it would be content.
	[ "$(grep -c '^ *CHECK ' "$log")" -eq "$(find kmod selftests/mfn -name '*.c' ! -name '*.mod.c' | wc -l)" ] ||
		{ echo "not every file of the modules was looked at"; return 1; }
}

check_codespell() { codespell "${files[@]}"; }

# Prose, patches, JSON, plots and a fuzzer's inputs have no place for the line.
check_spdx() {
	local f found=0
	for f in "${files[@]}"; do
		case $f in */corpus/*|docs/performance/*|*.md|*.patch|*.conf|*.example|*.json|VERSION|.gitignore|.editorconfig|LICENSES/*) continue ;; esac
		head -n 3 "$f" | grep -q 'SPDX-License-Identifier: ' || { echo "$f: no SPDX line in its first three"; found=1; }
	done
	return $found
}

# Somebody's home or work directory: means nothing elsewhere.
check_paths() {
	grep -nE '(^|[^[:alnum:]_.~$})/-])/(home|root|work|Users)/' "${files[@]}"
	[ $? -eq 1 ]	# 2 would be an error of its own
}

# The lab's driver and the tests in Python, each folder of tests as pytest sees it: conftest.py is a name of its own there.
check_mypy() {
	export MYPY_CACHE_DIR=$copy.mypy
	local dir rc=0
	(cd lab && mypy --strict vmbeam_lab) || rc=1
	for dir in selftests selftests/*/; do
		compgen -G "$dir/*.py" >/dev/null || continue
		(cd "$dir" && MYPYPATH=$copy/lab:$copy/selftests:$copy/selftests/migration mypy --strict ./*.py) || rc=1
	done
	return $rc
}

checks=("$@")
[ $# -gt 0 ] || checks=(shellcheck checkpatch codespell spdx paths sparse mypy)

# Copies the checkout to $1 and goes there. What can be built again is not looked at.
copy() {
	copy=$1
	mkdir "$copy"
	cd /vmbeam
	mapfile -t files < <(find . \( -path ./build -o -path ./.git \) -prune -o -type f ! -name '*.pyc' -printf '%P\n' | sort)
	cp --parents -p -t "$copy" "${files[@]}"
	cd "$copy"
}

# run_checks: a line for each; their output as comments. What a check finds in the copy, it finds in the checkout.
run_checks() {
	local name n=0
	for name in "${checks[@]}"; do
		n=$((n + 1))
		if "check_$name" >"$copy.out" 2>&1; then echo "ok $n lint: $name"
		else sed "s/^/# /" "$copy.out"; echo "not ok $n lint: $name"; fi
	done
}

# Each in a file of its own kind, so that a check that skips that kind is noticed. Sparse only: gcc is content.
plant() {
	# shellcheck disable=SC2016 # not to be expanded
	printf '%s\n' 'for f in $(ls *.x); do echo $f; done' >>lab/stage.sh
	printf '%s\n' 'static int planted( void ){ return 0; }' >>selftests/native/test-extent.c
	printf 'This is t%s planted one.\n' eh >>README.md
	sed -i /SPDX/d lab/checkers/record.h
	printf '%s/%s/x\n' '# see ' home >>kmod/build.sh
	printf '%s\n' 'int vmbeam_planted(int __user *p);' 'int vmbeam_planted(int __user *p)' '{' '	return *p;' '}' \
		>>kmod/host/undo.c
	printf '%s\n' 'def planted(x): return x' >>lab/vmbeam_lab/wait.py
}

copy /tmp/lint
if [ "$mode" = --self-test ]; then plant; fi
result=$(run_checks)
echo "TAP version 13"
if [ "$mode" = --self-test ]; then
	# Found is what is wanted here.
	result=$(grep -E '^(not )?ok ' <<<"$result" | sed -E 's/^ok (.*)/not OK \1: finds nothing/; s/^not ok (.*)/ok \1: finds what is planted/; s/OK/ok/')
fi
printf '%s\n' "$result" "1..${#checks[@]}"
failed=$(grep -c '^not ok' <<<"$result") || :
echo "# lint: $((${#checks[@]} - failed)) passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
