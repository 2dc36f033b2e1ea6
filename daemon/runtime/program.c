/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "runtime/program.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Read in one turn of the loop at the most, from each stream. */
enum { READ_SIZE = 65536, READS_PER_TURN = 4 };

/* Behind its end: children of its own may hold the streams open for ever. */
enum { READS_AT_END = 64 };

struct stream {
	struct program *program;
	int fd; /* -1: at its end */
	struct loop_source *source;
	void (*on_bytes)(void *userdata, const char *bytes, size_t length);
};

struct program {
	struct program_handlers handlers;
	pid_t pid; /* 0: reaped */
	int pid_fd;
	struct loop_source *end_source;
	struct stream output, complaints;
};

DEFINE_CLEANUP(struct program *, program_free);

static void close_stream(struct stream *stream)
{
	loop_source_free(stream->source);
	stream->source = NULL;
	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
}

static void read_stream(struct stream *stream, unsigned most)
{
	static char bytes[READ_SIZE];

	for (unsigned i = 0; i < most && stream->fd >= 0; i++) {
		ssize_t length = read(stream->fd, bytes, sizeof(bytes));

		if (length > 0) {
			stream->on_bytes(stream->program->handlers.userdata, bytes, (size_t)length);
			continue;
		}
		if (length < 0 && errno == EINTR)
			continue;
		if (length == 0 || errno != EAGAIN)
			close_stream(stream);
		return;
	}
}

static void on_readable(void *userdata, uint32_t epoll_events)
{
	(void)epoll_events;
	read_stream(userdata, READS_PER_TURN);
}

static void on_ended(void *userdata, uint32_t epoll_events)
{
	struct program *program = userdata;
	int status = 0;

	(void)epoll_events;
	if (waitpid(program->pid, &status, WNOHANG) != program->pid)
		return;
	program->pid = 0;
	loop_source_free(program->end_source);
	program->end_source = NULL;
	read_stream(&program->output, READS_AT_END);
	read_stream(&program->complaints, READS_AT_END);
	close_stream(&program->output);
	close_stream(&program->complaints);
	program->handlers.on_end(program->handlers.userdata, status);
}

/* In the child: only what is allowed between fork(2) and exec(3). "error_fd" closes where it succeeds. */
static void __attribute__((noreturn))
become(char *const *arguments, const int streams[3], pid_t parent, int error_fd)
{
	sigset_t none;
	int error;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int number = 1; number <= SIGRTMAX; number++)
		signal(number, SIG_DFL); /* nohup(1) leaves SIGHUP ignored, a script's "&" SIGINT */
	for (int i = 0; i < 3; i++)
		if (dup2(streams[i], i) < 0)
			_exit(127);
	(void)syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC); /* since Linux 5.11 */
	execvp(arguments[0], arguments);
	error = errno;
	while (write(error_fd, &error, sizeof(error)) < 0 && errno == EINTR)
		;
	_exit(127);
}

static int start(struct program *program, char *const *arguments, const int streams[3])
{
	cleanup_close int read_fd = -1, write_fd = -1;
	pid_t parent = getpid();
	int pipe_fds[2], error = 0;
	ssize_t length;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	read_fd = pipe_fds[0];
	write_fd = pipe_fds[1];
	program->pid = fork();
	if (program->pid < 0) {
		program->pid = 0;
		return -errno;
	}
	if (program->pid == 0)
		become(arguments, streams, parent, write_fd);
	close(steal_fd(&write_fd));
	do
		length = read(read_fd, &error, sizeof(error));
	while (length < 0 && errno == EINTR);
	return length == sizeof(error) ? -error : 0;
}

static int open_streams(struct program *program, struct loop *loop)
{
	struct stream *streams[] = {&program->output, &program->complaints};

	for (size_t i = 0; i < array_length(streams); i++) {
		int r;

		if (fcntl(streams[i]->fd, F_SETFL, O_NONBLOCK) < 0)
			return -errno;
		r = loop_add_io(loop, streams[i]->fd, EPOLLIN, on_readable, streams[i],
				&streams[i]->source);
		if (r < 0)
			return r;
	}
	program->pid_fd = (int)syscall(SYS_pidfd_open, program->pid, 0);
	if (program->pid_fd < 0)
		return -errno;
	return loop_add_io(loop, program->pid_fd, EPOLLIN, on_ended, program, &program->end_source);
}

int program_start(struct loop *loop, char *const *arguments,
		  const struct program_handlers *handlers, struct program **ret)
{
	cleanup(program_free_cleanup) struct program *program = calloc(1, sizeof(*program));
	cleanup_close int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	cleanup_close int output_fd = -1, complaints_fd = -1;
	int fds[2], r;

	if (!program)
		return -ENOMEM;
	program->handlers = *handlers;
	program->output = (struct stream){program, -1, NULL, handlers->on_output};
	program->complaints = (struct stream){program, -1, NULL, handlers->on_complaint};
	program->pid_fd = -1;
	if (null_fd < 0 || pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	program->output.fd = fds[0];
	output_fd = fds[1];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	program->complaints.fd = fds[0];
	complaints_fd = fds[1];
	r = start(program, arguments, (const int[3]){null_fd, output_fd, complaints_fd});
	if (r < 0)
		return r;
	r = open_streams(program, loop);
	if (r < 0)
		return r;
	*ret = steal_pointer(&program);
	return 0;
}

void program_free(struct program *program)
{
	if (!program)
		return;
	loop_source_free(program->end_source);
	close_stream(&program->output);
	close_stream(&program->complaints);
	if (program->pid > 0) {
		kill(-program->pid, SIGKILL);
		kill(program->pid, SIGKILL); /* before it made its group */
		while (waitpid(program->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (program->pid_fd >= 0)
		close(program->pid_fd);
	free(program);
}
