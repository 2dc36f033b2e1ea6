/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A process that uses just what it is told to, and knows what it used: one command a line on its
 * standard input, one JSON object a line as the answer, with what the kernel told the process itself
 * of all its use so far when the command was done.
 *
 *   connect tcp|udp ADDRESS PORT   listen tcp|udp ADDRESS PORT   accept SLOT
 *   send SLOT BYTES   receive SLOT BYTES   close SLOT     each a descriptor, by its slot
 *   burn MS           threads COUNT MS (every other one ends after half of that)
 *   touch PAGES       drop (gives back all that was touched)
 *   write PATH TICKS  with O_DIRECT and O_SYNC, until it waited so many clock ticks for it
 *   writers COUNT PATH TICKS   the same in each of so many threads, which end
 *   copy PATH MIB     writes so much with O_DIRECT, and reads it again
 *   brief MS PAGES ADDRESS PORT    connects, burns, touches and closes without a pause: what it had used
 *                     when the connection was there is told as well
 *   mayfly MS PAGES ADDRESS PORT THREADS   a child connects, burns, touches and ends, each of its threads
 *                     too: its use is told
 *   usage */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "procfs/stat.h"

enum { SLOTS = 16, BLOCK = 4096, WORDS = 6, MOST_THREADS = 64 };
/* How long a disk is given that shows no wait, and one that does. */
enum { LONGEST_TRY_S = 5, LONGEST_WRITE_S = 60 };

struct region {
	char *memory;
	size_t size;
};

/* A process's own getrusage(2) is behind by up to a clock tick in CPU time. */
struct use {
	struct rusage rusage;
	uint64_t cpu_ns;
};

struct actor {
	int slots[SLOTS];
	int slot; /* of the last command */
	struct region regions[SLOTS];
	unsigned region_count;
	struct rusage child;
	struct use begin;
	pid_t child_pid;
	uint64_t ended_iowait_ticks; /* of threads */
};

static _Noreturn void give_up(const char *what)
{
	printf("{\"error\": \"%s: %s\"}\n", what, strerror(errno));
	exit(1);
}

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec;
}

/* The last words of /proc/thread-self/stat and the like, from the state on. */
static uint64_t read_stat_word(const char *path, unsigned number)
{
	char line[PROCFS_STAT_LINE_SIZE], *at, *rest = NULL;
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, line, sizeof(line) - 1);

	if (length <= 0)
		give_up(path);
	line[length] = '\0';
	at = strrchr(line, ')') + 2;
	at = strtok_r(at, " ", &rest);
	for (unsigned i = 3; i < number && at; i++)
		at = strtok_r(NULL, " ", &rest);
	return at ? strtoull(at, NULL, 10) : 0;
}

static double to_ms(struct timeval time)
{
	return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3;
}

static struct use read_use(void)
{
	struct use use;

	getrusage(RUSAGE_SELF, &use.rusage);
	use.cpu_ns = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	return use;
}

static void print_use(const struct use *use)
{
	const struct rusage *used = &use->rusage;

	printf("\"cpu_ms\": %.6f, \"user_ms\": %.3f, \"system_ms\": %.3f, \"faults\": %ld, "
	       "\"peak\": %ld, \"voluntary\": %ld, \"involuntary\": %ld",
	       (double)use->cpu_ns / 1e6, to_ms(used->ru_utime), to_ms(used->ru_stime),
	       used->ru_minflt + used->ru_majflt, used->ru_maxrss * 1024, used->ru_nvcsw,
	       used->ru_nivcsw);
}

static void answer(const struct actor *actor)
{
	uint64_t iowait_ticks = read_stat_word("/proc/self/stat", 42) + actor->ended_iowait_ticks;
	uint64_t resident = read_stat_word("/proc/self/stat", 24);
	struct use own = read_use();

	printf("{\"slot\": %d, ", actor->slot);
	print_use(&own);
	printf(", \"memory\": %" PRIu64 ", \"iowait_ms\": %" PRIu64,
	       resident * (uint64_t)sysconf(_SC_PAGESIZE),
	       iowait_ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK));
	if (actor->begin.cpu_ns) {
		printf(", \"begin\": {");
		print_use(&actor->begin);
		printf("}");
	}
	if (actor->child_pid) {
		const struct rusage *used = &actor->child;
		struct use child = {
			.rusage = *used,
			.cpu_ns =
				(uint64_t)((to_ms(used->ru_utime) + to_ms(used->ru_stime)) * 1e6)};

		printf(", \"child\": {\"pid\": %d, ", actor->child_pid);
		print_use(&child);
		printf("}");
	}
	printf("}\n");
	fflush(stdout);
}

static void burn(clockid_t clock, uint64_t ms)
{
	uint64_t end_ns = read_clock(clock) + ms * NS_PER_MS;

	while (read_clock(clock) < end_ns)
		;
}

static void *burn_in_thread(void *argument)
{
	burn(CLOCK_THREAD_CPUTIME_ID, (uint64_t)(uintptr_t)argument);
	return NULL;
}

