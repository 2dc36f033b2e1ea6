/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A process of its own that plays a part in a test: it runs steps when told, one at a time, and
 * gives an answer to each. It dies with the test program. All functions end the test program with a
 * message where a system call fails or an answer does not come within ten seconds. */

#include <stdint.h>
#include <sys/types.h>

struct actor {
	pid_t pid;
	int control; /* stream socket to it */
};

/* What an actor does when told: run in its process, with the number given to actor_tell(). The
 * result goes back. */
typedef int64_t (*actor_step)(int64_t argument);

struct actor actor_start(void);
/* Runs the step there and waits for its result. */
int64_t actor_tell(const struct actor *actor, actor_step step, int64_t argument);
/* The same for a step that never returns (exec): does not wait. */
void actor_release(const struct actor *actor, actor_step step, int64_t argument);
/* Lets the actor make a child of its own by fork(2), with all its descriptors; and returns it, as
 * an actor of the test too. */
struct actor actor_fork(const struct actor *actor);
/* Ends it and waits until it is gone (an actor's child: until its number is). */
void actor_stop(struct actor *actor);
