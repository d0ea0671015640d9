// SPDX-License-Identifier: GPL-2.0
#include "selinux.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* What checkpolicy made of selinux.conf. */
__asm__(".pushsection .rodata\n"
	"selinux_policy: .incbin \"" SELINUX_POLICY "\"\n"
	"selinux_policy_end:\n"
	".popsection");
extern const char selinux_policy[], selinux_policy_end[];

#define FOLDER "/sys/fs/selinux"
#define CURRENT "/proc/self/attr/current"

static int load_policy(void)
{
	size_t size = selinux_policy_end - selinux_policy;
	int fd = open(FOLDER "/load", O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, selinux_policy, size) != (ssize_t)size)
		err = -errno;
	close(fd);
	return err;
}

int selinux_enforce(void)
{
	char current[256];
	int err = 0;

	if (access(FOLDER, F_OK) || read_file(CURRENT, current, sizeof(current)) < 0)
		return -EOPNOTSUPP;
	if (access(FOLDER "/load", F_OK) && mount("selinuxfs", FOLDER, "selinuxfs", 0, NULL))
		return -errno;
	/* What everybody is before there is a policy, or under this one. */
	if (!strcmp(current, "kernel"))
		err = load_policy();
	else if (strcmp(current, "u:r:unconfined_t"))
		err = -EBUSY;
	if (!err)
		err = write_file(FOLDER "/enforce", "1");
	/* Each denial counts. */
	return err ? err : write_file("/proc/sys/kernel/printk_ratelimit", "0");
}

struct call {
	int (*fn)(const void *arg);
	const void *arg;
};

static int confine_and_call(const void *arg)
{
	const struct call *call = arg;

	if (write_file(CURRENT, "u:r:confined_t"))
		return 201;
	return call->fn(call->arg);
}

int confined(int (*fn)(const void *arg), const void *arg)
{
	const struct call call = { fn, arg };

	return wait_child(spawn(confine_and_call, &call), 30);
}

int denial_of(const char *dir, const char *file, char *text, size_t size)
{
	char path[256], dev[DEV_LEN];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (stat(path, &st) || sb_name(dir, dev))
		return -ENOENT;
	snprintf(text, size, " name=\"%s\" dev=\"%s\" ino=%llu scontext=u:r:confined_t tcontext=" LABEL("secret")
		 " tclass=file permissive=0", file, dev, (unsigned long long)st.st_ino);
	return 0;
}

int denials(int klog, const char *text)
{
	char *record;
	int count = 0;

	for (int i = 0; i < 1000; i++) {
		while ((record = klog_next(klog))) {
			if (!strstr(record, "avc:  denied"))
				continue;
			count++;
			if (strstr(record, text))
				return count;
		}
		usleep(10000);
	}
	return -ETIMEDOUT;
}

int try_read(const void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint32_t crc;

	return fd < 0 ? errno : -file_crc(fd, &crc);
}

static int map(const char *path, int prot)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const volatile char *at;

	if (fd < 0)
		return errno;
	at = mmap(NULL, PAGE, prot, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return errno;
	(void)*at;
	return 0;
}

int try_map(const void *path)
{
	return map(path, PROT_READ);
}

int try_map_code(const void *path)
{
	return map(path, PROT_READ | PROT_EXEC);
}

int try_run(const void *path)
{
	execl(path, "program", NULL);
	return errno;
}

int try_reopen(const void *path)
{
	char again[64];
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return 202;
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	return try_read(again);
}

int try_handle(const void *path)
{
	struct {
		struct file_handle head;
		char bytes[MAX_HANDLE_SZ];
	} handle = { .head.handle_bytes = MAX_HANDLE_SZ };
	char dir[512];
	int mount, id;

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - (const char *)path), (const char *)path);
	mount = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mount < 0 || name_to_handle_at(AT_FDCWD, path, &handle.head, &id, 0))
		return 202;
	return open_by_handle_at(mount, &handle.head, O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
}