static void burn_in_threads(unsigned count, uint64_t ms)
{
	pthread_t threads[MOST_THREADS];

	if (count > MOST_THREADS)
		give_up("threads");
	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, burn_in_thread,
				   (void *)(uintptr_t)(i % 2 ? ms / 2 : ms)) != 0)
			give_up("pthread_create");
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void touch(struct actor *actor, size_t pages)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct region region = {.size = pages * page};

	if (pages == 0)
		return;
	region.memory =
		mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (region.memory == MAP_FAILED || actor->region_count == SLOTS)
		give_up("mmap");
	madvise(region.memory, region.size, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < region.size; i += page)
		region.memory[i] = 1;
	actor->regions[actor->region_count++] = region;
}

static void drop(struct actor *actor)
{
	while (actor->region_count) {
		struct region *region = &actor->regions[--actor->region_count];

		munmap(region->memory, region->size);
	}
}

static void write_through(const char *path, uint64_t ticks)
{
	cleanup_close int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT | O_SYNC | O_CLOEXEC, 0600);
	uint64_t begin_ticks = read_stat_word("/proc/thread-self/stat", 42), waited = 0;
	uint64_t begin_ns = clock_now_ns();
	void *block = NULL;

	if (fd < 0 || posix_memalign(&block, BLOCK, BLOCK) != 0)
		give_up(path);
	memset(block, 1, BLOCK);
	for (off_t i = 0;
	     waited < ticks &&
	     clock_now_ns() < begin_ns + (waited ? LONGEST_WRITE_S : LONGEST_TRY_S) * NS_PER_SEC;
	     i++) {
		if (pwrite(fd, block, BLOCK, (i % 256) * BLOCK) != BLOCK)
			give_up("write");
		waited = read_stat_word("/proc/thread-self/stat", 42) - begin_ticks;
	}
	free(block);
	unlink(path);
}

static void copy(const char *path, size_t mib)
{
	cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);
	size_t size = 1 << 20;
	void *block = NULL;

	if (fd < 0 || posix_memalign(&block, BLOCK, size) != 0)
		give_up(path);
	memset(block, 1, size);
	for (size_t i = 0; i < mib; i++)
		if (pwrite(fd, block, size, (off_t)(i * size)) != (ssize_t)size)
			give_up("write");
	for (size_t i = 0; i < mib; i++)
		if (pread(fd, block, size, (off_t)(i * size)) != (ssize_t)size)
			give_up("read");
	free(block);
	unlink(path);
}

struct writer {
	pthread_t thread;
	char path[256];
	uint64_t ticks, waited;
};

static void *write_in_thread(void *argument)
{
	struct writer *writer = argument;

	write_through(writer->path, writer->ticks);
	writer->waited = read_stat_word("/proc/thread-self/stat", 42);
	return NULL;
}

static void write_in_threads(struct actor *actor, unsigned count, const char *path, uint64_t ticks)
{
	struct writer writers[MOST_THREADS];

	if (count > MOST_THREADS)
		give_up("writers");
	for (unsigned i = 0; i < count; i++) {
		writers[i].ticks = ticks;
		snprintf(writers[i].path, sizeof(writers[i].path), "%s.%u", path, i);
		if (pthread_create(&writers[i].thread, NULL, write_in_thread, &writers[i]) != 0)
			give_up("pthread_create");
	}
	for (unsigned i = 0; i < count; i++) {
		pthread_join(writers[i].thread, NULL);
		actor->ended_iowait_ticks += writers[i].waited;
	}
}

static struct sockaddr_in to_address(const char *address, const char *port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
		give_up(address);
	return to;
}

static int keep(struct actor *actor, int fd)
{
	for (int i = 0; i < SLOTS; i++)
		if (actor->slots[i] < 0) {
			actor->slots[i] = fd;
			return i;
		}
	give_up("slots");
}

