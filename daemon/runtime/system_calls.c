/* SPDX-License-Identifier: GPL-2.0-or-later */

#define LOG_MODULE "privileges"

#include "runtime/system_calls.h"

#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "runtime/log.h"

/* The sanitisers make calls of their own (their leak checker traces the process). */
#if HAVE_LIBSECCOMP && !defined(__SANITIZE_ADDRESS__)

#include <seccomp.h>

/* By name, so that what a machine does not have (open, poll, time on arm64) is passed over. Not here, and
 * the reason why there is a list: execve and ptrace, mounts, modules, bpf, keys, other processes' memory,
 * reboot, swap, setuid and its kin. */
static const char *const allowed[] = {
	/* memory */
	"brk", "mmap", "mmap2", "mprotect", "mremap", "munmap", "madvise", "mlock", "munlock",
	/* files, of /proc above all */
	"open", "openat", "openat2", "close", "close_range", "read", "readv", "pread64", "preadv",
	"write", "writev", "pwrite64", "pwritev", "lseek", "_llseek", "fstat", "fstat64",
	"fstatat64", "newfstatat", "stat", "stat64", "lstat", "lstat64", "statx", "statfs",
	"statfs64", "fstatfs", "fstatfs64", "access", "faccessat", "faccessat2", "readlink",
	"readlinkat", "getdents", "getdents64", "fcntl", "fcntl64", "ioctl", "dup", "dup2", "dup3",
	"flock", "fsync", "fdatasync", "fallocate", "fadvise64", "fadvise64_64", "ftruncate",
	"ftruncate64", "getcwd",
	/* cgroups by their id */
	"name_to_handle_at", "open_by_handle_at",
	/* threads that have descriptors of their own */
	"kcmp",
	/* state, spools, rotation, the control socket */
	"rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir",
	"link", "linkat", "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "fchownat",
	"umask", "utimensat",
	/* the loop, signals, time */
	"epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
	"poll", "ppoll", "ppoll_time64", "select", "pselect6", "_newselect", "eventfd", "eventfd2",
	"timerfd_create", "timerfd_settime", "timerfd_gettime", "signalfd", "signalfd4", "pipe",
	"pipe2", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn",
	"rt_sigtimedwait", "sigaltstack", "sigreturn", "clock_gettime", "clock_gettime64",
	"clock_getres", "clock_nanosleep", "clock_nanosleep_time64", "gettimeofday", "nanosleep",
	"time", "times", "restart_syscall", "inotify_init1", "inotify_add_watch",
	"inotify_rm_watch",
	/* sockets: netlink, collectors, clients */
	"socket", "socketpair", "socketcall", "connect", "bind", "listen", "accept", "accept4",
	"getsockname", "getpeername", "getsockopt", "setsockopt", "send", "sendto", "sendmsg",
	"sendmmsg", "recv", "recvfrom", "recvmsg", "recvmmsg", "shutdown", "sendfile", "sendfile64",
	/* tracepoints, of processors that come later too; namespaces */
	"perf_event_open", "setns",
	/* threads of libraries (name resolution, librdkafka, libzmq) */
	"clone", "clone3", "futex", "futex_time64", "set_robust_list", "get_robust_list", "rseq",
	"set_tid_address", "sched_yield", "sched_getaffinity", "sched_setaffinity",
	"sched_getscheduler", "sched_setscheduler", "sched_getparam", "sched_setparam",
	"membarrier", "gettid", "tgkill", "exit", "exit_group", "prctl", "arch_prctl",
	/* oneself and the machine */
	"getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getuid32", "geteuid32",
	"getgid32", "getegid32", "getresuid", "getresgid", "getgroups", "getpgrp", "getpgid",
	"getsid", "getrusage", "getrlimit", "ugetrlimit", "setrlimit", "prlimit64", "uname",
	"sysinfo", "getrandom", "getcpu", "capget", "kill", "wait4", "waitid"};

#ifdef SECCOMP_KILL
#define OTHERWISE SCMP_ACT_KILL_PROCESS
#else
#define OTHERWISE SCMP_ACT_ERRNO(EPERM)
#endif

static int allow_all(scmp_filter_ctx filter)
{
	for (size_t i = 0; i < array_length(allowed); i++) {
		int number = seccomp_syscall_resolve_name(allowed[i]);
		int r = number < 0 ? 0 : seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);

		if (r < 0)
			return r;
	}
	return 0;
}

int system_calls_restrict(void)
{
	scmp_filter_ctx filter = seccomp_init(OTHERWISE);
	int r;

	if (!filter)
		return -ENOMEM;
	r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		r = allow_all(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	if (r == -EINVAL || r == -ENOSYS || r == -ECANCELED) {
		log_info("system calls are not restricted: the kernel has no seccomp filters");
		return 0;
	}
	return r;
}

#else

int system_calls_restrict(void)
{
	log_info("system calls are not restricted: built without libseccomp, or with sanitisers");
	return 0;
}

#endif
