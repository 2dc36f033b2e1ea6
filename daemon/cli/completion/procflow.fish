# SPDX-License-Identifier: GPL-2.0-or-later
# fish completion for procflow

set -l commands status flows processes exporters check version
complete -c procflow -f
complete -c procflow -s s -l socket -r -F -d 'the control socket'
complete -c procflow -s h -l help -d 'print the options'
complete -c procflow -s V -l version -d 'print the version'
complete -c procflow -n "__fish_seen_subcommand_from $commands" -l json -d 'one object a line'
complete -c procflow -n "not __fish_seen_subcommand_from $commands" -a status -d 'health of the daemon'
complete -c procflow -n "not __fish_seen_subcommand_from $commands" -a flows -d 'open flows with their processes'
complete -c procflow -n "not __fish_seen_subcommand_from $commands" -a processes -d 'what processes use and send'
complete -c procflow -n "not __fish_seen_subcommand_from $commands" -a exporters -d 'what exporters sent and dropped'
complete -c procflow -n "not __fish_seen_subcommand_from $commands" -a check -d 'look at this host'
complete -c procflow -n "not __fish_seen_subcommand_from $commands" -a version -d 'of this program and of the daemon'
complete -c procflow -n "__fish_seen_subcommand_from flows processes" -l process -x -a "(cat /proc/*/comm 2>/dev/null | sort -u)" -d 'only this name'
complete -c procflow -n "__fish_seen_subcommand_from flows processes" -l pid -x -a "(__fish_complete_pids)" -d 'only this process'
complete -c procflow -n "__fish_seen_subcommand_from flows processes" -l user -x -a "(__fish_complete_users)" -d 'only this user'
complete -c procflow -n "__fish_seen_subcommand_from flows processes" -l container -x -d 'only this container'
complete -c procflow -n "__fish_seen_subcommand_from flows processes" -l limit -x -d 'no more than so many'
complete -c procflow -n "__fish_seen_subcommand_from flows" -l port -x -d 'of either end'
complete -c procflow -n "__fish_seen_subcommand_from flows" -l host -x -d 'address or network of either end'
complete -c procflow -n "__fish_seen_subcommand_from flows" -l sort -x -a 'bytes cpu age' -d 'the largest first'
complete -c procflow -n "__fish_seen_subcommand_from processes" -l sort -x -a 'bytes cpu age memory' -d 'the largest first'
complete -c procflow -n "__fish_seen_subcommand_from check" -s c -l config -r -F -d 'configuration'
