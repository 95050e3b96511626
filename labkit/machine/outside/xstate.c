/* How does a User-Mode Linux older than 6.13 boot on a processor with AMX?
 *
 * Such a kernel keeps 2,696 bytes of each process's extended state (the x87, SSE, AVX and AVX-512 registers): its
 * HOST_FP_SIZE. It takes them from the host when a process stops, and gives them back before the process goes on:
 * ptrace(2), PTRACE_GETREGSET and PTRACE_SETREGSET with NT_X86_XSTATE.
 *
 * The host gives as many bytes as the buffer holds. It takes back nothing but the whole state, and else fails with
 * EFAULT: xstateregs_set() in arch/x86/kernel/fpu/regset.c. With AMX the whole state is 11,008 bytes, so that the
 * kernel fails in put_fp_registers() and aborts. Linux 6.13 asks the host for the size.
 *
 * This library is loaded before libc (LD_PRELOAD of ld.so(8)). It makes a set that is too short whole: it appends
 * zeros, the state in which every register begins. They are right because no process of such a kernel can change the
 * registers behind the first 2,696 bytes, AMX's tiles: a process has to ask for AMX with arch_prctl(2), this
 * request goes to the User-Mode Linux kernel, which refuses it, and execve(2) took any permission that was inherited.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

static long (*next)(enum __ptrace_request, pid_t, void *, void *);

/* One buffer is enough: one processor, and a kernel without preemption, which calls this from no interrupt. What
 * lies behind a set is never written, but for the first question, so that it stays zero. */
static char whole[1 << 16];
static size_t whole_size;

__attribute__((constructor)) static void find_next(void)
{
	next = dlsym(RTLD_NEXT, "ptrace");
}

/* The size of the whole state on this host, asked of a stopped process; 0 when the host does not answer. */
static size_t ask_size(pid_t pid)
{
	struct iovec all = { whole, sizeof whole };
	long failed = next(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &all);

	memset(whole, 0, sizeof whole);
	return failed ? 0 : all.iov_len;
}

/* As libc's own, this reads four arguments; a caller that gave fewer uses a request that has no need of them. */
long ptrace(enum __ptrace_request request, ...)
{
	va_list arguments;

	va_start(arguments, request);
	pid_t pid = va_arg(arguments, pid_t);
	void *addr = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);
	va_end(arguments);

	if (request != PTRACE_SETREGSET || (long)addr != NT_X86_XSTATE)
		return next(request, pid, addr, data);

	int before = errno;
	if (whole_size == 0)
		whole_size = ask_size(pid);
	errno = before;

	struct iovec *given = data;
	if (given->iov_len >= whole_size || given->iov_len > sizeof whole)
		return next(request, pid, addr, data);
	memcpy(whole, given->iov_base, given->iov_len);
	struct iovec all = { whole, whole_size };
	return next(request, pid, addr, &all);
}
