// SPDX-License-Identifier: GPL-2.0
/* The counters of sharing in sysfs, for the module and for each mount. */
#include "harness.h"

#include <sys/stat.h>

#define ALL "/sys/fs/erofs/sharing/"

FIXTURE(counters) {
};

FIXTURE_SETUP(counters)
{
	ASSERT_EQ(0, private_mounts());
	/* Nobody else shares meanwhile. */
	ASSERT_EQ(0, read_number(ALL "shared_inodes"));
	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", DOMAIN));
	ASSERT_EQ(0, mount_image("share-b", "/mnt/b", DOMAIN));
}

FIXTURE_TEARDOWN(counters)
{
}

static long members_of(const char *dir)
{
	char name[DEV_LEN], path[128];
	int err = sb_name(dir, name);

	if (err)
		return err;
	snprintf(path, sizeof(path), "/sys/fs/erofs/%s/sharing/members", name);
	return read_number(path);
}

static void touch(const char *dir, const char *file)
{
	close(open_read(dir, file, 0));
}

TEST_F(counters, stat_joins_nobody_and_open_does)
{
	struct stat st;

	ASSERT_EQ(0, stat("/mnt/a/common", &st));
	ASSERT_EQ(0, stat("/mnt/b/common", &st));
	EXPECT_EQ(0, read_number(ALL "shared_inodes"));
	EXPECT_EQ(0, read_number(ALL "members"));
	touch("/mnt/a", "common");
	EXPECT_EQ(1, read_number(ALL "shared_inodes"));
	EXPECT_EQ(1, read_number(ALL "members"));
	EXPECT_EQ(1, members_of("/mnt/a"));
	/* A mount has numbers from its first member on. */
	EXPECT_EQ(-ENOENT, members_of("/mnt/b"));
	touch("/mnt/b", "common");
	touch("/mnt/b", "common");
	touch("/mnt/b", "twin");
	EXPECT_EQ(1, read_number(ALL "shared_inodes"));
	EXPECT_EQ(3, read_number(ALL "members"));
	EXPECT_EQ(2, members_of("/mnt/b"));
	touch("/mnt/b", "tail");
	EXPECT_EQ(2, read_number(ALL "shared_inodes"));
	/* No fingerprint, no member. */
	touch("/mnt/a", "empty");
	touch("/mnt/a", "directory");
	EXPECT_EQ(2, read_number(ALL "shared_inodes"));
	EXPECT_EQ(1, members_of("/mnt/a"));
}

TEST_F(counters, pages)
{
	uint32_t crc;

	EXPECT_EQ(0, read_number(ALL "pages"));
	ASSERT_EQ(0, path_crc("/mnt/a", "common", &crc));
	EXPECT_EQ(256, read_number(ALL "pages"));
	ASSERT_EQ(0, path_crc("/mnt/b", "common", &crc));
	EXPECT_EQ(256, read_number(ALL "pages"));
	ASSERT_EQ(0, path_crc("/mnt/b", "tail", &crc));
	EXPECT_EQ(258, read_number(ALL "pages"));
	ASSERT_EQ(0, drop_caches(1));
	EXPECT_EQ(0, read_number(ALL "pages"));
}

TEST_F(counters, everything_goes_with_the_mounts)
{
	uint32_t crc;

	ASSERT_EQ(0, path_crc("/mnt/a", "common", &crc));
	ASSERT_EQ(0, path_crc("/mnt/b", "common", &crc));
	ASSERT_EQ(0, umount_at("/mnt/a"));
	EXPECT_EQ(1, read_number(ALL "members"));
	EXPECT_EQ(256, read_number(ALL "pages"));
	ASSERT_EQ(0, umount_at("/mnt/b"));
	EXPECT_EQ(0, read_number(ALL "members"));
	EXPECT_EQ(0, read_number(ALL "shared_inodes"));
	EXPECT_EQ(0, read_number(ALL "pages"));
}

TEST_F(counters, inode_reclaim_takes_members_and_leaves_pages)
{
	uint32_t crc;

	ASSERT_EQ(0, path_crc("/mnt/a", "common", &crc));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, drop_caches(2));
	}
	EXPECT_EQ(0, read_number(ALL "members"));
	EXPECT_EQ(1, read_number(ALL "shared_inodes"));
	EXPECT_EQ(256, read_number(ALL "pages"));
}

/* What is not shared is counted by reason, once for each inode in memory. */
TEST_F(counters, refusals)
{
	long empty = read_number(ALL "refused_empty"), plain = read_number(ALL "refused_no_fingerprint");
	long no_domain = read_number(ALL "mounts_no_domain"), no_prints = read_number(ALL "mounts_no_fingerprints");
	char name[DEV_LEN], path[128];
	uint32_t crc;

	ASSERT_EQ(0, sb_name("/mnt/a", name));
	for (int i = 0; i < 3; i++) {
		touch("/mnt/a", "empty");
	}
	EXPECT_EQ(empty + 1, read_number(ALL "refused_empty"));
	snprintf(path, sizeof(path), "/sys/fs/erofs/%s/sharing/refused_empty", name);
	EXPECT_EQ(1, read_number(path));
	snprintf(path, sizeof(path), "/sys/fs/erofs/%s/sharing/members", name);
	EXPECT_EQ(0, read_number(path));
	ASSERT_EQ(0, drop_caches(2));
	touch("/mnt/a", "empty");
	EXPECT_EQ(empty + 2, read_number(ALL "refused_empty"));

	EXPECT_EQ(plain, read_number(ALL "refused_no_fingerprint"));
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/c", NULL));
	EXPECT_EQ(no_domain + 1, read_number(ALL "mounts_no_domain"));
	ASSERT_EQ(0, path_crc("/mnt/c", "common", &crc));
	ASSERT_EQ(0, umount_at("/mnt/c"));
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/c", DOMAIN));
	EXPECT_EQ(no_domain + 1, read_number(ALL "mounts_no_domain"));
	EXPECT_EQ(no_prints + 1, read_number(ALL "mounts_no_fingerprints"));
	ASSERT_EQ(0, umount_at("/mnt/c"));
	/* They are sums over all mounts that there ever were. */
	ASSERT_EQ(0, umount_at("/mnt/a"));
	EXPECT_EQ(empty + 2, read_number(ALL "refused_empty"));
}

TEST_F(counters, one_fingerprint_with_two_sizes)
{
	long before = read_number(ALL "refused_other_size");

	ASSERT_EQ(0, mount_image("share-b-512", "/mnt/c", DOMAIN));
	touch("/mnt/a", "common");
	touch("/mnt/b", "common");
	EXPECT_EQ(before, read_number(ALL "refused_other_size"));
	/* The same bytes in blocks of another size. */
	touch("/mnt/c", "common");
	EXPECT_EQ(before + 1, read_number(ALL "refused_other_size"));
	EXPECT_EQ(2, read_number(ALL "shared_inodes"));
	/* No new content. */
	touch("/mnt/c", "common");
	EXPECT_EQ(before + 1, read_number(ALL "refused_other_size"));
}

TEST_HARNESS_MAIN
