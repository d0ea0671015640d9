// SPDX-License-Identifier: GPL-2.0
/*
 * Measures one EROFS driver on two images of which many files are equal.
 *
 * Usage: measure LABEL OPTIONS DEVICE-A DEVICE-B FILE [METRIC]
 *
 * Prints "LABEL METRIC VALUE" lines, all or only those of METRIC. FILE is a path inside both images, of a file
 * that is equal in both and has some megabytes. Meant for a guest whose time is a count of instructions: each figure is the median of a
 * few rounds, and no round prints anything.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MNT_A "/mnt/a"
#define MNT_B "/mnt/b"
#define BLOCK 4096
/* What one fault maps around itself by default: the next one is only due beyond it. */
#define FAULT_AROUND (64 << 10)
/* Short rounds, most of which no timer interrupts, and enough of them. */
#define REPEAT 100
#define ROUNDS 25
#define TREE_ROUNDS 9

static const char *label, *options, *only;
static char buffer[128 << 10] __attribute__((aligned(BLOCK)));

static void result(const char *metric, double value)
{
	printf("%s %s %.0f\n", label, metric, value);
}

static int wanted(const char *metric)
{
	return !only || !strcmp(only, metric);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return (d > 0) - (d < 0);
}

static double median(double *values, int n)
{
	qsort(values, n, sizeof(*values), by_value);
	return values[n / 2];
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		err(1, "%s", path);
	close(fd);
}

/* Freed inodes and slabs come back only after a grace period. */
static void settle(void)
{
	usleep(200000);
	write_file("/proc/sys/vm/stat_refresh", "1");
}

static void drop_caches(const char *what)
{
	write_file("/proc/sys/vm/drop_caches", what);
	settle();
	write_file("/proc/sys/vm/drop_caches", what);
	settle();
}

/* In KiB. */
static double meminfo(const char *name)
{
	double value = -1;
	char line[128];
	size_t n = strlen(name);
	FILE *f = fopen("/proc/meminfo", "r");

	if (!f)
		err(1, "/proc/meminfo");
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, n) && line[n] == ':')
			value = atof(line + n + 1);
	fclose(f);
	if (value < 0)
		errx(1, "no %s in /proc/meminfo", name);
	return value;
}

static void mount_image(const char *device, const char *dir)
{
	if (mount(device, dir, "erofs", MS_RDONLY, options))
		err(1, "mount -o %s %s", options, device);
}

/* The C driver drops a shared file's second struct file late: EBUSY for a moment after the last close. */
static void umount_image(const char *dir)
{
	for (int tries = 0; umount2(dir, 0); tries++) {
		if (errno != EBUSY || tries == 100)
			err(1, "umount %s", dir);
		usleep(10000);
	}
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, O_RDONLY | flags);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

/* Calls visit(path) for each regular file below; returns how many entries there are. */
static long walk(const char *dir, void (*visit)(const char *path))
{
	struct dirent *entry;
	char path[PATH_MAX];
	struct stat st;
	long n = 0;
	DIR *d = opendir(dir);

	if (!d)
		err(1, "%s", dir);
	while ((entry = readdir(d))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (lstat(path, &st))
			err(1, "%s", path);
		n++;
		if (S_ISDIR(st.st_mode))
			n += walk(path, visit);
		else if (visit && S_ISREG(st.st_mode))
			visit(path);
	}
	closedir(d);
	return n;
}

static void read_file(const char *path)
{
	int fd = open_file(path, 0);
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		;
	if (n < 0)
		err(1, "%s", path);
	close(fd);
}

static double read_tree(const char *dir)
{
	double start = now();

	walk(dir, read_file);
	return now() - start;
}

/* --- One operation on a warm cache: each returns ns per operation --- */

static double open_close(const char *path)
{
	double start = now();

	for (int i = 0; i < REPEAT; i++)
		close(open_file(path, 0));
	return (now() - start) / REPEAT;
}

static double hot_stat(const char *path)
{
	struct stat st;
	double start = now();

	for (int i = 0; i < REPEAT; i++)
		if (stat(path, &st))
			err(1, "%s", path);
	return (now() - start) / REPEAT;
}

