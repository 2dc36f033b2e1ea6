# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What tools/run and tools/test install and build, and how. To be sourced, with $top set to the tree.
#
# One row a need: who needs it (build; test; judge: third parties that the tests are about, needed on Debian
# and Ubuntu, elsewhere like extra; extra: a test that lacks it skips by name; deb, rpm: tools/package; vm: the kernels under qemu, which need a Debian host), the package
# on Debian and Ubuntu, the package on Fedora and RHEL ("-": comes with another one).
packages_table='
build  gcc                           gcc
build  libc6-dev                     glibc-devel
build  meson                         meson
build  ninja-build                   ninja-build
build  pkg-config                    pkgconf-pkg-config
build  libcurl4-openssl-dev          libcurl-devel
build  libjansson-dev                jansson-devel
build  libcap-ng-dev                 libcap-ng-devel
build  libmicrohttpd-dev             libmicrohttpd-devel
build  libmnl-dev                    libmnl-devel
build  libnetfilter-conntrack-dev    libnetfilter_conntrack-devel
build  libnetfilter-log-dev          libnetfilter_log-devel
build  libnftables-dev               nftables-devel
build  libproc2-dev                  procps-ng-devel
build  libssl-dev                    openssl-devel
build  libseccomp-dev                libseccomp-devel
build  librdkafka-dev                librdkafka-devel
build  libsqlite3-dev                sqlite-devel
build  libsystemd-dev                systemd-devel
build  libtraceevent-dev             libtraceevent-devel
build  libyaml-dev                   libyaml-devel
build  libzmq3-dev                   zeromq-devel
build  zlib1g-dev                    zlib-devel
test   libcmocka-dev                 libcmocka-devel
test   clang                         clang
test   libclang-rt-dev               compiler-rt
test   -                             libasan
test   -                             libubsan
test   python3                       python3
test   python3-pytest                python3-pytest
test   iproute2                      iproute
test   iputils-ping                  iputils
test   procps                        procps-ng
test   nftables                      nftables
test   conntrack                     conntrack-tools
test   curl                          curl
test   strace                        strace
test   util-linux                    util-linux
extra  mandoc                        mandoc
judge  nginx-light                   nginx-core
judge  kcat                          kcat
judge  libfixbuf-tools               -
judge  nfdump                        nfdump
extra  openssl                       openssl
judge  sysdig                        sysdig
extra  systemd                       systemd
extra  python3-prometheus-client     python3-prometheus_client
extra  podman                        podman
extra  runc                          runc
extra  iptables                      iptables
extra  busybox-static                busybox
judge  pmacct                        pmacct
judge  python3-zmq                   python3-zmq
extra  python3-yaml                  python3-pyyaml
judge  tshark                        wireshark-cli
judge  ulogd2                        ulogd
judge  ulogd2-json                   -
deb    debhelper                     -
deb    dpkg-dev                      -
deb    fakeroot                      -
deb    lintian                       -
deb    mandoc                        -
deb    systemd                       -
rpm    rpm                           rpm-build
rpm    rpmlint                       rpmlint
packages cpio                        -
packages debootstrap                 -
packages kmod                        -
packages qemu-system-x86             -
vm     busybox-static                -
vm     kmod                          -
vm     qemu-system-x86               -
'

# Packages of the table that bring a service along, and its name (of another kind of unit, with its ending): it is
# never left running or enabled by an installation made here.
packages_services='nginx-light:nginx nginx-core:nginx ulogd2:ulogd2 ulogd:ulogd nfdump:nfdump
pmacct:nfacctd pmacct:pmacctd pmacct:sfacctd pmacct:uacctd podman:podman podman:podman.socket
podman:podman-restart podman:podman-auto-update podman:podman-auto-update.timer'

say()
{
	printf '%s: %s\n' "${0##*/}" "$*"
}

die()
{
	printf '%s: %s\n' "${0##*/}" "$2" >&2
	exit "$1"
}

require_root()
{
	[ "$(id -u)" = 0 ] || die 2 "this needs root: sudo ${0} $*"
}

# Everything done here must not depend on whose environment sudo kept.
use_plain_environment()
{
	export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
	unset PYTHONPATH PYTHONHOME MAKEFLAGS CFLAGS LDFLAGS CC
}

packages_family()
{
	if command -v apt-get >/dev/null; then
		echo apt
	elif command -v dnf >/dev/null; then
		echo dnf
	else
		echo unknown
	fi
}

