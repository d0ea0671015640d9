// SPDX-License-Identifier: GPL-2.0
/* Overlayfs above: what containers and composefs make of images. */
#include "harness.h"

#include <dirent.h>
#include <linux/mount.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

FIXTURE(overlay) {
};

FIXTURE_VARIANT(overlay) {
	const char *lower, *base;
};

FIXTURE_VARIANT_ADD(overlay, plain) { .lower = "overlay-lower", .base = "plain-4096" };
FIXTURE_VARIANT_ADD(overlay, prefix) { .lower = "overlay-lower-prefix", .base = "plain-512" };
FIXTURE_VARIANT_ADD(overlay, compressed) { .lower = "overlay-lower-lz4", .base = "lz4" };

FIXTURE_SETUP(overlay)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->lower, "/mnt/lower", NULL));
	ASSERT_EQ(0, mount_image(variant->base, "/mnt/base", NULL));
	ASSERT_EQ(0, mkdir("/mnt/upper", 0755) | mkdir("/mnt/work", 0755) | mkdir("/mnt/merged", 0755));
	ASSERT_EQ(0, mount("overlay", "/mnt/merged", "overlay", 0,
			   "lowerdir=/mnt/lower:/mnt/base,upperdir=/mnt/upper,workdir=/mnt/work"));
}

FIXTURE_TEARDOWN(overlay)
{
	/* Whatever the overlay has opened is given back. */
	EXPECT_EQ(0, umount_at("/mnt/merged"));
	EXPECT_EQ(0, umount_at("/mnt/lower"));
	EXPECT_EQ(0, umount_at("/mnt/base"));
}

static int entries(const char *path)
{
	DIR *dir = opendir(path);
	int count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

/* The upper image takes things away from the lower one, and adds some. */
TEST_F(overlay, layers)
{
	struct stat st;

	EXPECT_EQ(-ENOENT, open_read("/mnt/merged", "hard-link", 0));
	EXPECT_EQ(0, same_bytes("/mnt/merged", "file/text", "/mnt/base", "file/text"));
	EXPECT_EQ(0, same_bytes("/mnt/merged", "file/added", "/mnt/lower", "file/added"));
	EXPECT_EQ(0, same_bytes("/mnt/merged", "file/twelve", "/mnt/lower", "file/twelve"));
	EXPECT_EQ(-EUCLEAN, same_bytes("/mnt/merged", "file/twelve", "/mnt/base", "file/twelve"));
	/* Opaque: nothing of the folder below. */
	EXPECT_EQ(3, entries("/mnt/merged/many"));
	EXPECT_EQ(0, stat("/mnt/merged/many/only", &st));
	/* The driver itself shows what overlayfs takes as signs. */
	ASSERT_EQ(0, stat("/mnt/lower/hard-link", &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0));
	EXPECT_EQ(1, getxattr("/mnt/lower/many", "trusted.overlay.opaque", NULL, 0));
	EXPECT_ERRNO(ENODATA, getxattr("/mnt/merged/many", "trusted.overlay.opaque", NULL, 0));
	EXPECT_EQ(0, stat("/mnt/merged/redirected/twelve", &st));
	EXPECT_EQ(0, same_bytes("/mnt/merged", "redirected/size-5000", "/mnt/base", "file/size-5000"));
}

TEST_F(overlay, copy_up)
{
	int fd = open("/mnt/merged/file/text", O_RDWR);
	struct stat before, after;
	char value[16];

	ASSERT_EQ(0, stat("/mnt/base/file/text", &before));
	ASSERT_GE(fd, 0);
	ASSERT_EQ(5, pwrite(fd, "write", 5, 4096));
	close(fd);
	EXPECT_EQ(-EUCLEAN, same_bytes("/mnt/merged", "file/text", "/mnt/base", "file/text"));
	ASSERT_EQ(0, stat("/mnt/merged/file/text", &after));
	EXPECT_EQ(before.st_size, after.st_size);
	EXPECT_EQ(before.st_mode, after.st_mode);
	/* With its xattrs. */
	ASSERT_EQ(0, chmod("/mnt/merged/xattr/all", 0600));
	EXPECT_EQ(5, getxattr("/mnt/merged/xattr/all", "user.text", value, sizeof(value)));
	EXPECT_EQ(5, getxattr("/mnt/upper/xattr/all", "user.text", value, sizeof(value)));
	EXPECT_EQ(26, getxattr("/mnt/upper/xattr/all", "security.label", NULL, 0));
	ASSERT_EQ(0, unlink("/mnt/merged/file/random"));
	EXPECT_EQ(-ENOENT, open_read("/mnt/merged", "file/random", 0));
	ASSERT_EQ(0, rename("/mnt/merged/link/fast", "/mnt/merged/link/renamed"));
	EXPECT_EQ(0, lstat("/mnt/merged/link/renamed", &after));
	EXPECT_EQ(0, mkdir("/mnt/merged/many/new", 0700));
}

static int exec_hello(const void *path)
{
	execl(path, "hello", NULL);
	return 99;
}

static int exec_script(const void *path)
{
	execl(path, "script", NULL);
	return 99;
}

TEST_F(overlay, executes)
{
	EXPECT_EQ(41, wait_child(spawn(exec_hello, "/mnt/merged/bin/hello"), 30));
	EXPECT_EQ(7, wait_child(spawn(exec_script, "/mnt/merged/bin/script"), 30));
}

TEST_F(overlay, maps)
{
	int fd = open_read("/mnt/merged", "file/random", 0);
	uint32_t mapped, read, below;
	char *map;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, file_crc_mmap(fd, &mapped));
	ASSERT_EQ(0, file_crc(fd, &read));
	ASSERT_EQ(0, path_crc("/mnt/base", "file/random", &below));
	EXPECT_EQ(below, mapped);
	EXPECT_EQ(below, read);
	map = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(1, count_in_file("/proc/self/maps", "/mnt/merged/file/random"));
	munmap(map, PAGE);
	close(fd);
}

