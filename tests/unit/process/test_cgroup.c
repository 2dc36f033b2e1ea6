/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "process/cgroup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/macros.h"

#define ID    "3f29a1b0c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f"
#define SHORT "3f29a1b0c4d5"
#define OUTER "ffffffffffff0000ffffffffffff0000ffffffffffff0000ffffffffffff0000"
#define POD   "2f4b9c1e-5d7a-4b1c-9e8f-0a1b2c3d4e5f"
#define POD_  "2f4b9c1e_5d7a_4b1c_9e8f_0a1b2c3d4e5f"
#define USER  "/user.slice/user-1000.slice/user@1000.service"

/* Paths as they are found on hosts; NULL: none. */
static const struct {
	const char *path, *container, *unit;
} cases[] = {
	{"/", NULL, NULL},
	{"", NULL, NULL},
	{"/init.scope", NULL, "init.scope"},
	{"/system.slice", NULL, "system.slice"},
	{"/system.slice/ssh.service", NULL, "ssh.service"},
	{"/system.slice/system-getty.slice/getty@tty1.service", NULL, "getty@tty1.service"},
	{"/system.slice/systemd-cryptsetup@luks\\x2d1f.service", NULL,
	 "systemd-cryptsetup@luks\\x2d1f.service"},
	{"/system.slice/_cpu.service", NULL, "cpu.service"},
	{"/system.slice/dbus.socket", NULL, "dbus.socket"},
	{"/system.slice/mnt-data.mount", NULL, "mnt-data.mount"},
	{"/system.slice/nginx.service/worker", NULL, "nginx.service"},
	{"/system.slice/.service", NULL, "system.slice"},
	{"/user.slice/user-1000.slice/session-3.scope", NULL, "session-3.scope"},
	{USER "/init.scope", NULL, "user@1000.service"},
	{USER, NULL, "user@1000.service"},
	{USER "/app.slice/app-gnome-firefox-4711.scope", NULL, "app-gnome-firefox-4711.scope"},
	{USER "/app.slice/app-org.gnome.Terminal.slice/vte-spawn-1a.scope", NULL,
	 "vte-spawn-1a.scope"},
	{USER "/session.slice/pipewire.service", NULL, "pipewire.service"},
	{USER "/app.slice/dbus.service/x.service", NULL, "dbus.service"},
	{USER "/background.slice", NULL, "user@1000.service"},

	{"/docker/" ID, SHORT, NULL},
	{"/system.slice/docker-" ID ".scope", SHORT, "docker-" ID ".scope"},
	{"/system.slice/docker-" ID ".scope/init", SHORT, "docker-" ID ".scope"},
	{"/system.slice/docker-" ID ".scope/system.slice/cron.service", SHORT,
	 "docker-" ID ".scope"},
	{"/docker/" ID "/system.slice/cron.service", SHORT, NULL},
	{"/docker/" OUTER "/docker/" ID, SHORT, NULL},
	{"/docker/" OUTER "/kubelet/kubepods/burstable/pod" POD "/" ID, SHORT, NULL},
	{"/docker/buildkit/q1w2e3r4t5y6u7i8o9p0a1s2d", NULL, NULL},
	{USER "/user.slice/docker-" ID ".scope", SHORT, "docker-" ID ".scope"},
	{"/system.slice/docker.service", NULL, "docker.service"},
	{"/../../docker/" ID, SHORT, NULL},

	{"/machine.slice/libpod-" ID ".scope", SHORT, "libpod-" ID ".scope"},
	{"/machine.slice/libpod-" ID ".scope/container", SHORT, "libpod-" ID ".scope"},
	{"/machine.slice/libpod-conmon-" ID ".scope", NULL, "libpod-conmon-" ID ".scope"},
	{"/machine.slice/machine-libpod_pod_" OUTER ".slice/libpod-" ID ".scope/container", SHORT,
	 "libpod-" ID ".scope"},
	{"/machine.slice/machine-libpod_pod_" OUTER ".slice", NULL,
	 "machine-libpod_pod_" OUTER ".slice"},
	{"/libpod_parent/libpod-" ID, SHORT, NULL},
	{"/libpod_parent/conmon", NULL, NULL},
	{"/system.slice/web.service/libpod-payload-" ID, SHORT, "web.service"},
	{"/system.slice/web.service/supervisor", NULL, "web.service"},
	{USER "/user.slice/libpod-" ID ".scope/container", SHORT, "libpod-" ID ".scope"},
	{USER "/app.slice/podman-1234.scope", NULL, "podman-1234.scope"},

	{"/kubepods/burstable/pod" POD "/" ID, SHORT, NULL},
	{"/kubepods/besteffort/pod" POD "/" ID, SHORT, NULL},
	{"/kubepods/pod" POD "/" ID, SHORT, NULL},
	{"/kubepods/pod" POD, NULL, NULL},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_
	 ".slice/cri-containerd-" ID ".scope",
	 SHORT, "cri-containerd-" ID ".scope"},
	{"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" POD_ ".slice/crio-" ID
	 ".scope/container",
	 SHORT, "crio-" ID ".scope"},
	{"/kubepods.slice/kubepods-pod" POD_ ".slice/docker-" ID ".scope", SHORT,
	 "docker-" ID ".scope"},
	{"/kubepods.slice/kubepods-pod" POD_ ".slice/crio-conmon-" ID ".scope", NULL,
	 "crio-conmon-" ID ".scope"},
	{"/kubepods.slice/kubepods-pod" POD_ ".slice", NULL, "kubepods-pod" POD_ ".slice"},
	{"/kubepods/burstable/pod" POD "/crio-" ID, SHORT, NULL},
	{"/system.slice/containerd.service/kubepods-burstable-pod" POD_ ".slice:cri-containerd:" ID,
	 SHORT, "containerd.service"},
	{"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" POD_
	 ".slice/cri-containerd-" ID ".scope",
	 SHORT, "cri-containerd-" ID ".scope"},
	{"/k8s.io/" ID, SHORT, NULL},
	{"/default/" ID, SHORT, NULL},
	{"/default/nerdctl-" ID, SHORT, NULL},
	{"/system.slice/containerd.service", NULL, "containerd.service"},

	{"/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-1234567890",
	 "0123456789ab", NULL},
	{"/ecs/" POD "/" ID, SHORT, NULL},
	{"/other/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-1234567890",
	 NULL, NULL},

	{"/machine.slice/systemd-nspawn@web.service/payload", "web", "systemd-nspawn@web.service"},
	{"/machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service", "web",
	 "systemd-nspawn@web.service"},
	{"/machine.slice/systemd-nspawn@my\\x2dweb.service/payload", "my-web",
	 "systemd-nspawn@my\\x2dweb.service"},
	{"/machine.slice/systemd-nspawn@web.service/supervisor", NULL,
	 "systemd-nspawn@web.service"},
	{"/machine.slice/machine-debian\\x2d12.scope/payload/init.scope", "debian-12",
	 "machine-debian\\x2d12.scope"},
	{"/machine.slice/machine-lxc\\x2d4711\\x2dold.scope", "lxc-4711-old",
	 "machine-lxc\\x2d4711\\x2dold.scope"},
	{"/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator", NULL,
	 "machine-qemu\\x2d1\\x2dvm.scope"},
	{"/user.slice/machine-not.scope", NULL, "machine-not.scope"},

	{"/lxc.payload.web01", "web01", NULL},
	{"/lxc.payload.web01/system.slice/nginx.service", "web01", NULL},
	{"/lxc.payload.default_web/init.scope", "default_web", NULL},
	{"/lxc.payload/web01/init.scope", "web01", NULL},
	{"/lxc/101/ns/init.scope", "101", NULL},
	{"/lxc/web01", "web01", NULL},
	{"/lxc", NULL, NULL},
	{"/lxc.monitor.web01", NULL, NULL},
	{"/lxc.monitor/web01", NULL, NULL},
	{"/lxc.payload.web01/docker/" ID, SHORT, NULL},

	/* Not quite. */
	{"/docker/3f29a1b0c4d5e6f7", NULL, NULL},
	{"/docker/0" ID "0", NULL, NULL},
	{"/docker/X29a1b0c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f", NULL, NULL},
	{"/docker/3F29A1B0C4D5E6F708192A3B4C5D6E7F8091A2B3C4D5E6F708192A3B4C5D6E7F", NULL, NULL},
	{"/job/9c75614a41bcb939e693e791aea6e6e7", NULL, NULL},
	{"//system.slice///ssh.service/", NULL, "ssh.service"},
};

