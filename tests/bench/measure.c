// SPDX-License-Identifier: GPL-2.0
/*
 * Measures one EROFS driver on two images of which many files are equal.
 *
 * Usage: measure [-r ROUNDS] LABEL OPTIONS DEVICE-A DEVICE-B FILE [METRIC]...
 *
 * Prints "LABEL METRIC VALUE" lines, all that fit uncompressed images or only those of METRICs. FILE is a path inside
 * both images, of a file that is equal in both and has some megabytes. Meant for a guest whose time is a count of
 * instructions: each figure is the median of a few rounds (whole trees: of ROUNDS), and no round prints anything.
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
#define MAX_TREE_ROUNDS 9

/* Of single blocks all over a file. */
#define RANDOM_READS 2000

static const char *label, *options;
static char **only;	/* NULL: all that fit uncompressed images */
static int tree_rounds = 3;
static char buffer[128 << 10] __attribute__((aligned(BLOCK)));

static void result(const char *metric, double value)
{
	printf("%s %s %.0f\n", label, metric, value);
}

static int named(const char *metric)
{
	for (char **name = only; *name; name++)
		if (!strcmp(*name, metric))
			return 1;
	return 0;
}

static int wanted(const char *metric)
{
	return !*only || named(metric);
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

/* In KiB: free memory, with what lies ready for the CPUs, which can be much after a large file is dropped. */
static double free_memory(void)
{
	double pages = 0, n;
	char line[128];
	FILE *f = fopen("/proc/zoneinfo", "r");

	if (!f)
		err(1, "/proc/zoneinfo");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " count: %lf", &n) == 1)
			pages += n;
	fclose(f);
	return meminfo("MemFree") + pages * BLOCK / 1024;
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
	double cold[MAX_TREE_ROUNDS], second[MAX_TREE_ROUNDS], other[MAX_TREE_ROUNDS], before, after;

	for (int i = 0; i < tree_rounds; i++) {
		drop_caches("3");
		before = meminfo("Cached");
		cold[i] = read_tree(MNT_A);
		second[i] = read_tree(MNT_A);
		other[i] = read_tree(MNT_B);
		settle();
		after = meminfo("Cached");
	}
	result("cold-read", median(cold, tree_rounds));
	result("second-read", median(second, tree_rounds));
	result("other-image-read", median(other, tree_rounds));
	result("cached", after - before);
	drop_caches("2");
	result("cached-after-reclaim", meminfo("Cached") - before);
}

/* One tree alone, from nothing: what a process waits for. */
static void cold_tree(void)
{
	double times[MAX_TREE_ROUNDS];

	for (int i = 0; i < tree_rounds; i++) {
		drop_caches("3");
		times[i] = read_tree(MNT_A);
	}
	result("cold-tree", median(times, tree_rounds));
}

static double file_bytes;

static void count_pages(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		err(1, "%s", path);
	file_bytes += (st.st_size + BLOCK - 1) / BLOCK * BLOCK;
}

/* Memory that reading a tree takes beyond the pages of its files; its inodes and names are there before. */
static void held(void)
{
	double before, taken;

	drop_caches("3");
	file_bytes = 0;
	walk(MNT_A, count_pages);
	settle();
	before = free_memory();
	read_tree(MNT_A);
	settle();
	taken = before - free_memory();
	result("taken", taken);
	result("file-pages", file_bytes / 1024);
	result("held", taken - file_bytes / 1024);
}

/* The longest regular file of a tree: random reads then meet few extents twice. */
static char longest[PATH_MAX];
static off_t longest_size;

static void find_longest(const char *path)
{
	struct stat st;

	if (!stat(path, &st) && st.st_size > longest_size) {
		longest_size = st.st_size;
		strcpy(longest, path);
	}
}

static void random_reads(void)
{
	unsigned long seed = 1;
	double start;
	int fd;

	walk(MNT_A, find_longest);
	drop_caches("3");
	fd = open_file(longest, 0);
	start = now();
	for (int i = 0; i < RANDOM_READS; i++) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		if (pread(fd, buffer, BLOCK, (seed >> 33) % (longest_size / BLOCK) * BLOCK) != BLOCK)
			err(1, "pread %s", longest);
	}
	result("random-read", (now() - start) / RANDOM_READS);
	close(fd);
}

int main(int argc, char **argv)
{
	char path[PATH_MAX];
	int fd;

	if (argc > 2 && !strcmp(argv[1], "-r")) {
		tree_rounds = atoi(argv[2]);
		argv += 2;
		argc -= 2;
	}
	if (argc < 6 || tree_rounds < 1 || tree_rounds > MAX_TREE_ROUNDS)
		errx(2, "usage: measure [-r ROUNDS] LABEL OPTIONS DEVICE-A DEVICE-B FILE [METRIC]...");
	label = argv[1];
	options = argv[2];
	only = argv + 6;
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
	if (named("cold-tree"))
		cold_tree();
	if (named("held"))
		held();
	if (named("random-read"))
		random_reads();
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
