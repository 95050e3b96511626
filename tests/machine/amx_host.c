/* Plays a host whose processor has AMX: a library to be loaded before libc, below labkit's own (LD_PRELOAD).
 *
 * There ptrace(2) gives a process's extended state (NT_X86_XSTATE) in 11,008 bytes, as far as the buffer reaches, and
 * takes back the whole state only. Here what this processor does not have is given as zeros, and the rest is left
 * to the real ptrace. What comes back behind AVX-512 has to be zero, as a processor with AMX would keep it.
 * While the file named by AMX_FORGETS is there, the vector registers of each state that comes back are lost.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WHOLE = 11008, BEFORE_TILES = 2752, XSTATE_BV = 512, VECTORS = 0xe4 }; /* AVX and the three of AVX-512 */

static long get(long (*next)(int, ...), pid_t pid, void *addr, struct iovec *wanted)
{
	size_t room = wanted->iov_len < WHOLE ? wanted->iov_len : WHOLE;
	long result = next(PTRACE_GETREGSET, pid, addr, wanted);

	if (result == 0 && wanted->iov_len < room) {
		memset((char *)wanted->iov_base + wanted->iov_len, 0, room - wanted->iov_len);
		wanted->iov_len = room;
	}
	return result;
}

static long set(long (*next)(int, ...), pid_t pid, void *addr, struct iovec *given)
{
	char *bytes = given->iov_base;
	const char *forgets = getenv("AMX_FORGETS");

	if (given->iov_len < WHOLE) {
		errno = EFAULT;
		return -1;
	}
	for (int i = BEFORE_TILES; i < WHOLE; i++)
		if (bytes[i])
			abort();
	if (forgets && access(forgets, F_OK) == 0)
		bytes[XSTATE_BV] &= ~VECTORS; /* the components that are not in their first state */
	return next(PTRACE_SETREGSET, pid, addr, given); /* takes as many bytes as this host's state has */
}

long ptrace(enum __ptrace_request request, ...)
{
	long (*next)(int, ...) = dlsym(RTLD_NEXT, "ptrace");
	va_list arguments;

	va_start(arguments, request);
	pid_t pid = va_arg(arguments, pid_t);
	void *addr = va_arg(arguments, void *), *data = va_arg(arguments, void *);
	va_end(arguments);

	if ((long)addr == NT_X86_XSTATE && request == PTRACE_GETREGSET)
		return get(next, pid, addr, data);
	if ((long)addr == NT_X86_XSTATE && request == PTRACE_SETREGSET)
		return set(next, pid, addr, data);
	return next(request, pid, addr, data);
}