/* In memory of its own length, so that the sanitiser sees any step beyond. */
static struct text hold(const char *string, char **ret_memory)
{
	size_t length = strlen(string);

	*ret_memory = malloc(length ? length : 1);
	memcpy(*ret_memory, string, length);
	return (struct text){*ret_memory, length};
}

static void containers_and_units_of_known_paths(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < array_length(cases); i++) {
		char container[CGROUP_CONTAINER_SIZE] = "", unit[CGROUP_UNIT_SIZE] = "", *memory;
		struct text path = hold(cases[i].path, &memory);
		bool has_container = cgroup_find_container(path, container);
		bool has_unit = cgroup_find_unit(path, unit);

		if (has_container != (cases[i].container != NULL) ||
		    has_unit != (cases[i].unit != NULL) ||
		    (has_container && strcmp(container, cases[i].container) != 0) ||
		    (has_unit && strcmp(unit, cases[i].unit) != 0)) {
			print_error("%s: container \"%s\", unit \"%s\"\n", cases[i].path, container,
				    unit);
			wrong++;
		}
		free(memory);
	}
	assert_int_equal(wrong, 0);
}

static void names_that_are_too_long_stay_in_their_bounds(void **state)
{
	char path[1024] = "/lxc.payload.", container[CGROUP_CONTAINER_SIZE], unit[CGROUP_UNIT_SIZE];

	(void)state;
	memset(path + strlen(path), 'n', 300);
	assert_true(cgroup_find_container(text_from(path), container));
	assert_int_equal(strlen(container), CGROUP_CONTAINER_SIZE - 1);
	strcpy(path, "/");
	memset(path + 1, 'n', 300);
	strcpy(path + 301, ".service");
	assert_false(cgroup_find_unit(text_from(path), unit));
}

