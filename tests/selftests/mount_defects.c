// SPDX-License-Identifier: GPL-2.0
/* Defects of the C driver about mounting, by their names in Documentation; see defects.list. */
#include "harness.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/xattr.h>

FIXTURE(defect) {
};

FIXTURE_SETUP(defect)
{
	ASSERT_EQ(0, private_mounts());
}

FIXTURE_TEARDOWN(defect)
{
}

TEST_F(defect, W1_remount_cannot_switch_sharing_on)
{
	uint32_t crc;

	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", NULL));
	EXPECT_EQ(-EINVAL, remount_at("/mnt/a", "inode_share"));
	EXPECT_EQ(0, path_crc("/mnt/a", "common", &crc));
}

TEST_F(defect, W2_remount_takes_no_other_xattr_for_a_fingerprint)
{
	ASSERT_EQ(0, mount_image("same-key", "/mnt/private", NULL));
	ASSERT_EQ(0, mount_image("same-key", "/mnt/a", "domain_id=d"));
	remount_at("/mnt/a", "inode_share");
	EXPECT_EQ(0, same_bytes("/mnt/a", "first", "/mnt/private", "first"));
	EXPECT_EQ(0, same_bytes("/mnt/a", "second", "/mnt/private", "second"));
}

/* Two file systems on one device. */
TEST_F(defect, W15_other_offset_is_another_file_system)
{
	char dev[DEV_LEN], line[512];
	int fd = attach_image("two", dev), log = klog_open(), err;
	uint32_t crc;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, mount_at(dev, "/mnt/a", NULL));
	err = mount_at(dev, "/mnt/b", "fsoffset=1048576");
	if (err) {
		EXPECT_EQ(-EBUSY, err);
		EXPECT_LT(0, klog_erofs(log, line, sizeof(line)));
	} else {
		EXPECT_EQ(0, path_crc("/mnt/b", "common", &crc));
	}
	EXPECT_EQ(0, path_crc("/mnt/a", "flat", &crc));
	close(fd);
}

TEST_F(defect, W15_other_options_are_not_dropped)
{
	static const char * const options[] = { DOMAIN, "nouser_xattr" };
	static const char * const shown[] = { "inode_share", "nouser_xattr" };
	char dev[DEV_LEN];
	int fd = attach_image("share-a", dev), err;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, mount_at(dev, "/mnt/a", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		err = mount_at(dev, "/mnt/b", options[i]);
		if (err) {
			EXPECT_EQ(-EBUSY, err);
			continue;
		}
		EXPECT_TRUE(option_shown("/mnt/b", shown[i]));
		EXPECT_FALSE(option_shown("/mnt/a", shown[i]));
		ASSERT_EQ(0, umount_at("/mnt/b"));
	}
	close(fd);
}

TEST_F(defect, W15_other_domain_is_not_the_first_one)
{
	char dev[DEV_LEN];
	int fd = attach_image("share-a", dev), err;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, mount_at(dev, "/mnt/a", "domain_id=one,inode_share"));
	err = mount_at(dev, "/mnt/b", "domain_id=two,inode_share");
	if (err) {
		EXPECT_EQ(-EBUSY, err);
	} else {
		EXPECT_EQ(0, frames_shared("/mnt/a", "common", "/mnt/b", "common", 16));
	}
	close(fd);
}

TEST_F(defect, same_options_again_mount_again)
{
	char dev[DEV_LEN];
	int fd = attach_image("share-a", dev);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, mount_at(dev, "/mnt/a", DOMAIN));
	ASSERT_EQ(0, mount_at(dev, "/mnt/b", DOMAIN));
	EXPECT_EQ(256, frames_shared("/mnt/a", "common", "/mnt/b", "common", 256));
	EXPECT_EQ(0, umount_at("/mnt/a"));
	EXPECT_EQ(0, umount_at("/mnt/b"));
	close(fd);
}

static bool acl_works(void)
{
	return getxattr("/mnt/a/acl", "system.posix_acl_access", NULL, 0) > 0;
}

