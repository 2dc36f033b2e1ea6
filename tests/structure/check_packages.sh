#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# check_packages.sh TOP: on Debian and Ubuntu no test may skip because a third party that it is about is not
# there; where a distribution has none of these, they are wished for.
set -euo pipefail
top=$1
# shellcheck source=/dev/null
. "$top/tools/packages.sh"

packages_family() { echo "$distribution"; }
package_is_installed() { false; }
packages_without_services() { given=$2 wished=$3; }

# expect LIST NAME...
expect()
{
	local list=$1 name
	shift
	for name in "$@"; do
		[[ " $list " == *" $name "* ]] || { echo "$distribution: $name is not among: $list"; exit 1; }
	done
}

distribution=apt
packages_install build test judge extra
expect "$given" gcc libcmocka-dev tshark nfdump pmacct libfixbuf-tools kcat python3-zmq ulogd2 sysdig nginx-light
expect "$wished" mandoc
[[ " $wished " != *" tshark "* ]]
packages_install build
expect "$given" gcc
[ -z "$wished" ]

distribution=dnf
packages_install build test judge extra
expect "$given" gcc libcmocka-devel
expect "$wished" wireshark-cli nfdump mandoc
[[ " $given " != *" nfdump "* ]]