static void path_of_a_process(void **state)
{
	static const struct {
		const char *file, *path;
	} files[] = {
		{"0::/system.slice/ssh.service\n", "/system.slice/ssh.service"},
		{"0::/system.slice/ssh.service (deleted)\n", "/system.slice/ssh.service"},
		{"0::/", "/"},
		/* Hybrid, as systemd sets it up. */
		{"12:pids:/system.slice/cron.service\n4:memory:/system.slice/cron.service\n"
		 "1:name=systemd:/system.slice/cron.service\n0::/system.slice/cron.service\n",
		 "/system.slice/cron.service"},
		/* Docker on a hybrid host. */
		{"11:memory:/docker/" ID "\n1:name=systemd:/docker/" ID
		 "\n0::/system.slice/containerd.service\n",
		 "/docker/" ID},
		{"4:cpu,memory:/docker/" ID "\n1:name=systemd:/\n0::/\n", "/docker/" ID},
		/* Nothing but v1, and its process in the root of systemd's. */
		{"9:name=systemd:/\n4:memory:/jobs/17\n3:cpuset:/other\n0::/\n", "/jobs/17"},
		{"5:devices:/somewhere\n", NULL},
		{"1:name=elogind:/4\n", NULL},
		{"0::/kubepods.slice:cri-containerd:" ID "\n",
		 "/kubepods.slice:cri-containerd:" ID},
		{"", NULL},
		{"0:\n0::\nx\n:::\n0::relative\n", NULL},
	};

	(void)state;
	for (size_t i = 0; i < array_length(files); i++) {
		struct text path = {0};
		char *memory;
		bool found = cgroup_parse_file(hold(files[i].file, &memory), &path);

		if (found != (files[i].path != NULL) ||
		    (found && (path.length != strlen(files[i].path) ||
			       memcmp(path.at, files[i].path, path.length) != 0)))
			fail_msg("%s: \"%.*s\"", files[i].file, (int)path.length,
				 path.at ? path.at : "");
		free(memory);
	}
}

static void anything_is_survived(void **state)
{
	static const char *const pieces[] = {"/",	"\\x2", "lxc", ".slice", "user@.service",
					     "machine", "0::",	"\n",  ".scope", ("-" ID),
					     "\\x",	":",	"_",   "ecs",	 "supervisor"};

	(void)state;
	srand(20261124);
	for (int round = 0; round < 20000; round++) {
		char text[2048] = "", container[CGROUP_CONTAINER_SIZE], unit[CGROUP_UNIT_SIZE];
		struct text path;
		char *memory;

		for (int i = rand() % 12; i > 0; i--)
			strcat(text, pieces[(size_t)rand() % array_length(pieces)]);
		path = hold(text, &memory);
		if (cgroup_find_container(path, container))
			assert_true(strlen(container) > 0 &&
				    strlen(container) < CGROUP_CONTAINER_SIZE);
		if (cgroup_find_unit(path, unit))
			assert_true(strlen(unit) > 0 && strlen(unit) < CGROUP_UNIT_SIZE);
		if (cgroup_parse_file((struct text){memory, strlen(text)}, &path))
			assert_int_equal(path.at[0], '/');
		free(memory);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(containers_and_units_of_known_paths),
		cmocka_unit_test(names_that_are_too_long_stay_in_their_bounds),
		cmocka_unit_test(path_of_a_process),
		cmocka_unit_test(anything_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
