// SPDX-License-Identifier: GPL-2.0
/* Extra devices: as block devices and as files, by number and by address, and all in one. */
#include "harness.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

static const char * const names[] = {
	"common", "twin", "huge", "tail", "tiny", "sparse", "hello", "differs", "directory/same-07", "directory/same-39",
};

FIXTURE(devices) {
};

FIXTURE_VARIANT(devices) {
	bool of_file;
};

FIXTURE_VARIANT_ADD(devices, block) { .of_file = false };
FIXTURE_VARIANT_ADD(devices, file) { .of_file = true };

FIXTURE_SETUP(devices)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/private", NULL));
}

FIXTURE_TEARDOWN(devices)
{
}

/* A file that is not as in the private image, or NULL. */
static const char *wrong_file(const char *dir)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (same_bytes(dir, names[i], "/mnt/private", names[i]))
			return names[i];
	return NULL;
}

static int mount_one(const char *image, bool of_file, const char *dir, const char *options)
{
	return of_file ? mount_file(image, dir, options) : mount_image(image, dir, options);
}

TEST_F(devices, contents)
{
	static const struct {
		const char *image;
		int count;
	} table[] = { { "dev-one", 1 }, { "dev-48bit", 1 }, { "dev-two", 2 }, { "dev-unified", 1 } };

	for (size_t k = 0; k < ARRAY_SIZE(table); k++) {
		ASSERT_EQ(0, mount_devices(table[k].image, table[k].count, variant->of_file, "/mnt/a", NULL))
			TH_LOG("%s", table[k].image);
		EXPECT_EQ(NULL, wrong_file("/mnt/a"));
		EXPECT_EQ(0, umount_at("/mnt/a"));
	}
	ASSERT_EQ(0, mount_devices("dev-two", 2, variant->of_file, "/mnt/a", "directio"));
	EXPECT_EQ(NULL, wrong_file("/mnt/a"));
}

TEST_F(devices, all_in_one)
{
	uint32_t crc;

	ASSERT_EQ(0, mount_one("dev-flat", variant->of_file, "/mnt/a", NULL));
	EXPECT_EQ(NULL, wrong_file("/mnt/a"));
	/* What is missing shows when it is read. */
	ASSERT_EQ(0, mount_one("dev-one", variant->of_file, "/mnt/b", NULL));
	EXPECT_EQ(-EIO, path_crc("/mnt/b", "common", &crc));
}

TEST_F(devices, count_and_kind)
{
	char options[600], dev[DEV_LEN];
	int fd;

	EXPECT_EQ(-EINVAL, mount_devices("dev-two", 1, variant->of_file, "/mnt/a", NULL));
	snprintf(options, sizeof(options), "device=%s", image_path("dev-one-1"));
	/* No table. */
	EXPECT_EQ(-EINVAL, mount_one("small", variant->of_file, "/mnt/a", options));
	/* The other kind. */
	if (!variant->of_file) {
		EXPECT_EQ(-EINVAL, mount_image("dev-one", "/mnt/a", options));
	} else {
		fd = attach_image("dev-one-1", dev);
		snprintf(options, sizeof(options), "device=%s", dev);
		EXPECT_EQ(-EINVAL, mount_file("dev-one", "/mnt/a", options));
		close(fd);
	}
	EXPECT_EQ(-EINVAL, mount_one("dev-one", variant->of_file, "/mnt/a", "device=/mnt"));
	EXPECT_EQ(-ENOENT, mount_one("dev-one", variant->of_file, "/mnt/a", "device=/mnt/missing"));
	EXPECT_EQ(-EINVAL, mount_one("dev-one", variant->of_file, "/mnt/a", "device="));
}

TEST_F(devices, order_counts)
{
	char options[1024], name[512];
	uint32_t crc, wrong;

	if (!variant->of_file)
		return;
	snprintf(name, sizeof(name), "%s", image_path("dev-two-2"));
	snprintf(options, sizeof(options), "device=%s,device=%s", name, image_path("dev-two-1"));
	ASSERT_EQ(0, mount_file("dev-two", "/mnt/a", options));
	ASSERT_EQ(0, path_crc("/mnt/private", "common", &crc));
	/* Other bytes, or none. */
	if (!path_crc("/mnt/a", "common", &wrong))
		EXPECT_NE(crc, wrong);
	EXPECT_EQ(NULL, strstr(shown_options("/mnt/a"), "device"));
}

TEST_F(devices, on_tmpfs)
{
	if (!variant->of_file)
		return;
	ASSERT_EQ(0, copy_image("dev-one-1", "/mnt/blob"));
	ASSERT_EQ(0, mount_file("dev-one", "/mnt/a", "device=/mnt/blob"));
	EXPECT_EQ(NULL, wrong_file("/mnt/a"));
}

