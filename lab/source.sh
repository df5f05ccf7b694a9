#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Sources of others that the build takes from Debian; prints where each is.
#
#   source.sh xen      trixie's Xen 4.20 with Debian's patches applied
#   source.sh xen-4.17 bookworm's Xen 4.17, likewise
#   source.sh qemu     trixie's QEMU, of the version that the build tree's QEMU has, with Debian's patches applied
#   source.sh linux    of Linux: kselftest.h, kselftest_harness.h and checkpatch
#
# Xen's and QEMU's are what the suite's signed index has now, updates and security included; it is asked once a day. The
# files are fetched one by one and checked against the SHA-256 of that index. `apt-get source` would want the .dsc,
# which a mirror may never have, and the newest version, whose source it may hold days after the binaries.
# shellcheck disable=SC2034 # known_NAME is looked up by name
set -euo pipefail
lab=$(readlink -f "$(dirname "$0")")
. "$lab/cache.sh"

# Only for a mirror that has binaries without their source: a version that the signed index of the suite once had, with
# the sums from there. It is used if nothing of the index can be fetched. Lines as in resolve_in_tree().
# The index has had newer ones since: leave this out as soon as mirrors have the source of one of them.
known_xen="4.20.3+127-gc42374a105-0+deb13u1 \
df0831854a55a8f31cb3cb85036f2edc928e2ef098d77f815f5714bfafac68f3 \
http://deb.debian.org/debian/pool/main/x/xen/xen_4.20.3+127-gc42374a105.orig.tar.xz
4.20.3+127-gc42374a105-0+deb13u1 \
b1f909d626f3d4ba6965ba291dd97b0dfbbe48bb8e2510913cbc1760c5e8cb3e \
http://deb.debian.org/debian/pool/main/x/xen/xen_4.20.3+127-gc42374a105-0+deb13u1.debian.tar.xz"

# Runs in the build tree: PACKAGE SUITE WANTED KNOWN DEST. Writes DEST/version, and DEST/files with a sum and a URL in each
# line. WANTED is a version that is preferred to the newest, or empty.
resolve_in_tree() {
	local package=$1 suite=$2 wanted=$3 known=$4 dest=$5 o uri index all left version v rc
	cd /tmp; mkdir lists
	/vmbeam/lab/tree.sh sources "$suite" | grep '^deb-src ' >sources.list
	o=(-o Dir::Etc::sourcelist=/tmp/sources.list -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists=/tmp/lists
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
		-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o APT::Update::Error-Mode=any)
	apt-get "${o[@]}" -qq update
	# A line for each file: version, sum, URL. A version may be in two of the archives.
	# shellcheck disable=SC2016 # apt expands it
	all=$(apt-get "${o[@]}" indextargets --format '$(REPO_URI) $(FILENAME)' 'Created-By: Sources' |
		while read -r uri index; do
			/usr/lib/apt/apt-helper cat-file "$index" |
				awk -v RS= -v FS='\n' -v package="Package: $package" -v uri="${uri%/}" '$1 == package {
					sums = n = 0
					for (i = 2; i <= NF; i++) {
						if ($i !~ /^ /) sums = $i ~ /^Checksums-Sha256:/
						if ($i ~ /^Version:/) version = substr($i, 10)
						if ($i ~ /^Directory:/) dir = substr($i, 12)
						if (sums && $i ~ /\.(orig|debian)\.tar\.[a-z]+$/) file[++n] = $i
					}
					for (i = 1; i <= n; i++) {
						split(file[i], f, " ")
						print version, f[1], uri "/" dir "/" f[3]
					}
				}'
		done)
	left=$(cut -d' ' -f1 <<<"$all" | sort -u)
	[ -n "$left" ] || { echo "$suite has no source of $package" >&2; return 1; }
	if [ -n "$wanted" ] && ! grep -qxF "$wanted" <<<"$left"; then
		echo "vmbeam-lab: $suite's index has no $package $wanted any more; the newest that it has is taken" >&2
		wanted=
	fi
	while [ -n "$left$known" ]; do
		if [ -z "$left" ]; then
			all=$known left=${known%% *} known=
			echo "vmbeam-lab: $package $left is taken instead. It is superseded: security fixes may be missing" >&2
		fi
		version=$wanted wanted=
		[ -n "$version" ] || for v in $left; do
			[ -n "$version" ] && dpkg --compare-versions "$v" lt "$version" || version=$v
		done
		left=$(grep -vxF "$version" <<<"$left") || :
		# Of each file, a URL under which the mirror has it.
		rm -f files
		grep -F "$version " <<<"$all" | while read -r v sum uri; do
			[ "$v" = "$version" ] || continue
			! grep -qs "^$sum " files || continue
			rc=0; wget -q --spider --tries=2 --timeout=20 "$uri" || rc=$?
			case $rc in
			0) echo "$sum $uri" >>files ;;
			8) ;;	# the server answers, and has no such file
			*) echo "no answer for $uri" >&2; exit 1 ;;
			esac
		done
		if grep -q '\.orig\.tar' files 2>/dev/null && grep -q '\.debian\.tar' files; then
			mv files "$dest/"; echo "$version" >"$dest/version"
			return
		fi
		echo "vmbeam-lab: $suite has $package $version, whose source is not on the mirror" >&2
	done
	echo "no version of $package in $suite can be fetched" >&2
	return 1
}

