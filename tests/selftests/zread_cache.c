// SPDX-License-Identifier: GPL-2.0
/* What is read from the device and what is not: cache_strategy, sync_decompress and drop_caches of compressed images. */
#include "harness.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define IMAGE "encoded-a-lz4hc64k"
/* Of its file "words": a cluster holds more pages than these. */
#define CLUSTER_PAGES 12

FIXTURE(zcache) {
	dev_t dev;
	char sysfs[128];
};

FIXTURE_SETUP(zcache)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("encoded-a-private", "/mnt/source", NULL));
}

FIXTURE_TEARDOWN(zcache)
{
}

static int mount_a(FIXTURE_DATA(zcache) *self, const char *options)
{
	struct stat st;
	char name[DEV_LEN];
	int err = mount_image(IMAGE, "/mnt/a", options);

	if (err)
		return err;
	if (stat("/mnt/a", &st) || sb_name("/mnt/a", name))
		return -ENOTRECOVERABLE;
	self->dev = st.st_dev;
	snprintf(self->sysfs, sizeof(self->sysfs), "/sys/fs/erofs/%s", name);
	return 0;
}

static long sectors_read(dev_t dev)
{
	char path[64], buf[256];
	long sectors;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(dev), minor(dev));
	if (read_file(path, buf, sizeof(buf)) < 0 || sscanf(buf, "%*u %*u %ld", &sectors) != 1)
		return -1;
	return sectors;
}

/* Sectors that reading one page of the file costs. */
static long cost_of_page(dev_t dev, int fd, int page)
{
	long before = sectors_read(dev);
	char buf[PAGE];

	if (before < 0 || pread(fd, buf, PAGE, page * PAGE) != PAGE)
		return -1;
	return sectors_read(dev) - before;
}

/* Of a file without pages, reads the first one, then drops the pages of the file, and reads another page of the same cluster. */
static long cost_of_second_page(const FIXTURE_DATA(zcache) *self, bool drop)
{
	int fd = open_read("/mnt/a", "words", 0);
	long first, second;

	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	first = cost_of_page(self->dev, fd, 0);
	if (drop)
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	second = cost_of_page(self->dev, fd, CLUSTER_PAGES - 1);
	close(fd);
	return first > 0 ? second : -1;
}

TEST_F(zcache, disabled_reads_the_device_again)
{
	ASSERT_EQ(0, mount_a(self, "cache_strategy=disabled"));
	EXPECT_LT(0, cost_of_second_page(self, true));
	EXPECT_TRUE(option_shown("/mnt/a", "cache_strategy=disabled"));
}

TEST_F(zcache, readahead_reads_the_device_once)
{
	ASSERT_EQ(0, mount_a(self, "cache_strategy=readahead"));
	EXPECT_EQ(0, cost_of_second_page(self, false));
	EXPECT_TRUE(option_shown("/mnt/a", "cache_strategy=readahead"));
}

TEST_F(zcache, readaround_reads_the_device_once)
{
	ASSERT_EQ(0, mount_a(self, "cache_strategy=readaround"));
	EXPECT_EQ(0, cost_of_second_page(self, false));
	EXPECT_TRUE(option_shown("/mnt/a", "cache_strategy=readaround"));
}

/* A read in order reads each sector of the file once, plus a little metadata. */
TEST_F(zcache, nothing_is_read_twice_in_order)
{
	static const char * const options[] = { "cache_strategy=disabled", "cache_strategy=readahead", "cache_strategy=readaround" };

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		struct stat st;
		uint32_t crc;
		long before;

		ASSERT_EQ(0, mount_a(self, options[i]));
		ASSERT_EQ(0, stat("/mnt/a/words", &st));
		ASSERT_EQ(0, drop_caches(3));
		before = sectors_read(self->dev);
		ASSERT_EQ(0, path_crc("/mnt/a", "words", &crc));
		/* Who keeps nothing reads clusters again that two requests meet in. */
		if (!i) {
			ASSERT_EQ(0, umount_at("/mnt/a"));
			continue;
		}
		EXPECT_GE(st.st_blocks + 128, sectors_read(self->dev) - before)
			TH_LOG("%s: %ld sectors for %ld", options[i], sectors_read(self->dev) - before, (long)st.st_blocks);
		ASSERT_EQ(0, umount_at("/mnt/a"));
	}
}

TEST_F(zcache, all_combinations_read_the_same_bytes)
{
	static const char * const options[] = { "cache_strategy=disabled", "cache_strategy=readahead", "cache_strategy=readaround" };
	static const char * const files[] = { "text", "words", "mixed", "tail", "sparse" };
	char path[160], value[4];

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		ASSERT_EQ(0, mount_a(self, options[i]));
		snprintf(path, sizeof(path), "%s/sync_decompress", self->sysfs);
		for (int sync = 0; sync < 3; sync++) {
			snprintf(value, sizeof(value), "%d", sync);
			ASSERT_EQ(0, write_file(path, value));
			ASSERT_EQ(0, drop_caches(3));
			for (size_t k = 0; k < ARRAY_SIZE(files); k++) {
				EXPECT_EQ(0, same_bytes("/mnt/a", files[k], "/mnt/source", files[k]))
					TH_LOG("%s, %s, sync_decompress %d", files[k], options[i], sync);
			}
		}
		ASSERT_EQ(0, umount_at("/mnt/a"));
	}
}

TEST_F(zcache, sync_decompress_values)
{
	static const struct {
		const char *text;
		int err;
	} table[] = { { "0", 0 }, { "1", 0 }, { "2", 0 }, { " 1", 0 }, { "0x2", 0 }, { "3", -EINVAL }, { "-1", -EINVAL },
		{ "x", -EINVAL }, { "4294967295", -EINVAL }, { "4294967296", -ERANGE } };
	char path[160];

	ASSERT_EQ(0, mount_a(self, NULL));
	snprintf(path, sizeof(path), "%s/sync_decompress", self->sysfs);
	EXPECT_EQ(0, read_number(path));
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		EXPECT_EQ(table[i].err, write_file(path, table[i].text))
			TH_LOG("'%s'", table[i].text);
		if (!table[i].err) {
			EXPECT_EQ(strtol(table[i].text, NULL, 0), read_number(path));
		}
	}
}

TEST_F(zcache, drop_caches_values)
{
	static const struct {
		const char *text;
		int err;
	} table[] = { { "1", 0 }, { "2", 0 }, { "3", 0 }, { "0", -EINVAL }, { "4", -EINVAL }, { "x", -EINVAL } };
	char path[160], buf[16];
	uint32_t crc;

	ASSERT_EQ(0, mount_a(self, NULL));
	snprintf(path, sizeof(path), "%s/drop_caches", self->sysfs);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		EXPECT_EQ(0, path_crc("/mnt/a", "words", &crc));
		EXPECT_EQ(table[i].err, write_file(path, table[i].text))
			TH_LOG("'%s'", table[i].text);
	}
	EXPECT_GT(0, read_file(path, buf, sizeof(buf)));
	/* What was kept of the cluster is gone. */
	ASSERT_EQ(0, drop_caches(3));
	EXPECT_LE(0, cost_of_second_page(self, false));
	ASSERT_EQ(0, write_file(path, "3"));
	/* Fails if the first page costs nothing. */
	EXPECT_LE(0, cost_of_second_page(self, false));
}

TEST_HARNESS_MAIN
