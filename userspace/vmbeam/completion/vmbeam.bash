# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# bash's completion of vmbeam: commands and options from its own help, host VMs and guest VMs from the daemon.

# A line of stdin for each candidate: those that go on with what is typed, quoted for the shell.
_vmbeam_reply() {
	local name quoted
	while IFS= read -r name; do
		printf -v quoted %q "$name"
		if [[ $name == "$cur"* || $quoted == "$cur"* ]]; then COMPREPLY+=("$quoted"); fi
	done
}

_vmbeam_names() { vmbeam list --names "$1" 2>/dev/null; }

_vmbeam() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} place=0 verb= i
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		_vmbeam_reply < <(vmbeam --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')
		return
	fi
	case $prev in
	--to|--from|--via|--hostvm) _vmbeam_reply < <(_vmbeam_names hostvms); return ;;
	--only|--except|--guest) _vmbeam_reply < <(_vmbeam_names guests | sed 's,^[^/]*/,,'); return ;;
	--unmovable) _vmbeam_reply < <(printf '%s\n' refuse leave shutdown); return ;;
	--kind) _vmbeam_reply < <(printf '%s\n' migration maintenance); return ;;
	--names) _vmbeam_reply < <(printf '%s\n' hostvms guests away migrations); return ;;
	--config) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	--run|--runs|--retries|--last|--since|--until) return ;;
	esac
	if [[ $cur == -* ]]; then
		_vmbeam_reply < <(vmbeam "$command" --help 2>/dev/null | grep -oE -e '--[a-z][a-z-]*' | sort -u)
		return
	fi
	# Which of the arguments that are no options is it?
	for ((i = 2; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--to|--from|--via|--hostvm|--only|--except|--guest|--unmovable|--kind|--names|--config|--run|--runs|--retries|--last|--since|--until)
			i=$((i + 1)) ;;
		-*) ;;
		*) place=$((place + 1)); verb=${verb:-${COMP_WORDS[i]}} ;;
		esac
	done
	case $command:$place in
	check:0|migrate:0|bench:0) _vmbeam_reply < <(_vmbeam_names guests) ;;
	check:1|migrate:1|bench:1|evacuate:0|return:0|maintain:0|list:0) _vmbeam_reply < <(_vmbeam_names hostvms) ;;
	adopt:0) _vmbeam_reply < <(_vmbeam_names away) ;;
	cancel:0|forget:0) _vmbeam_reply < <(_vmbeam_names migrations) ;;
	transaction:0) _vmbeam_reply < <(printf '%s\n' list retry forget) ;;
	export:0) _vmbeam_reply < <(printf '%s\n' list create read release) ;;
	transaction:1|export:*)
		# Behind what names one of them.
		case $verb in
		retry|forget|read|release) _vmbeam_reply < <(vmbeam "$command" list 2>/dev/null | sed -n 's/^\([0-9]*\): .*/\1/p') ;;
		esac ;;
	esac
}

complete -F _vmbeam vmbeam