# packages_missing FAMILY KIND...
packages_missing()
{
	local family=$1 kind deb rpm name
	shift
	while read -r kind deb rpm; do
		[ -n "$kind" ] || continue
		[[ " $* " == *" $kind "* ]] || continue
		name=$deb
		[ "$family" = apt ] || name=$rpm
		[ "$name" != - ] || continue
		package_is_installed "$family" "$name" || printf '%s ' "$name"
	done <<<"$packages_table"
}

package_is_installed()
{
	if [ "$1" = apt ]; then
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$2" 2>/dev/null)" = installed ]
	else
		rpm -q --quiet --whatprovides "$2"
	fi
}

# packages_install KIND...: what is missing, after saying so. Fails when a needed one cannot be had;
# one that is only good to have and cannot is told.
packages_install()
{
	local family needed extra kind needed_kinds=() optional_kinds=() optional=' extra '
	family=$(packages_family)
	[ "$family" != unknown ] ||
		die 3 "neither apt-get nor dnf is here; packages needed: see tools/packages.sh"
	[ "$family" = apt ] || optional+='judge '
	for kind in "$@"; do
		if [[ "$optional" == *" $kind "* ]]; then
			optional_kinds+=("$kind")
		else
			needed_kinds+=("$kind")
		fi
	done
	needed=$(packages_missing "$family" "${needed_kinds[@]}")
	extra=$(packages_missing "$family" "${optional_kinds[@]}")
	if [ -z "$needed$extra" ]; then
		say "all packages are there"
		return 0
	fi
	say "installing: $needed$extra"
	packages_without_services "$family" "$needed" "$extra"
}

# Debian starts what it installs, unless a policy says no; one that the administrator made stays.
packages_without_services()
{
	local policy=/usr/sbin/policy-rc.d made=no status=0
	if [ "$1" = apt ] && [ ! -e "$policy" ]; then
		made=yes
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	fi
	packages_fetch "$@" || status=$?
	if [ $made = yes ]; then
		rm -f "$policy"
		trap - EXIT
	fi
	services_disable "$2 $3"
	return $status
}

# packages_fetch FAMILY NEEDED EXTRA
packages_fetch()
{
	local name
	if [ "$1" = apt ]; then
		apt-get -qq update || say "apt-get update failed; going on with the lists that are there"
	else
		repositories_enable
	fi
	# shellcheck disable=SC2086
	packages_add "$1" $2 $3 && return 0
	# shellcheck disable=SC2086
	[ -z "$2" ] || packages_add "$1" $2 || { repositories_hint "$1"; return 1; }
	for name in $3; do
		packages_add "$1" "$name" || say "$name cannot be installed: tests that need it will skip"
	done
}

packages_add()
{
	local family=$1
	shift
	if [ "$family" = apt ]; then
		apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install "$@" >/dev/null
	else
		dnf -q -y --setopt=install_weak_deps=False install "$@"
	fi
}

# The RHEL family keeps headers in CRB and some of the tools in EPEL.
repositories_enable()
{
	# shellcheck source=/dev/null
	. /etc/os-release
	[ "$ID" != fedora ] || return 0
	say "enabling the repositories CRB and EPEL"
	dnf -q -y install epel-release 'dnf-command(config-manager)' || true
	dnf config-manager --set-enabled crb || true
}

repositories_hint()
{
	[ "$1" = dnf ] || return 0
	say "on RHEL, headers are in CodeReady Builder and some tools in EPEL:"
	say "  subscription-manager repos --enable codeready-builder-for-rhel-\$(rpm -E %rhel)-\$(arch)-rpms"
	say "  dnf install https://dl.fedoraproject.org/pub/epel/epel-release-latest-\$(rpm -E %rhel).noarch.rpm"
}

services_disable()
{
	local pair unit
	command -v systemctl >/dev/null || return 0
	for pair in $packages_services; do
		[[ " $1 " == *" ${pair%%:*} "* ]] || continue
		unit=${pair##*:}
		[[ $unit == *.* ]] || unit+=.service
		systemctl -q disable --now "$unit" 2>/dev/null ||
			systemctl -q disable "$unit" 2>/dev/null || true
	done
}

# build DIRECTORY [MESON OPTION...]: idempotent.
# shellcheck disable=SC2154
build()
{
	local directory=$1 log=$1/build.log
	shift
	mkdir -p "$directory"
	if [ ! -f "$directory/build.ninja" ]; then
		meson setup "$directory" "$top" "$@" >"$log" 2>&1 || { cat "$log"; return 1; }
	fi
	ninja -C "$directory" >"$log" 2>&1 || { cat "$log"; return 1; }
}

# A clone made by a user stays the user's, though root built in it.
give_back()
{
	chown -R --reference="$top" "$1" 2>/dev/null || true
}
