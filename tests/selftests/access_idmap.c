// SPDX-License-Identifier: GPL-2.0
/* Mounts with mapped ids, and mounting inside a user namespace. */
#include "harness.h"

#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#define ACCESS "system.posix_acl_access"
#define SHIFT 10000

static int in_user_ns(const void *arg)
{
	int ready = ((const int *)arg)[1];

	if (unshare(CLONE_NEWUSER))
		return 1;
	if (write(ready, "", 1) != 1)
		return 2;
	pause();
	return 0;
}

/* A user namespace whose ids 0.. are SHIFT.. outside. */
static int user_ns(void)
{
	const char *files[] = { "uid_map", "gid_map" };
	char path[64], map[64], byte;
	int pipes[2], fd, n;
	pid_t pid;

	if (pipe(pipes))
		return -errno;
	pid = spawn(in_user_ns, pipes);
	if (read(pipes[0], &byte, 1) != 1)
		return -EPIPE;
	n = snprintf(map, sizeof(map), "0 %d 100000", SHIFT);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
		fd = open(path, O_WRONLY);
		if (fd < 0 || write(fd, map, n) != n)
			return -errno;
		close(fd);
	}
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	kill(pid, SIGKILL);
	wait_child(pid, 20);
	close(pipes[0]);
	close(pipes[1]);
	return fd < 0 ? -errno : fd;
}

/* What is mounted on @from, once more on @to, with ids shifted. */
static int mount_shifted(const char *from, const char *to)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	int tree = syscall(SYS_open_tree, AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), err, ns = user_ns();

	if (tree < 0 || ns < 0)
		return tree < 0 ? -errno : ns;
	attr.userns_fd = ns;
	err = syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) ? -errno : 0;
	if (!err && mkdir(to, 0755) && errno != EEXIST)
		err = -errno;
	if (!err)
		err = syscall(SYS_move_mount, tree, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) ? -errno : 0;
	close(tree);
	close(ns);
	return err;
}

FIXTURE(idmap) {
};

FIXTURE_SETUP(idmap)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("acl", "/mnt/a", NULL));
	ASSERT_EQ(0, mount_shifted("/mnt/a", "/mnt/shifted"));
}

FIXTURE_TEARDOWN(idmap)
{
}

TEST_F(idmap, owners)
{
	struct statx stx;
	struct stat st;

	ASSERT_EQ(0, stat("/mnt/shifted/acl", &st));
	EXPECT_EQ(SHIFT, st.st_uid);
	EXPECT_EQ(SHIFT, st.st_gid);
	ASSERT_EQ(0, statx(AT_FDCWD, "/mnt/shifted/acl", 0, STATX_BASIC_STATS, &stx));
	EXPECT_EQ(SHIFT, stx.stx_uid);
	ASSERT_EQ(0, stat("/mnt/a/acl", &st));
	EXPECT_EQ(0, st.st_uid);
	ASSERT_EQ(0, mount_image("plain-4096", "/mnt/b", NULL));
	ASSERT_EQ(0, mount_shifted("/mnt/b", "/mnt/shifted-b"));
	ASSERT_EQ(0, stat("/mnt/shifted-b/file/owned", &st));
	EXPECT_EQ(SHIFT + 70000, st.st_uid);
	EXPECT_EQ(SHIFT + 80000, st.st_gid);
}

TEST_F(idmap, ids_in_acls)
{
	uint32_t plain[11], shifted[11];

	ASSERT_EQ(44, getxattr("/mnt/a/acl", ACCESS, plain, sizeof(plain)));
	ASSERT_EQ(44, getxattr("/mnt/shifted/acl", ACCESS, shifted, sizeof(shifted)));
	EXPECT_EQ(1001, plain[4]);
	EXPECT_EQ(SHIFT + 1001, shifted[4]);
	/* Once more, from what the first look has cached. */
	ASSERT_EQ(44, getxattr("/mnt/a/acl", ACCESS, plain, sizeof(plain)));
	EXPECT_EQ(1001, plain[4]);
}

TEST_F(idmap, permissions)
{
	static const struct {
		const char *path;
		uid_t id;
		int err;
	} table[] = {
		{ "/mnt/shifted/acl", SHIFT, 0 }, { "/mnt/shifted/acl", 1001, EACCES },
		{ "/mnt/shifted/acl", SHIFT + 1001, 0 }, { "/mnt/a/acl", SHIFT + 1001, EACCES },
		{ "/mnt/a/acl", 1001, 0 }, { "/mnt/shifted/denied", SHIFT + 1001, EACCES },
		{ "/mnt/shifted/denied", 1001, 0 }, { "/mnt/shifted/group", SHIFT + 2000, 0 },
		{ "/mnt/shifted/dir/deep/file", SHIFT + 1001, 0 }, { "/mnt/shifted/dir/deep/file", 1001, EACCES },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		EXPECT_EQ(table[i].err, open_as(table[i].id, table[i].path))
			TH_LOG("%s as %d", table[i].path, table[i].id);
	}
}

TEST_F(idmap, capability)
{
	uint32_t caps[6];

	/* Root's outside; by the mapped mount root of the namespace is meant, which such an xattr must then name. */
	EXPECT_EQ(20, getxattr("/mnt/a/capable", "security.capability", caps, sizeof(caps)));
	EXPECT_EQ(0x02000001, caps[0]);
	ASSERT_EQ(24, getxattr("/mnt/shifted/capable", "security.capability", caps, sizeof(caps)));
	EXPECT_EQ(0x03000001, caps[0]);
	EXPECT_EQ(SHIFT, caps[5]);
}

static int mount_inside(const void *dev)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return 200;
	if (!mount(dev, "/mnt/b", "erofs", MS_RDONLY, NULL))
		return 0;
	return errno;
}

TEST(no_mounts_in_user_namespaces)
{
	char dev[DEV_LEN];
	int fd;

	ASSERT_EQ(0, private_mounts());
	fd = attach_image("small", dev);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, mkdir("/mnt/b", 0755));
	EXPECT_EQ(EPERM, wait_child(spawn(mount_inside, dev), 20));
	close(fd);
}

TEST_HARNESS_MAIN
