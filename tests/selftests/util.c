// SPDX-License-Identifier: GPL-2.0
#include "util.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

int private_mounts(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	return mount("tmpfs", "/mnt", "tmpfs", 0, NULL) ? -errno : 0;
}

const char *image_path(const char *image)
{
	static char path[512];
	const char *folder = getenv("EROFS_IMAGES");

	snprintf(path, sizeof(path), "%s/%s.img", folder ? folder : "/images", image);
	return path;
}

int mount_at(const char *dev, const char *dir, const char *options)
{
	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	return mount(dev, dir, "erofs", MS_RDONLY, options) ? -errno : 0;
}

int mount_image(const char *image, const char *dir, const char *options)
{
	char dev[DEV_LEN];
	int fd = attach_image(image, dev), err;

	if (fd < 0)
		return fd;
	err = mount_at(dev, dir, options);
	close(fd);
	return err;
}

int mount_file(const char *image, const char *dir, const char *options)
{
	return mount_at(image_path(image), dir, options);
}

int mount_devices(const char *image, int count, bool of_file, const char *dir, const char *options)
{
	char text[1024], name[64], dev[DEV_LEN];
	int fds[4], err = 0, n;

	snprintf(text, sizeof(text), "%s", options ? options : "user_xattr");
	for (n = 0; n < count && !err; n++) {
		size_t at = strlen(text);

		snprintf(name, sizeof(name), "%s-%d", image, n + 1);
		fds[n] = of_file ? open("/", O_RDONLY | O_CLOEXEC) : attach_image(name, dev);
		if (fds[n] < 0)
			return fds[n];
		snprintf(text + at, sizeof(text) - at, ",device=%s", of_file ? image_path(name) : dev);
	}
	err = of_file ? mount_file(image, dir, text) : mount_image(image, dir, text);
	while (n--)
		close(fds[n]);
	return err;
}

int copy_image(const char *image, const char *path)
{
	static char buf[65536];
	int from = open(image_path(image), O_RDONLY | O_CLOEXEC);
	int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t n = -1;

	while (from >= 0 && to >= 0 && (n = read(from, buf, sizeof(buf))) > 0)
		if (write(to, buf, n) != n)
			n = -1;
	close(from);
	close(to);
	return n ? -EIO : 0;
}

int umount_at(const char *dir)
{
	return umount2(dir, 0) ? -errno : 0;
}

int remount_at(const char *dir, const char *options)
{
	return mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY, options) ? -errno : 0;
}

const char *shown_options(const char *dir)
{
	static char line[4096];
	char point[512], *options = NULL;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	while (f && fgets(line, sizeof(line), f)) {
		char *rest = strstr(line, " - ");

		if (sscanf(line, "%*s %*s %*s %*s %511s", point) != 1 || strcmp(point, dir) || !rest)
			continue;
		options = strrchr(rest, ' ') + 1;
		options[strcspn(options, "\n")] = 0;
		break;
	}
	if (f)
		fclose(f);
	return options;
}

bool option_shown(const char *dir, const char *option)
{
	const char *at = shown_options(dir);
	size_t size = strlen(option);

	for (; at && *at; at += strcspn(at, ","), at += *at == ',')
		if (!strncmp(at, option, size) && (at[size] == ',' || !at[size]))
			return true;
	return false;
}

int sb_name(const char *dir, char name[DEV_LEN])
{
	char path[64], link[256];
	struct stat st;
	ssize_t n;

	if (stat(dir, &st))
		return -errno;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0 && errno == ENOENT) {
		snprintf(name, DEV_LEN, "%u:%u", major(st.st_dev), minor(st.st_dev));
		return 0;
	}
	if (n < 0)
		return -errno;
	link[n] = 0;
	snprintf(name, DEV_LEN, "%s", strrchr(link, '/') + 1);
	return 0;
}

int open_read(const char *dir, const char *file, int flags)
{
	char path[1024];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC | flags);
	return fd < 0 ? -errno : fd;
}

