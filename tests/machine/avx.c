/* Does each of many processes and threads that run at the same time keep its vector registers?
 *
 * avx SECONDS: each of 4 processes with 2 threads fills all vector registers with values of its own. In one piece
 * of assembly, which leaves them alone, it makes system calls, touches pages that are not there, and computes for a
 * while; then it compares the registers. Prints "avx512 ROUNDS" or "avx ROUNDS", or what was lost, and exits with 1.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES = 4, THREADS = 2, PAGES = 16, PAGE = 4096, SPINS = 200000 };

struct registers {
	_Alignas(64) unsigned char vector[32][64];
};

static int seconds;

/* 16 registers of 32 bytes: AVX. */
#define EACH_16(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14) f(15)
#define EACH_32(f) EACH_16(f) f(16) f(17) f(18) f(19) f(20) f(21) f(22) f(23) f(24) f(25) f(26) f(27) f(28) f(29) f(30) f(31)
#define LOAD_Y(n) "vmovdqa " #n "*64(%[in]), %%ymm" #n "\n"
#define STORE_Y(n) "vmovdqa %%ymm" #n ", " #n "*64(%[out])\n"
#define LOAD_Z(n) "vmovdqa64 " #n "*64(%[in]), %%zmm" #n "\n"
#define STORE_Z(n) "vmovdqa64 %%zmm" #n ", " #n "*64(%[out])\n"
#define CLOBBER(n) , "xmm" #n

/* sched_yield(2), a fault on each page, and turns of a loop, in which the timer comes. */
#define DISTURB \
	"mov %[yield], %%eax\n syscall\n" \
	"mov %[pages], %%rdi\n mov %[count], %%esi\n" \
	"1: movb $1, (%%rdi)\n add %[page], %%rdi\n dec %%esi\n jnz 1b\n" \
	"mov %[spins], %%esi\n" \
	"2: dec %%esi\n jnz 2b\n" \
	"mov %[yield], %%eax\n syscall\n"
#define OPERANDS(in, out, pages) \
	: : [in] "r"(in), [out] "r"(out), [pages] "r"(pages), [yield] "i"(SYS_sched_yield), [count] "i"(PAGES), \
	[page] "i"(PAGE), [spins] "i"(SPINS) : "rax", "rcx", "r11", "rdi", "rsi", "memory", "cc"

__attribute__((target("avx"))) static void run_avx(void *in, void *out, void *pages)
{
	asm volatile(EACH_16(LOAD_Y) DISTURB EACH_16(STORE_Y) OPERANDS(in, out, pages) EACH_16(CLOBBER));
}

__attribute__((target("avx512f"))) static void run_avx512(void *in, void *out, void *pages)
{
	asm volatile(EACH_32(LOAD_Z) DISTURB EACH_32(STORE_Z) OPERANDS(in, out, pages) EACH_32(CLOBBER));
}

/* Returns the number of rounds, 0 when a register was lost. */
static void *keep(void *name)
{
	int has_512 = __builtin_cpu_supports("avx512f");
	struct registers before = { 0 }, after;
	char *pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned seed = (unsigned)getpid() * 7 + (unsigned)(long)name;
	time_t end = time(NULL) + seconds;
	long rounds = 0;

	do {
		for (int n = 0; n < (has_512 ? 32 : 16); n++)
			for (int i = 0; i < (has_512 ? 64 : 32); i++)
				before.vector[n][i] = (unsigned char)rand_r(&seed);
		memset(after.vector, 0, sizeof after.vector);
		madvise(pages, PAGES * PAGE, MADV_DONTNEED);
		(has_512 ? run_avx512 : run_avx)(&before, &after, pages);
		if (memcmp(&before, &after, sizeof before)) {
			printf("a register was lost in round %ld\n", rounds);
			return NULL;
		}
		rounds++;
	} while (time(NULL) < end);
	return (void *)rounds;
}

static int keep_in_threads(void)
{
	pthread_t threads[THREADS];
	void *rounds;
	long all = 0;

	for (long n = 0; n < THREADS; n++)
		pthread_create(&threads[n], NULL, keep, (void *)n);
	for (int n = 0; n < THREADS; n++) {
		pthread_join(threads[n], &rounds);
		if (!rounds)
			return 1;
		all += (long)rounds;
	}
	printf("%s %ld\n", __builtin_cpu_supports("avx512f") ? "avx512" : "avx", all);
	return 0;
}

int main(int count, char **words)
{
	int status, failed = 0;

	seconds = count > 1 ? atoi(words[1]) : 3;
	for (int n = 0; n < PROCESSES; n++)
		if (fork() == 0)
			exit(keep_in_threads());
	while (wait(&status) > 0)
		failed |= status != 0;
	return failed;
}
