/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The system calls that the daemon and the libraries of its exporters make once all is open; the list is in
 * system_calls.c, by what they are for. What is not on it fails with EPERM; built with -Dseccomp_kill=true,
 * as the tests do, it ends the process, so that the tests prove the list. */

/* For all threads, for good. Asks for no_new_privs or CAP_SYS_ADMIN. 0, also where libseccomp is not built
 * in (told at level info); or a negative errno. */
int system_calls_restrict(void);