int klog_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	lseek(fd, 0, SEEK_END);
	return fd;
}

char *klog_next(int fd)
{
	static char record[8192];
	ssize_t n;
	char *text;

	do
		n = read(fd, record, sizeof(record) - 1);
	while (n < 0 && errno == EPIPE);
	if (n <= 0)
		return NULL;
	record[n] = 0;
	text = strchr(record, ';');
	if (!text)
		return NULL;
	text[1 + strcspn(text + 1, "\n")] = 0;
	return text + 1;
}

int klog_erofs(int fd, char *line, size_t size)
{
	int count = 0;
	char *text;

	while ((text = klog_next(fd)))
		if (!strncmp(text, "erofs", 5)) {
			count++;
			snprintf(line, size, "%s", text);
		}
	return count;
}

bool klog_contains(int fd, const char *needle)
{
	bool found = false;
	char *text;

	while ((text = klog_next(fd)))
		found |= strstr(text, needle) != NULL;
	return found;
}

int write_image(const char *image, const char *dev)
{
	int from = open(image_path(image), O_RDONLY | O_CLOEXEC), to = open(dev, O_WRONLY | O_CLOEXEC), err = 0;
	static char buf[MIB];
	ssize_t n = 0;

	if (from < 0 || to < 0)
		err = -errno;
	while (!err && (n = read(from, buf, sizeof(buf))) > 0)
		err = write(to, buf, n) == n ? 0 : -EIO;
	if (!err && (n < 0 || fsync(to)))
		err = -errno;
	close(from);
	close(to);
	return err;
}

int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = -errno;
	if (fd >= 0)
		close(fd);
	return err;
}

int read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n, total = 0;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, buf + total, size - 1 - total)) > 0)
		total += n;
	if (n < 0)
		total = -errno;
	buf[total > 0 ? total : 0] = 0;
	close(fd);
	return total;
}

long read_number(const char *path)
{
	char buf[64];
	int n = read_file(path, buf, sizeof(buf));

	return n < 0 ? n : atol(buf);
}

int count_in_file(const char *path, const char *text)
{
	size_t size = 1 << 20;
	char *buf = malloc(size), *at = buf;
	int n = read_file(path, buf, size), count = 0;

	if (n < 0)
		count = n;
	else
		while ((at = memmem(at, n - (at - buf), text, strlen(text)))) {
			count++;
			at++;
		}
	free(buf);
	return count;
}

bool driver_is_c(void)
{
	const char *driver = getenv("EROFS_DRIVER");

	return driver && !strcmp(driver, "c");
}

bool quick(void)
{
	const char *value = getenv("EROFS_QUICK");

	return value && *value;
}

bool alone(void)
{
	return getenv("EROFS_ALONE");
}

pid_t spawn(int (*fn)(const void *arg), const void *arg)
{
	pid_t pid = fork();

	if (!pid)
		_exit(fn(arg));
	return pid;
}

int wait_child(pid_t pid, int seconds)
{
	int status;

	for (int i = 0; i <= seconds * 100; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
		usleep(10000);
	}
	return -ETIMEDOUT;
}

long device_reads(const char *dev)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/%s/stat", strrchr(dev, '/') + 1);
	return read_number(path);
}

struct opening {
	const char *path;
	uid_t id;
};

static int try_open(const void *arg)
{
	const struct opening *this = arg;

	if (setgroups(0, NULL) || setgid(this->id) || setuid(this->id))
		return 200;
	return open(this->path, O_RDONLY) < 0 ? errno : 0;
}

int open_as(uid_t id, const char *path)
{
	const struct opening this = { path, id };

	return wait_child(spawn(try_open, &this), 20);
}

int output_of(const char *command, char *out, size_t size)
{
	FILE *pipe = popen(command, "r");
	size_t used;
	int status;

	if (!pipe)
		return -errno;
	used = fread(out, 1, size - 1, pipe);
	out[used] = 0;
	while (fgetc(pipe) != EOF)
		;
	status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}
