// SPDX-License-Identifier: GPL-2.0
/* Mount options: what is taken, refused, shown, and what it does. */
#include "harness.h"

#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

FIXTURE(mnt) {
};

FIXTURE_SETUP(mnt)
{
	ASSERT_EQ(0, private_mounts());
}

FIXTURE_TEARDOWN(mnt)
{
}

TEST_F(mnt, refused)
{
	static const char * const options[] = {
		"bogus", "bogus=1", "fsid=x", "context=x", "noatime", "user_xattr=1", "cache_strategy=", "cache_strategy=bad",
		"cache_strategy", "fsoffset=abc", "fsoffset=-1", "fsoffset=", "domain_id", "domain_id=", "dax=bad", "nodax",
		"directio=1", "noinode_share", "source=/dev/null",
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		EXPECT_EQ(-EINVAL, mount_image("small", "/mnt/a", options[i]))
			TH_LOG("%s", options[i]);
	}
}

TEST_F(mnt, taken)
{
	static const char * const options[] = {
		"user_xattr", "nouser_xattr", "acl", "noacl", "acl,noacl,acl", "cache_strategy=disabled", "cache_strategy=readahead",
		"cache_strategy=readaround", "directio", "nodirectio", "domain_id=x", "fsoffset=0", "fsoffset=0x0",
		"nouser_xattr,user_xattr,nouser_xattr",
	};

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		EXPECT_EQ(0, mount_image("small", "/mnt/a", options[i]))
			TH_LOG("%s", options[i]);
		umount_at("/mnt/a");
	}
}