TEST_F(overlay, reads_directly)
{
	char *buf = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), expected[8192];
	int fd = open("/mnt/merged/file/random", O_RDONLY | O_DIRECT), plain = open_read("/mnt/base", "file/random", 0);

	/* What is compressed cannot be read directly, here as on the image itself. */
	if (fd < 0) {
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-EINVAL, open_read("/mnt/base", "file/random", O_DIRECT));
		close(plain);
		return;
	}
	ASSERT_EQ(8192, pread(fd, buf, 8192, 4096));
	ASSERT_EQ(8192, pread(plain, expected, 8192, 4096));
	EXPECT_EQ(0, memcmp(buf, expected, 8192));
	close(fd);
	close(plain);
}

/* Files whose names, modes and xattrs are in one image and whose data is in another one, below names that nobody sees. */
TEST(data_only_layers)
{
	static const char * const files[][2] = {
		{ "text", "file/text" }, { "random", "file/random" }, { "folder/size-5000", "file/size-5000" },
	};
	int fc, mnt, fd;
	struct stat st;

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("overlay-meta", "/mnt/meta", NULL));
	ASSERT_EQ(0, mount_image("plain-4096", "/mnt/data", NULL));
	ASSERT_EQ(0, mkdir("/mnt/merged", 0755));
	fc = syscall(SYS_fsopen, "overlay", 0);
	ASSERT_GE(fc, 0);
	ASSERT_EQ(0, syscall(SYS_fsconfig, fc, FSCONFIG_SET_STRING, "metacopy", "on", 0));
	ASSERT_EQ(0, syscall(SYS_fsconfig, fc, FSCONFIG_SET_STRING, "redirect_dir", "on", 0));
	ASSERT_EQ(0, syscall(SYS_fsconfig, fc, FSCONFIG_SET_STRING, "lowerdir+", "/mnt/meta", 0));
	ASSERT_EQ(0, syscall(SYS_fsconfig, fc, FSCONFIG_SET_STRING, "datadir+", "/mnt/data", 0));
	ASSERT_EQ(0, syscall(SYS_fsconfig, fc, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	mnt = syscall(SYS_fsmount, fc, 0, MOUNT_ATTR_RDONLY);
	ASSERT_GE(mnt, 0);
	ASSERT_EQ(0, syscall(SYS_move_mount, mnt, "", AT_FDCWD, "/mnt/merged", MOVE_MOUNT_F_EMPTY_PATH));
	close(mnt);
	close(fc);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		EXPECT_EQ(0, same_bytes("/mnt/merged", files[i][0], "/mnt/data", files[i][1]))
			TH_LOG("%s", files[i][0]);
	}
	ASSERT_EQ(0, stat("/mnt/merged/text", &st));
	EXPECT_EQ(0604, st.st_mode & 07777);
	EXPECT_EQ(1234, st.st_uid);
	EXPECT_EQ(5, getxattr("/mnt/merged/text", "user.name", NULL, 0));
	EXPECT_EQ(41, wait_child(spawn(exec_hello, "/mnt/merged/hello"), 30));
	fd = open_read("/mnt/merged", "random", O_DIRECT);
	EXPECT_GE(fd, 0);
	close(fd);
}

TEST(acls_through_an_overlay)
{
	char value[64];

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("acl", "/mnt/a", NULL));
	ASSERT_EQ(0, mkdir("/mnt/upper", 0755) | mkdir("/mnt/work", 0755) | mkdir("/mnt/merged", 0755));
	ASSERT_EQ(0, mount("overlay", "/mnt/merged", "overlay", 0, "lowerdir=/mnt/a,upperdir=/mnt/upper,workdir=/mnt/work"));
	EXPECT_EQ(0, open_as(1001, "/mnt/merged/acl"));
	EXPECT_EQ(EACCES, open_as(1001, "/mnt/merged/denied"));
	EXPECT_EQ(44, getxattr("/mnt/merged/acl", "system.posix_acl_access", value, sizeof(value)));
	ASSERT_EQ(0, chmod("/mnt/merged/acl", 0660));
	EXPECT_EQ(44, getxattr("/mnt/upper/acl", "system.posix_acl_access", value, sizeof(value)));
	EXPECT_EQ(0, open_as(1001, "/mnt/merged/acl"));
}

TEST_HARNESS_MAIN
