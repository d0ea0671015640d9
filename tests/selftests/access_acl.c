// SPDX-License-Identifier: GPL-2.0
/* POSIX ACLs: read, listed, obeyed, and switched off. */
#include "harness.h"

#include <sys/stat.h>
#include <sys/xattr.h>

#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

FIXTURE(acl) {
};

FIXTURE_VARIANT(acl) {
	const char *image;
};

FIXTURE_VARIANT_ADD(acl, inline_4096) { .image = "acl" };
FIXTURE_VARIANT_ADD(acl, inline_512) { .image = "acl-512" };
FIXTURE_VARIANT_ADD(acl, no_filter) { .image = "acl-nofilter" };
FIXTURE_VARIANT_ADD(acl, shared) { .image = "acl-shared" };
FIXTURE_VARIANT_ADD(acl, metabox) { .image = "acl-metabox" };

FIXTURE_SETUP(acl)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", NULL));
	ASSERT_EQ(0, chdir("/mnt/a"));
}

FIXTURE_TEARDOWN(acl)
{
}

TEST_F(acl, read)
{
	/* Version 2; owner rw, user 1001 r, group none, mask r, others none. */
	static const unsigned char expected[] = {
		2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xe9, 3, 0, 0, 4, 0, 0, 0, 255, 255, 255, 255,
		16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
	};
	static const char * const files[] = { "acl", "same-0", "same-3" };
	char value[128];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		EXPECT_EQ(44, getxattr(files[i], ACCESS, NULL, 0));
		ASSERT_EQ(44, getxattr(files[i], ACCESS, value, sizeof(value)));
		EXPECT_EQ(0, memcmp(value, expected, sizeof(expected)));
		EXPECT_ERRNO(ERANGE, getxattr(files[i], ACCESS, value, 43));
	}
	ASSERT_EQ(44, getxattr("dir", DEFAULT, value, sizeof(value)));
	EXPECT_EQ(0, memcmp(value, expected, sizeof(expected)));
	EXPECT_EQ(44, getxattr("dir", ACCESS, value, sizeof(value)));
	/* Through a link to the file; the link has none. */
	EXPECT_EQ(44, getxattr("link", ACCESS, value, sizeof(value)));
	EXPECT_ERRNO(EOPNOTSUPP, lgetxattr("link", ACCESS, value, sizeof(value)));
	EXPECT_ERRNO(ENODATA, getxattr("acl", DEFAULT, value, sizeof(value)));
	EXPECT_ERRNO(ENODATA, getxattr("none", ACCESS, value, sizeof(value)));
	EXPECT_ERRNO(ENODATA, getxattr("other", ACCESS, value, sizeof(value)));
	EXPECT_ERRNO(ENODATA, getxattr("dir/inside", ACCESS, value, sizeof(value)));
	EXPECT_ERRNO(EROFS, setxattr("acl", ACCESS, expected, sizeof(expected), 0));
	EXPECT_ERRNO(EROFS, removexattr("acl", ACCESS));
}

TEST_F(acl, listed)
{
	char list[256];

	EXPECT_EQ(sizeof(ACCESS), listxattr("acl", NULL, 0));
	ASSERT_EQ(sizeof(ACCESS), listxattr("acl", list, sizeof(ACCESS)));
	EXPECT_STREQ(ACCESS, list);
	EXPECT_ERRNO(ERANGE, listxattr("acl", list, sizeof(ACCESS) - 1));
	EXPECT_EQ(sizeof(ACCESS) + sizeof(DEFAULT), listxattr("dir", list, sizeof(list)));
	EXPECT_EQ(sizeof(ACCESS) + sizeof("user.beside") + sizeof("trusted.beside"), listxattr("group", list, sizeof(list)));
	EXPECT_EQ(0, listxattr("none", list, sizeof(list)));
}

TEST_F(acl, obeyed)
{
	static const struct {
		const char *path;
		uid_t id;
		int err;
	} table[] = {
		{ "acl", 0, 0 }, { "acl", 1001, 0 }, { "acl", 1002, EACCES },
		{ "denied", 1001, EACCES }, { "denied", 1002, 0 },
		{ "group", 2000, 0 }, { "group", 1001, EACCES },
		{ "dir/inside", 1001, 0 }, { "dir/inside", 1002, EACCES },
		{ "dir/deep/file", 1001, 0 }, { "dir/deep/file", 1002, EACCES },
		{ "other", 1001, EACCES }, { "none", 1001, 0 }, { "link", 1001, 0 }, { "link", 1002, EACCES },
	};

	/* Once from the disk, and once from what path walks under RCU find in memory. */
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
			EXPECT_EQ(table[i].err, open_as(table[i].id, table[i].path))
				TH_LOG("round %d: %s as %d", round, table[i].path, table[i].id);
		}
	}
	drop_caches(2);
	EXPECT_EQ(0, open_as(1001, "dir/deep/file"));
	EXPECT_EQ(EACCES, open_as(1002, "dir/deep/file"));
}