TEST_F(mnt, shown)
{
	static const struct {
		const char *options, *shown;
	} table[] = {
		{ NULL, "ro,user_xattr,acl" }, { "nouser_xattr", "ro,nouser_xattr,acl" }, { "noacl", "ro,user_xattr,noacl" },
		{ "user_xattr,nouser_xattr,user_xattr", "ro,user_xattr,acl" }, { "noacl,acl,noacl", "ro,user_xattr,noacl" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const char *shown;

		ASSERT_EQ(0, mount_image("small", "/mnt/a", table[i].options));
		shown = shown_options("/mnt/a");
		EXPECT_EQ(0, strncmp(shown, table[i].shown, strlen(table[i].shown)))
			TH_LOG("%s", shown);
		/* Without compression there is no strategy, and for block devices no direct I/O to show. */
		EXPECT_EQ(NULL, strstr(shown, "cache_strategy"));
		EXPECT_EQ(NULL, strstr(shown, "fsoffset"));
		EXPECT_EQ(0, umount_at("/mnt/a"));
	}
	ASSERT_EQ(0, mount_image("small", "/mnt/a", "directio,cache_strategy=disabled"));
	EXPECT_EQ(NULL, strstr(shown_options("/mnt/a"), "directio"));
	EXPECT_EQ(NULL, strstr(shown_options("/mnt/a"), "cache_strategy"));
	ASSERT_EQ(0, mount_image("lz4", "/mnt/b", NULL));
	EXPECT_TRUE(option_shown("/mnt/b", "cache_strategy=readaround"));
	ASSERT_EQ(0, mount_image("lz4", "/mnt/c", "cache_strategy=disabled"));
	EXPECT_TRUE(option_shown("/mnt/c", "cache_strategy=disabled"));
}

TEST_F(mnt, fsoffset)
{
	static const char * const spellings[] = { "fsoffset=65536", "fsoffset=0x10000", "fsoffset=0200000" };

	ASSERT_EQ(0, mount_image("small", "/mnt/small", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
		ASSERT_EQ(0, mount_image("late", "/mnt/a", spellings[i]));
		EXPECT_TRUE(option_shown("/mnt/a", "fsoffset=65536"));
		EXPECT_EQ(0, same_bytes("/mnt/a", "flat", "/mnt/small", "flat"));
		EXPECT_EQ(0, same_bytes("/mnt/a", "inline", "/mnt/small", "inline"));
		EXPECT_EQ(0, umount_at("/mnt/a"));
	}
	EXPECT_EQ(-EINVAL, mount_image("late", "/mnt/a", NULL));
	EXPECT_EQ(-EINVAL, mount_image("late", "/mnt/a", "fsoffset=65537"));
}

TEST_F(mnt, user_xattrs_off)
{
	char list[256];

	ASSERT_EQ(0, mount_image("small", "/mnt/a", "nouser_xattr"));
	EXPECT_EQ(-1, getxattr("/mnt/a/tiny", "user.a", NULL, 0));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(0, listxattr("/mnt/a/tiny", list, sizeof(list)));
}

TEST_F(mnt, read_only)
{
	char dev[DEV_LEN], line[4096];
	int fd = attach_image("small", dev);

	/* The device is read-only, and nobody said that the mount is to be. */
	mkdir("/mnt/a", 0755);
	EXPECT_EQ(-1, mount(dev, "/mnt/a", "erofs", 0, NULL));
	EXPECT_EQ(EACCES, errno);
	ASSERT_EQ(0, mount_at(dev, "/mnt/a", NULL));
	close(fd);
	EXPECT_EQ(-1, mount(NULL, "/mnt/a", NULL, MS_REMOUNT, NULL));
	EXPECT_EQ(EACCES, errno);
	EXPECT_TRUE(option_shown("/mnt/a", "ro"));
	ASSERT_LT(0, read_file("/proc/filesystems", line, sizeof(line)));
	EXPECT_NE(NULL, strstr(line, "\n\terofs\n"));
	EXPECT_EQ(NULL, strstr(line, "pseudo_erofs"));
}

/* Where nothing stands against writing, a remount without "ro" is taken, and nothing comes of it. */
TEST_F(mnt, remounted_for_writing)
{
	ASSERT_EQ(0, copy_image("small", "/dev/ram0"));
	ASSERT_EQ(0, mount_at("/dev/ram0", "/mnt/a", NULL));
	ASSERT_EQ(0, mount_file("small", "/mnt/b", NULL));
	for (const char *dir = "/mnt/a"; dir; dir = dir[5] == 'a' ? "/mnt/b" : NULL) {
		ASSERT_EQ(0, chdir(dir));
		EXPECT_EQ(0, mount(NULL, dir, NULL, MS_REMOUNT, NULL))
			TH_LOG("%s", dir);
		EXPECT_TRUE(option_shown(dir, "ro"));
		EXPECT_ERRNO(EROFS, mkdir("new", 0755));
		EXPECT_ERRNO(EROFS, open("flat", O_RDWR));
		ASSERT_EQ(0, chdir("/"));
		EXPECT_EQ(0, umount_at(dir));
	}
}

TEST_F(mnt, sources)
{
	mkdir("/mnt/dir", 0755);
	EXPECT_EQ(-ENOENT, mount_at("/mnt/missing", "/mnt/a", NULL));
	EXPECT_EQ(-ENOENT, mount_at("none", "/mnt/a", NULL));
	EXPECT_EQ(-EINVAL, mount_at("", "/mnt/a", NULL));
	EXPECT_EQ(-ENOTBLK, mount_at("/mnt/dir", "/mnt/a", NULL));
	EXPECT_EQ(-ENOTBLK, mount_at("/dev/null", "/mnt/a", NULL));
}

TEST_F(mnt, failed_option_leaves_the_context_usable)
{
	char dev[DEV_LEN], text[256];
	int fd = attach_image("small", dev), fc = syscall(SYS_fsopen, "erofs", 0);

	ASSERT_GE(fc, 0);
	EXPECT_EQ(0, syscall(SYS_fsconfig, fc, FSCONFIG_SET_STRING, "source", dev, 0));
	EXPECT_EQ(-1, syscall(SYS_fsconfig, fc, FSCONFIG_SET_STRING, "source", dev, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, syscall(SYS_fsconfig, fc, FSCONFIG_SET_FLAG, "ro", NULL, 0));
	EXPECT_EQ(-1, syscall(SYS_fsconfig, fc, FSCONFIG_SET_FLAG, "bogus", NULL, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_LT(0, read(fc, text, sizeof(text)));
	EXPECT_EQ('e', text[0]);
	EXPECT_EQ(0, syscall(SYS_fsconfig, fc, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	close(fc);
	close(fd);
}

TEST_F(mnt, busy_and_lazy_unmount)
{
	char name[DEV_LEN], path[128], byte;
	int fd;

	ASSERT_EQ(0, mount_image("small", "/mnt/a", NULL));
	ASSERT_EQ(0, sb_name("/mnt/a", name));
	snprintf(path, sizeof(path), "/sys/fs/erofs/%s", name);
	EXPECT_EQ(0, access(path, F_OK));
	fd = open_read("/mnt/a", "flat", 0);
	EXPECT_EQ(-EBUSY, umount_at("/mnt/a"));
	EXPECT_EQ(0, umount2("/mnt/a", MNT_DETACH));
	EXPECT_EQ(1, pread(fd, &byte, 1, 5000));
	EXPECT_EQ(0, access(path, F_OK));
	close(fd);
	EXPECT_EQ(-1, access(path, F_OK));
}

TEST_HARNESS_MAIN
