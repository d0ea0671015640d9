// SPDX-License-Identifier: GPL-2.0
/* /sys/fs/erofs: features, and a directory for each mount. */
#include "harness.h"

#include <dirent.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define ROOT "/sys/fs/erofs/"

FIXTURE(sysfs) {
	char dir[64];	/* of the mount */
};

FIXTURE_SETUP(sysfs)
{
	char name[DEV_LEN];

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("z-lz4hc64k-compact", "/mnt/a", NULL));
	ASSERT_EQ(0, sb_name("/mnt/a", name));
	snprintf(self->dir, sizeof(self->dir), ROOT "%s", name);
}

FIXTURE_TEARDOWN(sysfs)
{
}

static const char *in(const char *dir, const char *file)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return path;
}

static int mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -errno : (int)(st.st_mode & 07777);
}

TEST_F(sysfs, features)
{
	static const char * const names[] = {
		"48bit", "big_pcluster", "chunked_file", "compr_cfgs", "compr_head2", "dedupe", "device_table", "fragments",
		"metabox", "sb_chksum", "xattr_prefixes", "ztailpacking",
	};
	unsigned int entries = 0;
	struct dirent *entry;
	DIR *dir = opendir(ROOT "features");
	char text[32];

	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir)))
		entries += entry->d_name[0] != '.';
	closedir(dir);
	EXPECT_EQ(ARRAY_SIZE(names), entries);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *path = in(ROOT "features", names[i]);

		memset(text, 0, sizeof(text));
		EXPECT_EQ(10, read_file(path, text, sizeof(text)));
		EXPECT_STREQ("supported\n", text);
		EXPECT_EQ(0444, mode_of(path));
		EXPECT_NE(0, write_file(path, "1"));
	}
}

TEST_F(sysfs, one_directory_for_each_mount)
{
	char name[DEV_LEN], buf[64];
	int fd;

	EXPECT_EQ(0755, mode_of(self->dir));
	EXPECT_EQ(0, umount_at("/mnt/a"));
	EXPECT_EQ(-ENOENT, mode_of(self->dir));

	/* After a lazy unmount it goes with the last file. */
	ASSERT_EQ(0, mount_image("z-lz4hc64k-compact", "/mnt/a", NULL));
	ASSERT_EQ(0, sb_name("/mnt/a", name));
	snprintf(self->dir, sizeof(self->dir), ROOT "%s", name);
	fd = open_read("/mnt/a", "text", 0);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(-1, umount("/mnt/a"));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(-1, umount2("/mnt/a", MNT_FORCE));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(0, umount2("/mnt/a", MNT_DETACH));
	EXPECT_EQ(0755, mode_of(self->dir));
	EXPECT_EQ(sizeof(buf), pread(fd, buf, sizeof(buf), 299000));
	close(fd);
	for (int i = 0; i < 500 && mode_of(self->dir) >= 0; i++)
		usleep(10000);
	EXPECT_EQ(-ENOENT, mode_of(self->dir));
}

TEST_F(sysfs, none_for_a_mount_that_fails)
{
	char dev[DEV_LEN];
	int fd = attach_image("plain-4096", dev);

	ASSERT_GE(fd, 0);
	ASSERT_NE(0, mount_at(dev, "/mnt/b", "fsoffset=4096"));
	EXPECT_EQ(-ENOENT, mode_of(in("/sys/fs/erofs", strrchr(dev, '/') + 1)));
	close(fd);
}

struct attempt {
	const char *text;
	int err;
	long then;	/* what is read afterwards, if there was no error */
};

static void try_all(struct __test_metadata *_metadata, const char *path, const struct attempt *attempts, size_t count,
		    long before)
{
	for (size_t i = 0; i < count; i++) {
		EXPECT_EQ(attempts[i].err, write_file(path, attempts[i].text))
			TH_LOG("%s: '%s'", path, attempts[i].text);
		if (!attempts[i].err)
			before = attempts[i].then;
		if (before >= 0) {
			EXPECT_EQ(before, read_number(path));
		}
	}
}

TEST_F(sysfs, sync_decompress)
{
	static const struct attempt attempts[] = {
		{ "1\n", 0, 1 }, { "2", 0, 2 }, { "0\n", 0, 0 }, { " \t1", 0, 1 }, { "0x2", 0, 2 }, { "3", -EINVAL },
		{ "4294967296", -ERANGE }, { "99999999999999999999999", -ERANGE }, { "-1", -EINVAL }, { "x", -EINVAL },
		{ "\n", -EINVAL }, { "1 2", -EINVAL }, { "0", 0, 0 },
	};
	const char *path = in(self->dir, "sync_decompress");

	EXPECT_EQ(0644, mode_of(path));
	EXPECT_EQ(0, read_number(path));
	try_all(_metadata, path, attempts, ARRAY_SIZE(attempts), 0);
}

