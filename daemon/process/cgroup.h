/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the path of a cgroup tells: the container and the systemd unit. Pure. */

#include <stdbool.h>

#include "base/text.h"

enum { CGROUP_CONTAINER_SIZE = 65, CGROUP_UNIT_SIZE = 256 };

/* The path out of /proc/PID/cgroup ("hierarchy:controllers:path" a line, cgroups(7)), borrowed from
 * it. A process has one path in cgroup v2, and one in each mounted hierarchy of v1; of those in v2,
 * in systemd's own hierarchy and in that of the memory controller, in this order, the first that
 * names a container counts, else the first that names a unit, else the first that is not the root.
 * (Docker over v1 leaves the container's processes where containerd is in v2.) False where there
 * is none of the three. */
bool cgroup_parse_file(struct text file, struct text *ret_path);

/* The innermost container: the first 12 hex digits of its id (docker, podman, containerd, cri-o,
 * Kubernetes, ECS), or its name where it has no id (systemd-nspawn and libvirt's machines, lxc).
 * What watches over a container (conmon, lxc.monitor, nspawn's own process) is in none, and
 * neither is a virtual machine. False: none. */
bool cgroup_find_container(struct text path, char ret[CGROUP_CONTAINER_SIZE]);

/* The systemd unit under its own name, \x2d and all, as systemctl and the journal know it
 * (cg_path_get_unit() in systemd's cgroup-util.c): the first service or scope on the path, of a
 * user's manager (user@UID.service) that of the manager's units, and else the innermost slice.
 * False: none. */
bool cgroup_find_unit(struct text path, char ret[CGROUP_UNIT_SIZE]);
