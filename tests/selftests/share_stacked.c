// SPDX-License-Identifier: GPL-2.0
/* Overlayfs and loop devices on top of shared files. */
#include "harness.h"

#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define COMMON_PAGES 256

FIXTURE(stacked) {
};

FIXTURE_SETUP(stacked)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/private", NULL));
	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", DOMAIN));
	ASSERT_EQ(0, mount_image("share-b", "/mnt/b", DOMAIN));
	ASSERT_EQ(0, mkdir("/mnt/upper", 0755) + mkdir("/mnt/work", 0755) + mkdir("/mnt/merged", 0755));
	ASSERT_EQ(0, mount("overlay", "/mnt/merged", "overlay", 0, "lowerdir=/mnt/a,upperdir=/mnt/upper,workdir=/mnt/work"));
}

FIXTURE_TEARDOWN(stacked)
{
}

TEST_F(stacked, overlay_shares)
{
	EXPECT_EQ(0, same_bytes("/mnt/merged", "common", "/mnt/private", "common"));
	EXPECT_EQ(COMMON_PAGES, frames_shared("/mnt/merged", "common", "/mnt/b", "common", COMMON_PAGES));
	EXPECT_EQ(0, same_bytes("/mnt/merged", "tail", "/mnt/private", "tail"));
}

/* A copy is private, and the shared pages stay as they are. */
TEST_F(stacked, copy_up)
{
	int fd = open("/mnt/merged/common", O_RDWR);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(5, pwrite(fd, "write", 5, 4096));
	EXPECT_EQ(-EUCLEAN, same_bytes("/mnt/merged", "common", "/mnt/private", "common"));
	EXPECT_EQ(0, same_bytes("/mnt/a", "common", "/mnt/private", "common"));
	EXPECT_EQ(0, same_bytes("/mnt/b", "common", "/mnt/private", "common"));
	close(fd);
	ASSERT_EQ(0, unlink("/mnt/merged/tail"));
	EXPECT_EQ(-ENOENT, open_read("/mnt/merged", "tail", 0));
	EXPECT_EQ(0, same_bytes("/mnt/b", "tail", "/mnt/private", "tail"));
}

static int exec_hello(const void *path)
{
	execl(path, "hello", NULL);
	return 99;
}

TEST_F(stacked, overlay_executes)
{
	EXPECT_EQ(41, wait_child(spawn(exec_hello, "/mnt/merged/hello"), 30));
}

TEST_F(stacked, overlay_reads_directly)
{
	char *buf = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), expected[8192];
	int fd = open("/mnt/merged/common", O_RDONLY | O_DIRECT), plain = open_read("/mnt/private", "common", 0);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(8192, pread(fd, buf, 8192, 4096));
	ASSERT_EQ(8192, pread(plain, expected, 8192, 4096));
	EXPECT_EQ(0, memcmp(buf, expected, 8192));
}

/* A device over a shared file is read through its shared pages. */
TEST_F(stacked, loop_device)
{
	struct loop_config config = { .fd = open_read("/mnt/a", "common", 0),
		.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR), fd;
	uint32_t crc, expected;
	char dev[DEV_LEN];

	snprintf(dev, sizeof(dev), "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
	fd = open(dev, O_RDONLY);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, ioctl(fd, LOOP_CONFIGURE, &config));
	close(config.fd);
	ASSERT_EQ(0, file_crc(fd, &crc));
	ASSERT_EQ(0, path_crc("/mnt/private", "common", &expected));
	EXPECT_EQ(expected, crc);
	EXPECT_EQ(COMMON_PAGES, path_resident("/mnt/b", "common"));
	/* It keeps its image busy. */
	umount_at("/mnt/merged");
	EXPECT_EQ(-EBUSY, umount_at("/mnt/a"));
	EXPECT_EQ(0, umount_at("/mnt/b"));
	close(fd);
}

TEST_HARNESS_MAIN