/* Off, only the mode counts, and nothing of the ACLs is to be seen. */
TEST_F(acl, off)
{
	char list[256];

	ASSERT_EQ(0, mount_image(variant->image, "/mnt/off", "noacl"));
	ASSERT_EQ(0, chdir("/mnt/off"));
	EXPECT_TRUE(option_shown("/mnt/off", "noacl"));
	EXPECT_ERRNO(EOPNOTSUPP, getxattr("acl", ACCESS, list, sizeof(list)));
	EXPECT_ERRNO(EOPNOTSUPP, getxattr("none", ACCESS, list, sizeof(list)));
	EXPECT_ERRNO(EOPNOTSUPP, getxattr("dir", DEFAULT, list, sizeof(list)));
	EXPECT_EQ(0, listxattr("acl", list, sizeof(list)));
	EXPECT_EQ(sizeof("user.beside") + sizeof("trusted.beside"), listxattr("group", list, sizeof(list)));
	EXPECT_EQ(EACCES, open_as(1001, "acl"));
	EXPECT_EQ(0, open_as(1001, "denied"));
	EXPECT_EQ(EACCES, open_as(2000, "group"));
	EXPECT_EQ(EACCES, open_as(1001, "dir/inside"));
}

/* Path walks ask the disk only for ACLs that there may be. */
TEST(known_to_have_none)
{
	char dev[DEV_LEN];
	struct stat st;
	int fd;
	long reads;

	ASSERT_EQ(0, private_mounts());
	fd = attach_image("acl", dev);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, mount_at(dev, "/mnt/a", NULL));
	close(fd);
	ASSERT_EQ(0, stat("/mnt/a/none", &st) | stat("/mnt/a/other", &st) | stat("/mnt/a/acl", &st));
	ASSERT_EQ(0, drop_caches(1));
	reads = device_reads(dev);
	EXPECT_EQ(0, open_as(1001, "/mnt/a/none"));
	EXPECT_EQ(EACCES, open_as(1001, "/mnt/a/other"));
	EXPECT_EQ(reads, device_reads(dev));
	EXPECT_EQ(0, open_as(1001, "/mnt/a/acl"));
	EXPECT_LT(reads, device_reads(dev));
}

/* As people look at them. */
TEST_F(acl, getfacl)
{
	static const char expected[] = "# file: dir\n# owner: 0\n# group: 0\nuser::rwx\nuser:1001:r-x\ngroup::r-x\nmask::r-x\n"
		"other::---\ndefault:user::rw-\ndefault:user:1001:r--\ndefault:group::---\ndefault:mask::r--\ndefault:other::---\n\n";
	char out[1024];
	int status = output_of("getfacl -n dir", out, sizeof(out));

	if (status == 127)
		SKIP(return, "no getfacl");
	EXPECT_EQ(0, status);
	EXPECT_STREQ(expected, out);
	EXPECT_EQ(0, output_of("getfacl -n -s -R .", out, sizeof(out)));
	EXPECT_NE(NULL, strstr(out, "# file: group\n"));
	EXPECT_EQ(NULL, strstr(out, "# file: none\n"));
}

/* A header alone is no ACL: the mode counts. */
TEST(no_entries)
{
	char value[64];

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("good-acl-no-entries", "/mnt/a", NULL));
	EXPECT_ERRNO(ENODATA, getxattr("/mnt/a/tiny", ACCESS, value, sizeof(value)));
	EXPECT_EQ(sizeof(ACCESS), listxattr("/mnt/a/tiny", value, sizeof(value)));
	EXPECT_EQ(0, open_as(1001, "/mnt/a/tiny"));
}

/* An ACL that cannot be read keeps out whom it may be about, not the owner. */
TEST(damaged)
{
	static const struct {
		const char *image;
		int err;
	} table[] = {
		{ "bad-acl-empty", EINVAL }, { "bad-acl-version", EOPNOTSUPP }, { "bad-acl-size", EINVAL }, { "bad-acl-tag", EINVAL },
		{ "bad-acl-long", EUCLEAN },
	};

	ASSERT_EQ(0, private_mounts());
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		ASSERT_EQ(0, mount_image(table[i].image, "/mnt/a", NULL));
		EXPECT_EQ(table[i].err, open_as(1001, "/mnt/a/tiny"));
		EXPECT_EQ(0, open_as(0, "/mnt/a/tiny"));
		ASSERT_EQ(0, umount_at("/mnt/a"));
	}
}

TEST_HARNESS_MAIN
