/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Numbered cases that print KTAP. A case is a function; CHECK* leave it with a
 * reason. Each case runs in a child with a deadline, so that one that hangs or
 * crashes is one failure, and none inherits another's sockets.
 */
#ifndef KTAP_H
#define KTAP_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CASE_LIMIT_S	30

struct ktap_case {
	const char *name;
	void (*run)(void);
};

#define FAIL(...) do {							\
	printf("    # %s:%d: ", __func__, __LINE__);			\
	printf(__VA_ARGS__);						\
	printf("\n");							\
	fflush(stdout);							\
	_exit(1);							\
} while (0)

#define CHECK(what) do {						\
	if (!(what))							\
		FAIL("%s (errno %s)", #what, strerrorname_np(errno));	\
} while (0)

#define CHECK_EQ(a, b) do {						\
	long long a_ = (long long)(a), b_ = (long long)(b);		\
	if (a_ != b_)							\
		FAIL("%s is %lld, not %lld (errno %s)", #a, a_, b_,	\
		     strerrorname_np(errno));				\
} while (0)

/* The call must fail with this errno. */
#define CHECK_ERR(call, want) do {					\
	errno = 0;							\
	long long got_ = (long long)(call);				\
	if (got_ != -1)							\
		FAIL("%s gave %lld, not %s", #call, got_, #want);	\
	if (errno != (want))						\
		FAIL("%s: %s, not %s", #call, strerrorname_np(errno), #want); \
} while (0)

static inline int ktap_main(const struct ktap_case *cases, int count)
{
	int failed = 0;

	printf("  KTAP version 1\n  1..%d\n", count);
	for (int i = 0; i < count; i++) {
		int status;
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (pid < 0)
			return 1;
		if (pid == 0) {
			alarm(CASE_LIMIT_S);
			cases[i].run();
			fflush(stdout);
			_exit(0);
		}
		if (waitpid(pid, &status, 0) != pid)
			return 1;
		if (WIFSIGNALED(status))
			printf("    # ended by %s\n",
			       WTERMSIG(status) == SIGALRM ? "its deadline" :
			       strsignal(WTERMSIG(status)));
		failed += status != 0;
		printf("  %sok %d %s\n", status ? "not " : "", i + 1,
		       cases[i].name);
	}
	fflush(stdout);
	return failed != 0;
}

#endif /* KTAP_H */
