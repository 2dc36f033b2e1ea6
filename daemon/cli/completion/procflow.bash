# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for procflow

_procflow_pids()
{
	local word
	for word in /proc/[0-9]*; do
		printf '%s\n' "${word#/proc/}"
	done
}

_procflow()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local commands='status flows processes exporters check version' command='' word i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		[[ " $commands " == *" $word "* ]] && command=$word
	done
	case $previous in
	-s | --socket | -c | --config)
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
		return
		;;
	--pid)
		mapfile -t COMPREPLY < <(compgen -W "$(_procflow_pids)" -- "$current")
		return
		;;
	--process)
		mapfile -t COMPREPLY < <(compgen -W "$(cat /proc/[0-9]*/comm 2>/dev/null | sort -u)" -- "$current")
		return
		;;
	--user)
		mapfile -t COMPREPLY < <(compgen -u -- "$current")
		return
		;;
	--sort)
		word='bytes cpu age'
		[ "$command" = processes ] && word+=' memory'
		mapfile -t COMPREPLY < <(compgen -W "$word" -- "$current")
		return
		;;
	--port | --host | --container | --limit)
		return
		;;
	esac
	word='--help --version --socket'
	case $command in
	'') [[ $current == -* ]] || word=$commands ;;
	flows) word='--json --process --pid --user --port --host --container --sort --limit --socket' ;;
	processes) word='--json --process --pid --user --container --sort --limit --socket' ;;
	check) word='--json --config' ;;
	*) word='--json --socket' ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$word" -- "$current")
}

complete -F _procflow procflow
