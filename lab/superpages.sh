#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# superpages.sh HOSTVM...: how the outer Xen maps each one's memory, a line of JSON each: entries of 1 GiB and 2 MiB, and
# tables of 4 KiB entries. Read from outside: the root is what Xen's dump of the VMCBs (key v) says, the tables are read
# from the machine's memory by QEMU's monitor. AMD's nested paging alone.
set -euo pipefail
lab=$(readlink -f "$(dirname "$0")")
. "$lab/cache.sh"
. "$lab/qemu.sh"
. "$lab/wait.sh"
table=$LAB_DIR/table

# The last dump that is complete, from Xen's console.
root_of() {
	tail -c +"$from" "$LAB_DIR/serial.log" | tr -d '\r' |
		awk -v want=">>> Domain $1 <<<" '/>>> Domain/ {here = index($0, want)} here && /H_CR3 = / {sub(/.*H_CR3 = /, ""); print $1; exit}'
}
dumped() { tail -c +"$from" "$LAB_DIR/serial.log" | tr -d '\r' | grep -a -q ' \*\{38\}$'; }

# entries TABLE...: all present entries of these tables
entries() {
	local i=0 t commands=''
	rm -f "$table".*
	for t; do commands+="pmemsave $t 4096 \"$(tree_of "$table").$i\""$'\n'; i=$((i + 1)); done
	[ $i -gt 0 ] || return 0
	qemu_monitor "${commands%$'\n'}" >/dev/null
	for ((t = 0; t < i; t++)); do od -An -v -tx8 -w8 "$table.$t"; done | sed -n 's/^ *\(.*[13579bdf]\)$/0x\1/p'
	rm -f "$table".*
}

# next ENTRY...: sets large, how many are superpages, and tables, where the others lead
next() {
	local e; large=0 tables=()
	for e; do
		if ((e & 0x80)); then large=$((large + 1)); else tables+=($((e & 0xffffffffff000))); fi
	done
}

from=$(($(wc -c <"$LAB_DIR/serial.log") + 1))
"$lab/lab" run host 'xl debug-keys v' </dev/null
until_true 60 "Xen's dump of the VMCBs" dumped
for system; do
	root=$(root_of "$("$lab/lab" run host "xl domid $system" </dev/null)")
	[ -n "$root" ] || die "there is no VMCB of $system in Xen's dump"
	# shellcheck disable=SC2046 # numbers
	{
		next $(entries "$root")		# level 4
		next $(entries "${tables[@]}"); large1g=$large	# level 3
		next $(entries "${tables[@]}")	# level 2
	}
	echo "{\"system\":\"$system\",\"1g\":$large1g,\"2m\":$large,\"4k_tables\":${#tables[@]}}"
done
