// SPDX-License-Identifier: GPL-2.0
#include "util.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
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

uint32_t crc32(uint32_t crc, const void *data, size_t size)
{
	static uint32_t table[256];
	const uint8_t *at = data;

	for (uint32_t n = 0; n < 256 && !table[255]; n++) {
		table[n] = n;
		for (int bit = 0; bit < 8; bit++)
			table[n] = table[n] >> 1 ^ (table[n] & 1 ? 0xedb88320 : 0);
	}
	for (crc = ~crc; size--; at++)
		crc = table[(crc ^ *at) & 0xff] ^ crc >> 8;
	return ~crc;
}

int file_crc(int fd, uint32_t *crc)
{
	static char buf[65536] __attribute__((aligned(PAGE)));
	ssize_t n;
	off_t at = 0;

	*crc = 0;
	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		*crc = crc32(*crc, buf, n);
		at += n;
		if (n % 512) /* the end; a direct read may not start there */
			break;
	}
	return n < 0 ? -errno : 0;
}

int file_crc_mmap(int fd, uint32_t *crc)
{
	struct stat st;
	void *map;

	*crc = 0;
	if (fstat(fd, &st))
		return -errno;
	if (!st.st_size)
		return 0;
	map = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*crc = crc32(0, map, st.st_size);
	munmap(map, st.st_size);
	return 0;
}

int path_crc(const char *dir, const char *file, uint32_t *crc)
{
	int fd = open_read(dir, file, 0), err;

	if (fd < 0)
		return fd;
	err = file_crc(fd, crc);
	close(fd);
	return err;
}

int same_bytes(const char *dir_a, const char *file_a, const char *dir_b, const char *file_b)
{
	static char a[65536], b[65536];
	int fa = open_read(dir_a, file_a, 0), fb = open_read(dir_b, file_b, 0), err = 0;
	ssize_t n, m;

	if (fa < 0 || fb < 0) {
		err = fa < 0 ? fa : fb;
		goto out;
	}
	do {
		n = read(fa, a, sizeof(a));
		m = read(fb, b, sizeof(b));
		if (n < 0 || m < 0)
			err = -errno;
		else if (n != m || memcmp(a, b, n))
			err = -EUCLEAN;
	} while (!err && n);
out:
	if (fa >= 0)
		close(fa);
	if (fb >= 0)
		close(fb);
	return err;
}

int page_frames(int fd, size_t count, uint64_t *frames, void **mapping)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), err = 0;
	const volatile char *map = mmap(NULL, count * PAGE, PROT_READ, MAP_SHARED, fd, 0);

	if (pagemap < 0 || map == MAP_FAILED)
		return -errno;
	*mapping = (void *)map;
	/* A page may be on its way to another frame. */
	for (int tries = 0; !tries || (err == -EFAULT && tries < 5); tries++) {
		err = 0;
		for (size_t i = 0; i < count; i++)
			(void)map[i * PAGE];
		if (pread(pagemap, frames, count * 8, (uintptr_t)map / PAGE * 8) != (ssize_t)count * 8)
			err = -EIO;
		for (size_t i = 0; i < count && !err; i++) {
			/* Bit 63: present. Without the capability the number reads as 0. */
			if (!(frames[i] >> 63))
				err = -EFAULT;
			frames[i] &= (1ULL << 55) - 1;
			if (!frames[i] && !err)
				err = -EPERM;
		}
	}
	close(pagemap);
	return err;
}

int frames_shared(const char *dir_a, const char *file_a, const char *dir_b, const char *file_b, size_t count)
{
	uint64_t *a = calloc(count, 8), *b = calloc(count, 8);
	int fa = open_read(dir_a, file_a, 0), fb = open_read(dir_b, file_b, 0);
	int err = fa < 0 ? fa : fb < 0 ? fb : 0, shared = 0;
	void *map_a = NULL, *map_b = NULL;

	if (!err)
		err = page_frames(fa, count, a, &map_a);
	if (!err)
		err = page_frames(fb, count, b, &map_b);
	for (size_t i = 0; i < count; i++)
		shared += a[i] == b[i];
	if (map_a)
		munmap(map_a, count * PAGE);
	if (map_b)
		munmap(map_b, count * PAGE);
	if (fa >= 0)
		close(fa);
	if (fb >= 0)
		close(fb);
	free(a);
	free(b);
	return err ? err : shared;
}

long resident_pages(int fd)
{
	struct stat st;
	unsigned char *vec;
	long resident = 0;
	size_t pages;
	void *map;

	if (fstat(fd, &st))
		return -errno;
	pages = (st.st_size + PAGE - 1) / PAGE;
	map = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	vec = malloc(pages);
	if (map == MAP_FAILED || mincore(map, st.st_size, vec))
		return -errno;
	for (size_t i = 0; i < pages; i++)
		resident += vec[i] & 1;
	munmap(map, st.st_size);
	free(vec);
	return resident;
}

long path_resident(const char *dir, const char *file)
{
	int fd = open_read(dir, file, 0);
	long n;

	if (fd < 0)
		return fd;
	n = resident_pages(fd);
	close(fd);
	return n;
}

int drop_caches(int what)
{
	char text[4];

	snprintf(text, sizeof(text), "%d", what);
	return write_file("/proc/sys/vm/drop_caches", text);
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
