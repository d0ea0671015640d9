// SPDX-License-Identifier: GPL-2.0
/* The mount options of sharing: what they demand, what they show, and what stays secret. */
#include "harness.h"

#include <dirent.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#define SECRET "xyzzy-plugh-4711"

FIXTURE(options) {
};

FIXTURE_SETUP(options)
{
	ASSERT_EQ(0, private_mounts());
}

FIXTURE_TEARDOWN(options)
{
}

TEST_F(options, sharing_needs_a_domain)
{
	EXPECT_EQ(-EINVAL, mount_image("share-a", "/mnt/a", "inode_share"));
	EXPECT_EQ(-EINVAL, mount_image("share-a", "/mnt/a", "domain_id=,inode_share"));
	EXPECT_EQ(-EINVAL, mount_image("share-a", "/mnt/a", "domain_id=x,noinode_share"));
	EXPECT_EQ(-EINVAL, mount_image("share-a", "/mnt/a", "domain_id=x,inode_share=1"));
	EXPECT_EQ(0, mount_image("share-a", "/mnt/a", "inode_share,domain_id=x"));
}

TEST_F(options, sharing_is_shown_where_it_is_on)
{
	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", "domain_id=x,inode_share"));
	EXPECT_TRUE(option_shown("/mnt/a", "inode_share"));
	ASSERT_EQ(0, mount_image("share-a", "/mnt/b", "domain_id=x"));
	EXPECT_FALSE(option_shown("/mnt/b", "inode_share"));
	ASSERT_EQ(0, mount_image("share-a", "/mnt/c", NULL));
	EXPECT_FALSE(option_shown("/mnt/c", "inode_share"));
}

TEST_F(options, image_without_fingerprints_mounts_and_says_why_it_shares_nothing)
{
	int log = klog_open();
	char line[512];

	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/a", "domain_id=x,inode_share"));
	EXPECT_FALSE(option_shown("/mnt/a", "inode_share"));
	EXPECT_TRUE(klog_contains(log, "inode_share"));
	EXPECT_EQ(0, mount_image("share-a", "/mnt/b", "domain_id=x,inode_share"));
	EXPECT_EQ(0, klog_erofs(log, line, sizeof(line)) && strstr(line, "inode_share"));
}

TEST_F(options, last_domain_wins)
{
	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", "domain_id=one,inode_share,domain_id=two"));
	ASSERT_EQ(0, mount_image("share-b", "/mnt/b", "domain_id=two,inode_share"));
	EXPECT_EQ(16, frames_shared("/mnt/a", "common", "/mnt/b", "common", 16));
}

TEST_F(options, sharing_does_not_change_on_remount)
{
	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", DOMAIN));
	ASSERT_EQ(0, mount_image("share-b", "/mnt/b", DOMAIN));
	ASSERT_EQ(0, mount_image("share-a", "/mnt/c", NULL));
	EXPECT_EQ(-EINVAL, remount_at("/mnt/a", "domain_id=other"));
	EXPECT_EQ(-EINVAL, remount_at("/mnt/c", "inode_share"));
	EXPECT_EQ(-EINVAL, remount_at("/mnt/c", DOMAIN));
	/* Refused as a whole. */
	EXPECT_EQ(-EINVAL, remount_at("/mnt/a", "nouser_xattr,domain_id=other"));
	EXPECT_TRUE(option_shown("/mnt/a", "user_xattr"));
	/* Not naming it leaves it alone. */
	EXPECT_EQ(0, remount_at("/mnt/a", NULL));
	EXPECT_TRUE(option_shown("/mnt/a", "inode_share"));
	EXPECT_FALSE(option_shown("/mnt/c", "inode_share"));
	EXPECT_EQ(256, frames_shared("/mnt/a", "common", "/mnt/b", "common", 256));
	EXPECT_EQ(0, frames_shared("/mnt/a", "common", "/mnt/c", "common", 256));
}

