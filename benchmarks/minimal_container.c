/* The least that a container is made of, in C: what labkit.isolation.container is compared with.
 *
 *     minimal_container NAME LOWERDIRS PROGRAM [ARGUMENT ...]
 *
 * Control groups NAME by mkdir (version 1: in each hierarchy), a first process in new mount, PID, UTS, IPC and network
 * namespaces by clone3, an overlay of LOWERDIRS under a tmpfs, pivot_root, lo switched on, execve. Its exit status is
 * the program's. No /proc, no /dev, no capabilities dropped.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOP "/sys/fs/cgroup"

static char groups[32][256];
static int count, is_version_2;

static void fail(const char *what)
{
	perror(what);
	_exit(125);
}

static void write_file(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);
	if (file < 0 || write(file, text, strlen(text)) < 0)
		fail(path);
	close(file);
}

static void copy_knob(const char *group, const char *top, const char *knob)
{
	char path[512], text[4096];
	snprintf(path, sizeof path, "%s/%s", top, knob);
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = read(file, text, sizeof text - 1);
	if (file < 0 || size < 0)
		fail(path);
	close(file);
	text[size] = 0;
	snprintf(path, sizeof path, "%s/%s", group, knob);
	write_file(path, text);
}

static void make_groups(const char *name)
{
	is_version_2 = access(TOP "/cgroup.controllers", F_OK) == 0;
	if (is_version_2) {
		snprintf(groups[count++], sizeof groups[0], TOP "/%s", name);
	} else {
		DIR *top = opendir(TOP);
		for (struct dirent *entry; top && (entry = readdir(top));) {
			if (entry->d_name[0] == '.' || entry->d_type != DT_DIR || !strcmp(entry->d_name, "unified"))
				continue;
			snprintf(groups[count++], sizeof groups[0], TOP "/%s/%s", entry->d_name, name);
		}
		closedir(top);
	}
	for (int i = 0; i < count; i++)
		if (mkdir(groups[i], 0755))
			fail(groups[i]);
	for (int i = 0; i < count; i++)
		if (strstr(groups[i], "/cpuset/")) {
			copy_knob(groups[i], TOP "/cpuset", "cpuset.cpus");
			copy_knob(groups[i], TOP "/cpuset", "cpuset.mems");
		}
}

static void become(const char *lower, char **arguments)
{
	char options[8192];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < count && !is_version_2; i++) {
		char path[512];
		snprintf(path, sizeof path, "%s/tasks", groups[i]);
		write_file(path, "0");
	}
	if (mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("tmpfs", "/run", "tmpfs", 0, "mode=755"))
		fail("tmpfs");
	mkdir("/run/diff", 0755);
	mkdir("/run/work", 0755);
	mkdir("/run/merged", 0755);
	snprintf(options, sizeof options, "lowerdir=%s,upperdir=/run/diff,workdir=/run/work", lower);
	if (mount("overlay", "/run/merged", "overlay", 0, options) || chdir("/run/merged"))
		fail("overlay");
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		fail("pivot_root");
	if (sethostname("minimal", 7))
		fail("sethostname");
	struct ifreq request = {.ifr_name = "lo"};
	int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ioctl(any, SIOCGIFFLAGS, &request);
	request.ifr_flags |= IFF_UP;
	if (ioctl(any, SIOCSIFFLAGS, &request))
		fail("lo");
	char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	execvpe(arguments[0], arguments, environment);
	fail(arguments[0]);
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	make_groups(argv[1]);
	struct clone_args arguments = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET,
		.exit_signal = SIGCHLD,
	};
	if (is_version_2) {
		arguments.flags |= CLONE_INTO_CGROUP;
		arguments.cgroup = open(groups[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	pid_t pid = syscall(SYS_clone3, &arguments, sizeof arguments);
	if (pid == 0)
		become(argv[2], argv + 3);
	if (pid < 0)
		fail("clone3");
	int status;
	waitpid(pid, &status, 0);
	for (int i = 0; i < count; i++)
		while (rmdir(groups[i]) && errno == EBUSY)
			usleep(100);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