TEST_F(sysfs, dir_ra_bytes)
{
	static const struct attempt attempts[] = {
		{ "0\n", 0, 0 }, { "4294967295", 0, 4294967295 }, { "0x1000", 0, 4096 }, { "4294967296", -ERANGE },
		{ "99999999999999999999999", -ERANGE }, { "-1", -EINVAL }, { "many", -EINVAL },
	};
	const char *path = in(self->dir, "dir_ra_bytes");

	EXPECT_EQ(0644, mode_of(path));
	EXPECT_EQ(16384, read_number(path));
	try_all(_metadata, path, attempts, ARRAY_SIZE(attempts), 16384);
}

TEST_F(sysfs, drop_caches)
{
	static const struct attempt attempts[] = {
		{ "1", 0, -1 }, { "2\n", 0, -1 }, { "3", 0, -1 }, { " 0x3", 0, -1 }, { "0", -EINVAL }, { "4", -EINVAL },
		{ "x", -EINVAL }, { "-1", -EINVAL }, { "4294967297", -EINVAL },
	};
	const char *path = in(self->dir, "drop_caches");
	uint32_t crc, again;
	char c;

	EXPECT_EQ(0200, mode_of(path));
	EXPECT_EQ(-EACCES, read_file(path, &c, 1));
	ASSERT_EQ(0, path_crc("/mnt/a", "mixed", &crc));
	try_all(_metadata, path, attempts, ARRAY_SIZE(attempts), -1);
	ASSERT_EQ(0, drop_caches(3));
	ASSERT_EQ(0, path_crc("/mnt/a", "mixed", &again));
	EXPECT_EQ(crc, again);
}

TEST_F(sysfs, module_is_in_use)
{
	EXPECT_EQ(-1, syscall(SYS_delete_module, "erofs", O_NONBLOCK));
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(sysfs, names_of_a_mount)
{
	static const char * const names[] = { "sync_decompress", "drop_caches", "dir_ra_bytes" };
	unsigned int entries = 0;
	struct dirent *entry;
	DIR *dir = opendir(self->dir);

	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir)))
		entries += entry->d_name[0] != '.';
	closedir(dir);
	EXPECT_EQ(ARRAY_SIZE(names), entries);
}

static long sectors_read(const char *dir)
{
	char name[DEV_LEN], path[128], text[256];
	unsigned long ios, merged, sectors;

	if (sb_name(dir, name))
		return -1;
	snprintf(path, sizeof(path), "/sys/block/%s/stat", name);
	memset(text, 0, sizeof(text));
	if (read_file(path, text, sizeof(text) - 1) < 0 || sscanf(text, "%lu %lu %lu", &ios, &merged, &sectors) != 3)
		return -1;
	return sectors;
}

/* Data is the same whoever decodes it and whatever is kept. */
TEST_F(sysfs, strategies)
{
	static const char * const caches[] = { "disabled", "readahead", "readaround" };
	static const char * const files[] = { "text", "mixed", "unit", "tail/text-40000" };
	uint32_t wanted[ARRAY_SIZE(files)], crc;
	char options[64], number[2] = "0";

	for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
		ASSERT_EQ(0, path_crc("/mnt/a", files[f], &wanted[f]));
	}
	for (size_t c = 0; c < ARRAY_SIZE(caches); c++) {
		snprintf(options, sizeof(options), "cache_strategy=%s", caches[c]);
		ASSERT_EQ(0, remount_at("/mnt/a", options));
		for (number[0] = '0'; number[0] < '3'; number[0]++) {
			ASSERT_EQ(0, write_file(in(self->dir, "sync_decompress"), number));
			ASSERT_EQ(0, drop_caches(3));
			for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
				ASSERT_EQ(0, path_crc("/mnt/a", files[f], &crc));
				EXPECT_EQ(wanted[f], crc)
					TH_LOG("%s, %s, %s", files[f], caches[c], number);
			}
		}
	}
}

/* The rest of a cluster: is it read again? */
TEST_F(sysfs, cache_strategy)
{
	static const char * const caches[] = { "disabled", "readaround" };
	char buf[PAGE], options[64];

	for (size_t c = 0; c < ARRAY_SIZE(caches); c++) {
		long before, after;
		int fd;

		snprintf(options, sizeof(options), "cache_strategy=%s", caches[c]);
		ASSERT_EQ(0, remount_at("/mnt/a", options));
		ASSERT_EQ(0, drop_caches(3));
		fd = open_read("/mnt/a", "mixed", 0);
		ASSERT_EQ(0, posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM));
		ASSERT_EQ((ssize_t)PAGE, pread(fd, buf, PAGE, 0));
		before = sectors_read("/mnt/a");
		ASSERT_EQ((ssize_t)PAGE, pread(fd, buf, PAGE, 2 * PAGE));
		after = sectors_read("/mnt/a");
		ASSERT_LE(0, before);
		if (c == 0) {
			EXPECT_LT(before, after);
		} else {
			EXPECT_EQ(before, after);
		}
		close(fd);
	}
}

TEST_HARNESS_MAIN