/* Shared although nobody can see the xattr that says so. */
TEST_F(options, fingerprint_counts_where_xattrs_are_hidden)
{
	ASSERT_EQ(0, mount_image("forged-a-4096", "/mnt/a", DOMAIN ",nouser_xattr"));
	ASSERT_EQ(0, mount_image("forged-b-4096", "/mnt/b", DOMAIN));
	EXPECT_EQ(-1, getxattr("/mnt/a/same", "user.fp", NULL, 0));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(3, getxattr("/mnt/b/same", "user.fp", NULL, 0));
	EXPECT_EQ(2, frames_shared("/mnt/a", "same", "/mnt/b", "same", 2));
}

TEST_F(options, hidden_name_is_not_listed)
{
	char list[256];

	ASSERT_EQ(0, mount_image("share-a-hidden", "/mnt/a", DOMAIN));
	EXPECT_EQ(0, listxattr("/mnt/a/common", list, sizeof(list)));
	EXPECT_EQ(-1, getxattr("/mnt/a/common", "erofs.fingerprint.v1", list, sizeof(list)));
	EXPECT_EQ(EOPNOTSUPP, errno);
}

/* How often the secret stands in what lies below @path, as name or content. */
static int search(const char *path, int depth)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	char child[4096];
	int found = 0;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
		if (strstr(entry->d_name, SECRET))
			found++;
		if (entry->d_type == DT_DIR && depth)
			found += search(child, depth - 1);
		else if (entry->d_type == DT_REG && count_in_file(child, SECRET) > 0)
			found++;
	}
	if (dir)
		closedir(dir);
	return found;
}

TEST_F(options, domain_is_a_secret)
{
	static const char * const files[] = { "/proc/mounts", "/proc/self/mountinfo", "/proc/self/mountstats",
		"/proc/slabinfo", "/proc/self/maps", "/proc/locks" };
	char options[64], text[1024];
	int log = klog_open(), fc, n;
	uint32_t crc;

	/* A mount that works and some that do not, each of which might tell. */
	snprintf(options, sizeof(options), "domain_id=%s,inode_share", SECRET);
	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", options));
	ASSERT_EQ(0, mount_image("forged-a-4096", "/mnt/c", options));
	ASSERT_EQ(0, mount_image("forged-b-4096", "/mnt/d", options));
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/e", options));
	EXPECT_EQ(0, path_crc("/mnt/a", "common", &crc));
	EXPECT_EQ(0, path_crc("/mnt/c", "size", &crc));
	EXPECT_EQ(0, path_crc("/mnt/d", "size", &crc));
	EXPECT_EQ(-EINVAL, mount_image("bad-magic", "/mnt/b", options));
	snprintf(options, sizeof(options), "domain_id=%s,bogus", SECRET);
	EXPECT_EQ(-EINVAL, mount_image("share-a", "/mnt/b", options));
	snprintf(options, sizeof(options), "domain_id=another-%s", SECRET);
	EXPECT_EQ(-EINVAL, remount_at("/mnt/a", options));
	fc = syscall(SYS_fsopen, "erofs", 0);
	ASSERT_GE(fc, 0);
	syscall(SYS_fsconfig, fc, FSCONFIG_SET_STRING, "domain_id", SECRET, 0);
	syscall(SYS_fsconfig, fc, FSCONFIG_SET_FLAG, "inode_share", NULL, 0);
	EXPECT_NE(0, syscall(SYS_fsconfig, fc, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	while ((n = read(fc, text, sizeof(text) - 1)) > 0) {
		text[n] = 0;
		EXPECT_EQ(NULL, strstr(text, SECRET));
	}

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		EXPECT_GE(0, count_in_file(files[i], SECRET))
			TH_LOG("%s", files[i]);
	}
	/* What the searching finds, it does find. */
	ASSERT_LT(0, count_in_file("/proc/self/mountinfo", "/mnt/a"));
	EXPECT_EQ(0, search("/sys/fs/erofs", 4));
	EXPECT_EQ(0, search("/sys/module/erofs", 2));
	EXPECT_EQ(0, search("/sys/kernel/debug", 0));
	EXPECT_EQ(0, search("/sys/kernel/debug/erofs", 3));
	EXPECT_FALSE(klog_contains(log, SECRET));
}

TEST_HARNESS_MAIN
