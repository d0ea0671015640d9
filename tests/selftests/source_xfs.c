// SPDX-License-Identifier: GPL-2.0
/* Image files on an XFS: read through its cache and directly, reflinked, with holes and unwritten extents, cut short. */
#include "extents.h"
#include "harness.h"

#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

FIXTURE(xfs) {
	const char *image;	/* its copy on the XFS, mounted nowhere yet */
	off_t at;		/* where the data of the first file begins */
};

FIXTURE_VARIANT(xfs) {
	const char *image, *options;
	const char *files[7];
	bool compressed;
};

FIXTURE_VARIANT_ADD(xfs, plain) {
	.image = "plain-4096", .files = { "file/random", "file/size-5000", "file/sparse", "file/size-1", "hard-link" }
};
FIXTURE_VARIANT_ADD(xfs, plain_direct) {
	.image = "plain-4096", .options = "directio",
	.files = { "file/random", "file/size-5000", "file/sparse", "file/size-1", "hard-link" }
};
FIXTURE_VARIANT_ADD(xfs, chunks_512) {
	.image = "chunk-4k-512", .files = { "file/random", "file/size-5000", "file/sparse", "file/size-1", "hard-link" }
};
FIXTURE_VARIANT_ADD(xfs, lz4) {
	.image = "z-lz4hc64k-compact", .files = { "text", "mixed", "words", "tail/text-12345", "dedupe/one", "zero" }, .compressed = true
};
FIXTURE_VARIANT_ADD(xfs, zstd_direct) {
	.image = "z-zstd-compact", .options = "directio",
	.files = { "text", "mixed", "words", "tail/text-12345", "dedupe/one", "zero" }, .compressed = true
};

FIXTURE_SETUP(xfs)
{
	uint64_t start, count;
	char dev[DEV_LEN];
	int fd;

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, copy_image("xfs", "/mnt/disk"));
	fd = attach_writable("/mnt/disk", dev);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, mkdir("/mnt/xfs", 0755));
	if (mount(dev, "/mnt/xfs", "xfs", 0, NULL))
		SKIP(return, "no XFS in this kernel");
	close(fd);
	self->image = "/mnt/xfs/image";
	ASSERT_EQ(0, copy_image(variant->image, self->image));
	ASSERT_EQ(0, extent_of(variant->image, variant->files[0], &start, &count));
	self->at = start * 512;
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/b", NULL));
}

FIXTURE_TEARDOWN(xfs)
{
}

/* Nothing of the image is in the cache of the XFS. */
static int go_cold(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	err = fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) ? -errno : 0;
	close(fd);
	return err;
}

/* A file on /mnt/a that is not as it should be, or NULL. */
static const char *wrong_file(const char * const *file)
{
	for (; *file; file++)
		if (same_bytes("/mnt/a", *file, "/mnt/b", *file))
			break;
	return *file;
}

TEST_F(xfs, reads)
{
	uint32_t crc, mapped;
	int fd;

	ASSERT_EQ(0, go_cold(self->image));
	ASSERT_EQ(0, mount_at(self->image, "/mnt/a", variant->options));
	EXPECT_EQ(NULL, wrong_file(variant->files));
	fd = open_read("/mnt/a", variant->files[0], 0);
	ASSERT_EQ(0, path_crc("/mnt/b", variant->files[0], &crc));
	ASSERT_EQ(0, drop_caches(3));
	ASSERT_EQ(0, file_crc_mmap(fd, &mapped));
	EXPECT_EQ(crc, mapped);
	close(fd);
	EXPECT_EQ(0, umount_at("/mnt/a"));
	EXPECT_EQ(0, umount_at("/mnt/xfs"));
}

/* One block, two files; then the first one gets another block. */
TEST_F(xfs, reflinked)
{
	int from = open(self->image, O_RDWR | O_CLOEXEC), to = open("/mnt/xfs/copy", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	char noise[4096];
	uint32_t crc;

	memset(noise, 0xa5, sizeof(noise));
	ASSERT_EQ(0, ioctl(to, FICLONE, from));
	close(to);
	ASSERT_EQ(0, mount_at("/mnt/xfs/copy", "/mnt/a", variant->options));
	EXPECT_EQ(NULL, wrong_file(variant->files));
	EXPECT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(sizeof(noise), pwrite(from, noise, sizeof(noise), self->at));
	close(from);
	ASSERT_EQ(0, go_cold(self->image));
	ASSERT_EQ(0, go_cold("/mnt/xfs/copy"));
	ASSERT_EQ(0, mount_at("/mnt/xfs/copy", "/mnt/a", variant->options));
	EXPECT_EQ(NULL, wrong_file(variant->files));
	EXPECT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(0, mount_at(self->image, "/mnt/a", variant->options));
	if (variant->compressed) {
		EXPECT_GT(0, path_crc("/mnt/a", variant->files[0], &crc));
	} else {
		EXPECT_EQ(-EUCLEAN, same_bytes("/mnt/a", variant->files[0], "/mnt/b", variant->files[0]));
	}
}

/* What the XFS has no blocks for, or never written ones, is zeros. */
TEST_F(xfs, holes_and_unwritten_extents)
{
	static const int modes[] = { FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE };
	char there[2 * PAGE], zeros[PAGE] = {};
	uint32_t crc;

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		int fd = open(self->image, O_RDWR | O_CLOEXEC);

		ASSERT_EQ(0, fallocate(fd, modes[i], self->at, PAGE));
		close(fd);
		ASSERT_EQ(0, go_cold(self->image));
		ASSERT_EQ(0, mount_at(self->image, "/mnt/a", variant->options));
		if (variant->compressed) {
			EXPECT_GT(0, path_crc("/mnt/a", variant->files[0], &crc));
		} else {
			fd = open_read("/mnt/a", variant->files[0], 0);
			ASSERT_EQ(sizeof(there), pread(fd, there, sizeof(there), 0));
			EXPECT_EQ(0, memcmp(there, zeros, PAGE));
			EXPECT_NE(0, memcmp(there + PAGE, zeros, PAGE));
			close(fd);
		}
		EXPECT_EQ(0, same_bytes("/mnt/a", variant->files[1], "/mnt/b", variant->files[1]));
		EXPECT_EQ(0, umount_at("/mnt/a"));
	}
}

/* What is gone is an error, never zeros; also if it goes while it is mounted. */
TEST_F(xfs, cut_short)
{
	uint32_t crc;
	int fd;

	ASSERT_EQ(0, truncate(self->image, self->at + 512));
	ASSERT_EQ(0, mount_at(self->image, "/mnt/a", variant->options));
	EXPECT_EQ(-EIO, path_crc("/mnt/a", variant->files[0], &crc));
	EXPECT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(0, copy_image(variant->image, self->image));
	ASSERT_EQ(0, mount_at(self->image, "/mnt/a", variant->options));
	fd = open_read("/mnt/a", variant->files[0], 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, truncate(self->image, self->at));
	EXPECT_EQ(-EIO, file_crc(fd, &crc));
	close(fd);
}

TEST_HARNESS_MAIN