static int open_connection(const char *protocol, const char *address, const char *port)
{
	struct sockaddr_in to = to_address(address, port);
	int fd = socket(AF_INET, SOCK_CLOEXEC | (protocol[0] == 't' ? SOCK_STREAM : SOCK_DGRAM), 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		give_up("connect");
	return fd;
}

static int open_listener(const char *protocol, const char *address, const char *port)
{
	struct sockaddr_in at = to_address(address, port);
	bool is_tcp = protocol[0] == 't';
	int fd = socket(AF_INET, SOCK_CLOEXEC | (is_tcp ? SOCK_STREAM : SOCK_DGRAM), 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    (is_tcp && listen(fd, 64) < 0))
		give_up("listen");
	return fd;
}

static void transfer(int fd, bool is_send, size_t left)
{
	static char bytes[65536];

	while (left > 0) {
		size_t size = left < sizeof(bytes) ? left : sizeof(bytes);
		ssize_t done =
			is_send ? send(fd, bytes, size, MSG_NOSIGNAL) : recv(fd, bytes, size, 0);

		if (done <= 0)
			give_up(is_send ? "send" : "receive");
		left -= (size_t)done;
	}
}

/* In the order of a server that answers: it works, and closes. */
static void run_brief(struct actor *actor, char **words)
{
	int fd = open_connection("tcp", words[3], words[4]);

	actor->begin = read_use();
	burn(CLOCK_PROCESS_CPUTIME_ID, strtoull(words[1], NULL, 10));
	touch(actor, strtoul(words[2], NULL, 10));
	close(fd);
}

struct worker {
	pthread_t thread;
	size_t pages;
	uint64_t ms;
};

static void *work_in_thread(void *argument)
{
	const struct worker *worker = argument;
	struct actor own = {0};

	touch(&own, worker->pages);
	burn(CLOCK_THREAD_CPUTIME_ID, worker->ms);
	return NULL;
}

static void run_mayfly(struct actor *actor, char **words)
{
	unsigned threads = (unsigned)strtoul(words[5], NULL, 10);
	struct worker workers[MOST_THREADS];
	int status;
	pid_t pid = fork();

	if (pid < 0)
		give_up("fork");
	if (pid == 0) {
		int fd = open_connection("tcp", words[3], words[4]);

		prctl(PR_SET_NAME, "mayfly");
		for (unsigned i = 0; i < threads % MOST_THREADS; i++) {
			workers[i].ms = strtoull(words[1], NULL, 10);
			workers[i].pages = strtoul(words[2], NULL, 10);
			if (pthread_create(&workers[i].thread, NULL, work_in_thread, &workers[i]))
				_exit(1);
		}
		for (unsigned i = 0; i < threads % MOST_THREADS; i++)
			pthread_join(workers[i].thread, NULL);
		touch(actor, strtoul(words[2], NULL, 10));
		burn(CLOCK_PROCESS_CPUTIME_ID, strtoull(words[1], NULL, 10));
		close(fd);
		_exit(0);
	}
	actor->child_pid = pid;
	if (wait4(pid, &status, 0, &actor->child) != pid || status != 0)
		give_up("wait4");
}

static void obey(struct actor *actor, char **words)
{
	const char *verb = words[0];
	int *slot = &actor->slots[strtoul(words[1], NULL, 10) % SLOTS];
	uint64_t number = strtoull(words[2], NULL, 10);

	if (strcmp(verb, "connect") == 0) {
		actor->slot = keep(actor, open_connection(words[1], words[2], words[3]));
	} else if (strcmp(verb, "listen") == 0) {
		actor->slot = keep(actor, open_listener(words[1], words[2], words[3]));
	} else if (strcmp(verb, "accept") == 0) {
		actor->slot = keep(actor, accept4(*slot, NULL, NULL, SOCK_CLOEXEC));
	} else if (strcmp(verb, "send") == 0 || strcmp(verb, "receive") == 0) {
		transfer(*slot, verb[0] == 's', number);
	} else if (strcmp(verb, "close") == 0) {
		close(*slot);
		*slot = -1;
	} else if (strcmp(verb, "burn") == 0) {
		burn(CLOCK_PROCESS_CPUTIME_ID, strtoull(words[1], NULL, 10));
	} else if (strcmp(verb, "threads") == 0) {
		burn_in_threads((unsigned)strtoul(words[1], NULL, 10), number);
	} else if (strcmp(verb, "touch") == 0) {
		touch(actor, strtoul(words[1], NULL, 10));
	} else if (strcmp(verb, "drop") == 0) {
		drop(actor);
	} else if (strcmp(verb, "write") == 0) {
		write_through(words[1], number);
	} else if (strcmp(verb, "writers") == 0) {
		write_in_threads(actor, (unsigned)strtoul(words[1], NULL, 10), words[2],
				 strtoull(words[3], NULL, 10));
	} else if (strcmp(verb, "copy") == 0) {
		copy(words[1], strtoul(words[2], NULL, 10));
	} else if (strcmp(verb, "brief") == 0) {
		run_brief(actor, words);
	} else if (strcmp(verb, "mayfly") == 0) {
		run_mayfly(actor, words);
	} else if (strcmp(verb, "usage") != 0) {
		errno = EINVAL;
		give_up(verb);
	}
}

int main(int argc, char **argv)
{
	struct actor actor = {0};
	char line[512];

	if (argc > 1)
		prctl(PR_SET_NAME, argv[1]);
	for (int i = 0; i < SLOTS; i++)
		actor.slots[i] = -1;
	answer(&actor);
	while (fgets(line, sizeof(line), stdin)) {
		char none[] = "", *words[WORDS], *rest = NULL, *word = strtok_r(line, " \n", &rest);

		for (int i = 0; i < WORDS; i++) {
			words[i] = word ? word : none;
			word = word ? strtok_r(NULL, " \n", &rest) : NULL;
		}
		obey(&actor, words);
		answer(&actor);
	}
	return 0;
}