TEST_F(defect, W16_remount_shows_acl_as_it_is)
{
	static const char * const first[] = { "noacl", NULL }, * const then[] = { "acl", "noacl" };

	for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
		ASSERT_EQ(0, mount_image("acl", "/mnt/a", first[i]));
		EXPECT_EQ(acl_works(), option_shown("/mnt/a", "acl"));
		remount_at("/mnt/a", then[i]);
		EXPECT_EQ(acl_works(), option_shown("/mnt/a", "acl"));
		ASSERT_EQ(0, umount_at("/mnt/a"));
	}
}

/* Both ways, whatever is in memory already. */
TEST_F(defect, W16_remount_switches_acls)
{
	ASSERT_EQ(0, mount_image("acl", "/mnt/a", NULL));
	for (int round = 0; round < 2; round++) {
		EXPECT_EQ(0, open_as(1001, "/mnt/a/acl"));
		EXPECT_EQ(0, open_as(1001, "/mnt/a/dir/inside"));
		EXPECT_EQ(EACCES, open_as(1001, "/mnt/a/denied"));
		EXPECT_EQ(24, listxattr("/mnt/a/acl", NULL, 0));
		ASSERT_EQ(0, remount_at("/mnt/a", "noacl"));
		EXPECT_EQ(EACCES, open_as(1001, "/mnt/a/acl"));
		EXPECT_EQ(EACCES, open_as(1001, "/mnt/a/dir/inside"));
		EXPECT_EQ(0, open_as(1001, "/mnt/a/denied"));
		EXPECT_EQ(0, listxattr("/mnt/a/acl", NULL, 0));
		EXPECT_ERRNO(EOPNOTSUPP, getxattr("/mnt/a/acl", "system.posix_acl_access", NULL, 0));
		ASSERT_EQ(0, remount_at("/mnt/a", "acl"));
	}
}

TEST_F(defect, W17_remount_leaves_unnamed_options_alone)
{
	ASSERT_EQ(0, mount_image("small", "/mnt/a", "nouser_xattr"));
	ASSERT_EQ(0, remount_at("/mnt/a", NULL));
	EXPECT_TRUE(option_shown("/mnt/a", "nouser_xattr"));
	EXPECT_EQ(-1, getxattr("/mnt/a/tiny", "user.a", NULL, 0));
	EXPECT_EQ(EOPNOTSUPP, errno);
	ASSERT_EQ(0, remount_at("/mnt/a", "noacl"));
	EXPECT_TRUE(option_shown("/mnt/a", "nouser_xattr"));
	/* Named, it applies. */
	ASSERT_EQ(0, remount_at("/mnt/a", "user_xattr"));
	EXPECT_TRUE(option_shown("/mnt/a", "user_xattr"));
	EXPECT_EQ(1, getxattr("/mnt/a/tiny", "user.a", NULL, 0));
}

/* The removed disk has no bytes any more: nothing may be made of the zeros that its cache gives. */
TEST_F(defect, W34_a_removed_disk_has_no_metadata)
{
	char value[64], dev[DEV_LEN];
	int err, fd, dir;
	struct stat st;
	DIR *list;

	err = nullb_plug("share-b", dev);
	if (err == -ENODEV)
		SKIP(return, "no null_blk");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, mount_at(dev, "/mnt/b", NULL));
	fd = open_read("/mnt/b", "common", 0);
	dir = open_read("/mnt/b", "directory", O_DIRECTORY);
	ASSERT_LE(0, dir);
	ASSERT_EQ(0, nullb_unplug());
	ASSERT_EQ(0, drop_caches(1));

	EXPECT_EQ(-1, stat("/mnt/b/tail", &st));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(-1, fgetxattr(fd, "trusted.erofs.fp", value, sizeof(value)));
	EXPECT_EQ(EIO, errno);
	list = fdopendir(dir);
	errno = 0;
	EXPECT_EQ(NULL, readdir(list));
	EXPECT_EQ(EIO, errno);
	closedir(list);
	close(fd);
	EXPECT_EQ(0, umount_at("/mnt/b"));
	EXPECT_EQ(0, nullb_remove());
}

TEST_HARNESS_MAIN