# Of resolved(), with its variables: DIR
resolve() {
	"$lab/tree.sh" run build bash -euo pipefail -c "$(text resolve_in_tree); resolve_in_tree \"\$@\"" bash \
		"$package" "$suite" "$wanted" "$known" "/cache/${1##*/}"
}

# A day's answer of the archive is an entry whose key ends with the date. If the archive does not answer, the last one
# counts, and it is not asked again for an hour.
resolved() {
	local name=index-$1 suite=$2 package=${1%-4.17} wanted='' known=known_${1//[-.]/} key last log today
	known=${!known:-}
	# shellcheck disable=SC2016 # dpkg-query expands it
	[ "$1" != qemu ] || wanted=$("$lab/tree.sh" run build dpkg-query -W -f '${source:Version}' qemu-system-x86)
	key=$(cache_key "=$("$lab/tree.sh" sources "$suite")" "=$wanted" "=$known" "=$(text resolve_in_tree)")
	today=$(date -u +%F)
	last=$(find "$VMBEAM_CACHE" -maxdepth 1 -name "$name-$key-*" ! -name '*.part' | sort | tail -n 1)
	if [ -n "$last" ]; then
		if [ "$last" = "$VMBEAM_CACHE/$name-$key-$today" ] ||
			[ -n "$(find "$VMBEAM_CACHE" -maxdepth 1 -name ".$name.tried" -mmin -60)" ]; then
			echo "$last"
			return
		fi
	fi
	log=$(mktemp)
	if cache_entry "$name" "$key-$today" resolve 2>"$log"; then
		grep '^vmbeam-lab: ' "$log" >&2 || :
		find "$VMBEAM_CACHE" -maxdepth 1 -name "$name-*" -mtime +30 -exec rm -rf --one-file-system {} +
	elif [ -n "$last" ]; then
		touch "$VMBEAM_CACHE/.$name.tried"; rm -rf "$VMBEAM_CACHE/$name-$key-$today.part"
		say "Debian's archive does not answer: $package is taken as $suite had it on ${last#"$VMBEAM_CACHE/$name-$key-"}"
		echo "$last"
	else
		cat "$log" >&2
		die "cannot find out which $package $suite has"
	fi
	rm -f "$log"
}

# source_debian NAME VERSION FILES DIR
source_debian() {
	local dir=/cache/${4##*/}
	# shellcheck disable=SC2016 # expanded in the tree
	"$lab/tree.sh" run build bash -euc '
		cd "$1"
		while read -r sum url; do
			/usr/lib/apt/apt-helper -o Acquire::Retries=3 -o APT::Sandbox::User=root \
				download-file "$url" "${url##*/}" "SHA256:$sum"
		done <<<"$4"
		mkdir "$2"
		tar -C "$2" --strip-components=1 -xf ./*.orig.tar.*; tar -C "$2" -xf ./*.debian.tar.*
		grep -v -E "^(#|$)" "$2/debian/patches/series" | while read -r p; do
			patch -d "$2" -s -p1 <"$2/debian/patches/$p"
		done
		echo "$3" >version; rm -f ./*.tar.*' bash "$dir" "$1" "$2" "$3"
}

source_linux() {
	local dir=/cache/${1##*/}
	# shellcheck disable=SC2016 # expanded in the tree
	"$lab/tree.sh" run build bash -euc '
		cd /tmp; apt-get update -qq; apt-get download -qq linux-source-6.12
		t=linux-source-6.12
		dpkg --fsys-tarfile ./linux-source*.deb | tar -xO "./usr/src/$t.tar.xz" |
		tar -C "$1" --strip-components=1 -xJf - "$t/tools/testing/selftests/kselftest.h" \
			"$t/tools/testing/selftests/kselftest_harness.h" "$t/scripts/checkpatch.pl" \
			"$t/scripts/spelling.txt" "$t/scripts/const_structs.checkpatch"' bash "$dir"
}

# A function as it is written here: what declare -f prints depends on the version of bash.
text() { sed -n "/^$1() {/,/^}/p" "$lab/source.sh"; }

case ${1:-} in
xen|xen-4.17|qemu)
	suite=trixie
	[ "$1" != xen-4.17 ] || suite=bookworm
	index=$(resolved "$1" "$suite")
	version=$(cat "$index/version") files=$(cat "$index/files")
	source_entry() {
		say "$1 $version, of $suite"
		source_debian "$@"
	}
	cache_entry "source-$1" "$(cache_key "=$(text source_debian)" "=$version" "=$(cut -d' ' -f1 <<<"$files")")" \
		source_entry "${1%-4.17}" "$version" "$files" ;;
linux)
	tree=$("$lab/tree.sh" build)
	cache_entry source-linux "$(cache_key "=${tree##*/}" "=$(text source_linux)")" source_linux ;;
*) die "usage: source.sh xen|xen-4.17|qemu|linux" ;;
esac