TEST_F(devices, device_that_is_not_there)
{
	struct stat st;
	int failed = 0, right = 0;
	uint32_t crc;

	ASSERT_EQ(0, mount_devices("dev-absent", 2, variant->of_file, "/mnt/a", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char path[64];

		snprintf(path, sizeof(path), "/mnt/a/%s", names[i]);
		EXPECT_EQ(0, stat(path, &st));
		if (path_crc("/mnt/a", names[i], &crc))
			failed++;
		else if (!same_bytes("/mnt/a", names[i], "/mnt/private", names[i]))
			right++;
	}
	EXPECT_LT(0, failed);
	EXPECT_EQ(ARRAY_SIZE(names), failed + right);
}

/* Blocks are those of all devices, everything else is as the first one has it. */
TEST_F(devices, figures)
{
	static const struct {
		const char *image;
		int count;
	} table[] = { { "dev-one", 1 }, { "dev-two", 2 }, { "dev-flat", 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		int align = variant->of_file ? 0 : 512, fd;
		struct statfs fs;
		struct statx stx;

		ASSERT_EQ(0, mount_devices(table[i].image, table[i].count, variant->of_file, "/mnt/a", NULL));
		ASSERT_EQ(0, statfs("/mnt/a", &fs));
		EXPECT_EQ(1491, fs.f_blocks)
			TH_LOG("%s", table[i].image);
		ASSERT_EQ(0, statx(AT_FDCWD, "/mnt/a/common", 0, STATX_BASIC_STATS | STATX_DIOALIGN, &stx));
		EXPECT_EQ(variant->of_file ? 0 : 7 /* loop */, stx.stx_dev_major);
		EXPECT_TRUE(stx.stx_mask & STATX_DIOALIGN);
		EXPECT_EQ(align, stx.stx_dio_mem_align);
		EXPECT_EQ(align, stx.stx_dio_offset_align);
		fd = open_read("/mnt/a", "directory", O_DIRECTORY | O_DIRECT);
		if (variant->of_file) {
			EXPECT_EQ(-EINVAL, fd);
		} else {
			EXPECT_LE(0, fd);
			close(fd);
		}
		EXPECT_EQ(0, umount_at("/mnt/a"));
	}
}

TEST_F(devices, one_device_for_many)
{
	char options[64], dev[DEV_LEN];
	int fd;

	if (variant->of_file)
		return;
	fd = attach_image("dev-one-1", dev);
	ASSERT_LE(0, fd);
	snprintf(options, sizeof(options), "device=%s", dev);
	ASSERT_EQ(0, mount_image("dev-one", "/mnt/a", options));
	ASSERT_EQ(0, mount_image("dev-unified", "/mnt/b", options));
	EXPECT_EQ(NULL, wrong_file("/mnt/a"));
	EXPECT_EQ(NULL, wrong_file("/mnt/b"));
	EXPECT_EQ(0, umount_at("/mnt/a"));
	EXPECT_EQ(0, drop_caches(3));
	EXPECT_EQ(NULL, wrong_file("/mnt/b"));
	EXPECT_EQ(0, umount_at("/mnt/b"));
	close(fd);
	/* One that is mounted itself is not shared. */
	fd = attach_image("small", dev);
	ASSERT_EQ(0, mount_at(dev, "/mnt/a", NULL));
	snprintf(options, sizeof(options), "device=%s", dev);
	EXPECT_EQ(-EBUSY, mount_image("dev-one", "/mnt/b", options));
	close(fd);
}

TEST_F(devices, direct_reads)
{
	uint32_t crc, direct;
	int fd;

	ASSERT_EQ(0, mount_devices("dev-two", 2, variant->of_file, "/mnt/a", NULL));
	fd = open_read("/mnt/a", "huge", O_DIRECT);
	if (variant->of_file) {
		EXPECT_EQ(-EINVAL, fd);
		return;
	}
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, file_crc(fd, &direct));
	ASSERT_EQ(0, path_crc("/mnt/private", "huge", &crc));
	EXPECT_EQ(crc, direct);
	close(fd);
}

TEST_F(devices, reports_name_places_on_the_device)
{
	struct {
		struct fiemap head;
		struct fiemap_extent extent;
	} map = { .head = { .fm_length = FIEMAP_MAX_OFFSET, .fm_extent_count = 1 } };
	char there[PAGE], here[PAGE];
	int fd, blob;

	ASSERT_EQ(0, mount_devices("dev-unified", 1, variant->of_file, "/mnt/a", NULL));
	fd = open_read("/mnt/a", "common", 0);
	ASSERT_EQ(0, ioctl(fd, FS_IOC_FIEMAP, &map));
	blob = open(image_path("dev-unified-1"), O_RDONLY | O_CLOEXEC);
	ASSERT_EQ(PAGE, pread(fd, here, PAGE, 0));
	ASSERT_EQ(PAGE, pread(blob, there, PAGE, map.extent.fe_physical));
	EXPECT_EQ(0, memcmp(here, there, PAGE));
	close(fd);
	close(blob);
}

TEST_HARNESS_MAIN