static double pread_blocks(const char *path, int flags)
{
	int fd = open_file(path, flags);
	double start = now();

	for (int i = 0; i < REPEAT; i++)
		if (pread(fd, buffer, BLOCK, (off_t)i * BLOCK) != BLOCK)
			err(1, "pread %s", path);
	start = (now() - start) / REPEAT;
	close(fd);
	return start;
}

static double hot_pread(const char *path) { return pread_blocks(path, 0); }
static double direct_pread(const char *path) { return pread_blocks(path, O_DIRECT); }

static double hot_fault(const char *path)
{
	int fd = open_file(path, 0), faults = 0;
	size_t size = lseek(fd, 0, SEEK_END);
	volatile char *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	double start;

	if (map == MAP_FAILED)
		err(1, "mmap %s", path);
	start = now();
	for (size_t at = 0; at < size; at += FAULT_AROUND, faults++)
		(void)map[at];
	start = (now() - start) / faults;
	munmap((void *)map, size);
	close(fd);
	return start;
}

static double mount_umount(const char *device)
{
	double start = now();

	mount_image(device, MNT_A);
	umount_image(MNT_A);
	return now() - start;
}

static void repeated(const char *metric, double (*once)(const char *), const char *path)
{
	double times[ROUNDS];

	if (!wanted(metric))
		return;
	once(path); /* What the first one brings into the caches is not measured. */
	for (int i = 0; i < ROUNDS; i++)
		times[i] = once(path);
	result(metric, median(times, ROUNDS));
}

/* --- Whole trees --- */

static void cold_walk(void)
{
	double times[TREE_ROUNDS], slabs[TREE_ROUNDS];

	for (int i = 0; i < TREE_ROUNDS; i++) {
		double slab, start;
		long n;

		drop_caches("3");
		slab = meminfo("Slab");
		start = now();
		n = walk(MNT_A, NULL);
		times[i] = (now() - start) / n;
		settle();
		slabs[i] = meminfo("Slab") - slab;
	}
	result("cold-walk", median(times, TREE_ROUNDS));
	result("walk-slab", median(slabs, TREE_ROUNDS));
}

static void trees(void)
{
	double cold[3], second[3], other[3], before, after;

	for (int i = 0; i < 3; i++) {
		drop_caches("3");
		before = meminfo("Cached");
		cold[i] = read_tree(MNT_A);
		second[i] = read_tree(MNT_A);
		other[i] = read_tree(MNT_B);
		settle();
		after = meminfo("Cached");
	}
	result("cold-read", median(cold, 3));
	result("second-read", median(second, 3));
	result("other-image-read", median(other, 3));
	result("cached", after - before);
	drop_caches("2");
	result("cached-after-reclaim", meminfo("Cached") - before);
}

int main(int argc, char **argv)
{
	char path[PATH_MAX];
	int fd;

	if (argc != 6 && argc != 7)
		errx(2, "usage: measure LABEL OPTIONS DEVICE-A DEVICE-B FILE [METRIC]");
	label = argv[1];
	options = argv[2];
	only = argv[6];
	mkdir(MNT_A, 0755);
	mkdir(MNT_B, 0755);
	snprintf(path, sizeof(path), MNT_A "/%s", argv[5]);

	drop_caches("3");
	repeated("mount-umount", mount_umount, argv[3]);
	mount_image(argv[3], MNT_A);
	mount_image(argv[4], MNT_B);
	if (wanted("cold-walk"))
		cold_walk();
	if (wanted("cold-read"))
		trees();
	/* Folios as reading in order makes them, whatever the steps before left behind. */
	drop_caches("3");
	read_file(path);
	repeated("open-close", open_close, path);
	repeated("hot-stat", hot_stat, path);
	repeated("hot-pread", hot_pread, path);
	repeated("hot-fault", hot_fault, path);
	/* The C driver refuses O_DIRECT on shared files: no figure then. */
	fd = open(path, O_RDONLY | O_DIRECT);
	if (fd >= 0) {
		close(fd);
		repeated("direct-read", direct_pread, path);
	}
	umount_image(MNT_B);
	umount_image(MNT_A);
	return 0;
}
