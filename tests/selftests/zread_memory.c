// SPDX-License-Identifier: GPL-2.0
/* What compressed files take of the memory beyond their pages, and reading them when there is little of it. */
#include "harness.h"

#include <sys/mount.h>
#include <sys/stat.h>

#define CGROUP "/mnt/cgroup"
#define GROUP CGROUP "/erofs-selftest"
#define FAULTS "/sys/kernel/debug/"

static uint32_t source_crc;

/* In pages: free memory, with what lies ready for each CPU. */
static long free_pages(void)
{
	char line[256];
	long pages = 0, n;
	FILE *f = fopen("/proc/zoneinfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " count: %ld", &n) == 1 || sscanf(line, " pages free %ld", &n) == 1)
			pages += n;
	if (f)
		fclose(f);
	return pages;
}

static void settle(void)
{
	drop_caches(3);
	usleep(300000);
	drop_caches(3);
	usleep(300000);
}

static void ask(const char *dir, const char *file)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	stat(path, &st);
}

/* Decoding keeps nothing: the rest is pages of the files. The noise of a machine that does little is below 2 MiB. */
TEST(memory_beyond_the_pages_of_files)
{
	long pages = 28 * (MIB / PAGE), beyond = 0;
	uint32_t crc;

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("heavy", "/mnt/a", NULL));
	/* What decoders set up once, and may keep, is not the question. */
	ASSERT_EQ(0, path_crc("/mnt/a", "words", &crc));
	/* The least of a few tries: others may take memory meanwhile. */
	for (int i = 0; i < 3; i++) {
		long before, taken;

		settle();
		ask("/mnt/a", "words");
		ask("/mnt/a", "text");
		before = free_pages();
		ASSERT_EQ(0, path_crc("/mnt/a", "words", &crc));
		ASSERT_EQ(0, path_crc("/mnt/a", "text", &crc));
		usleep(300000);
		taken = before - free_pages() - pages;
		if (!i || taken < beyond)
			beyond = taken;
	}
	EXPECT_GE(pages / 50 + 2 * (long)(MIB / PAGE), beyond)
		TH_LOG("%ld pages beyond %ld", beyond, pages);
}

FIXTURE(pressure) {
};

FIXTURE_VARIANT(pressure) {
	const char *image;
	const char *file;
};

FIXTURE_VARIANT_ADD(pressure, lz4_large) { .image = "heavy", .file = "words" };
FIXTURE_VARIANT_ADD(pressure, lz4_1m) { .image = "zlong-lz4", .file = "words" };
FIXTURE_VARIANT_ADD(pressure, lzma_1m) { .image = "zlong-lzma", .file = "words" };
FIXTURE_VARIANT_ADD(pressure, zstd_1m) { .image = "zlong-zstd", .file = "words" };
FIXTURE_VARIANT_ADD(pressure, deflate) { .image = "encoded-a-deflate", .file = "words" };
FIXTURE_VARIANT_ADD(pressure, packed) { .image = "encoded-a-packed", .file = "words" };

FIXTURE_SETUP(pressure)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", NULL));
	ASSERT_EQ(0, path_crc("/mnt/a", variant->file, &source_crc));
	ASSERT_EQ(0, drop_caches(3));
}

FIXTURE_TEARDOWN(pressure)
{
	umount_at("/mnt/a");
}

/* Joins the group first, so that all pages of the file are on its account. */
static int read_in_group(const void *file)
{
	uint32_t crc = 0;
	int err = write_file(GROUP "/cgroup.procs", "0");

	err = err ?: path_crc("/mnt/a", file, &crc);
	if (err)
		return -err;
	return crc == source_crc ? 0 : EUCLEAN;
}

TEST_F(pressure, small_cgroup)
{
	static const char * const limits[] = { "8M", "4M" };

	mkdir(CGROUP, 0755);
	if (mount("none", CGROUP, "cgroup2", 0, NULL) && errno != EBUSY)
		SKIP(return, "no cgroups");
	if (write_file(CGROUP "/cgroup.subtree_control", "+memory"))
		SKIP(return, "no memory controller");
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		mkdir(GROUP, 0755);
		ASSERT_EQ(0, write_file(GROUP "/memory.max", limits[i]));
		ASSERT_EQ(0, drop_caches(3));
		EXPECT_EQ(0, wait_child(spawn(read_in_group, variant->file), 120))
			TH_LOG("%s in %s", variant->file, limits[i]);
		rmdir(GROUP);
	}
}

/* Reads the file in small steps while allocations of this task fail; an error may be, wrong bytes may not. */
static int read_with_faults(const void *file)
{
	char buf[PAGE];
	uint32_t crc = 0;
	ssize_t n = 1;
	int fd, tries = 0;

	fd = open_read("/mnt/a", file, 0);
	if (fd < 0)
		return -fd;
	if (write_file("/proc/self/make-it-fail", "1"))
		return ENOTRECOVERABLE;
	for (off_t at = 0; n; ) {
		n = pread(fd, buf, sizeof(buf), at);
		if (n < 0) {
			if ((errno != ENOMEM && errno != EIO) || ++tries > 1000)
				return errno;
			continue;
		}
		tries = 0;
		crc = crc32(crc, buf, n);
		at += n;
	}
	return crc == source_crc ? 0 : EUCLEAN;
}

static int set_fault(const char *kind, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), FAULTS "%s/%s", kind, name);
	return write_file(path, value);
}

TEST_F(pressure, failing_allocations)
{
	/* In percent; a cluster may need a page for each of its blocks. */
	static const char * const kinds[] = { "failslab", "fail_page_alloc" }, * const probability[] = { "10", "2" };
	uint32_t crc;

	if (set_fault(kinds[0], "task-filter", "Y"))
		SKIP(return, "this kernel lets no allocation fail");
	if (driver_is_c() && !strcmp(variant->image, "zlong-lz4"))
		SKIP(return, "the C driver has no reserve: never all pages of a large cluster at once");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		ASSERT_EQ(0, set_fault(kinds[i], "task-filter", "Y"));
		set_fault(kinds[i], "verbose", "0");
		set_fault(kinds[i], "ignore-gfp-wait", "N");
		set_fault(kinds[i], "ignore-gfp-highmem", "N");
		set_fault(kinds[i], "min-order", "0");
		set_fault(kinds[i], "interval", "1");
		set_fault(kinds[i], "times", "-1");
		ASSERT_EQ(0, set_fault(kinds[i], "probability", probability[i]));
		ASSERT_EQ(0, drop_caches(3));
		EXPECT_EQ(0, wait_child(spawn(read_with_faults, variant->file), 200))
			TH_LOG("%s", kinds[i]);
		ASSERT_EQ(0, set_fault(kinds[i], "probability", "0"));
		ASSERT_EQ(0, drop_caches(1));
		EXPECT_EQ(0, path_crc("/mnt/a", variant->file, &crc));
		EXPECT_EQ(source_crc, crc);
	}
}

TEST_HARNESS_MAIN
