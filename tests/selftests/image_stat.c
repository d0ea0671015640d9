// SPDX-License-Identifier: GPL-2.0
/* statfs and statx. What trees look like in full, treedump compares; here is what the figures must be. */
#include "harness.h"

#include <dirent.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>

FIXTURE(image) {
};

FIXTURE_VARIANT(image) {
	const char *name;
	int block;
};

FIXTURE_VARIANT_ADD(image, block_512) { .name = "plain-512", .block = 512 };
FIXTURE_VARIANT_ADD(image, block_1024) { .name = "plain-1024", .block = 1024 };
FIXTURE_VARIANT_ADD(image, block_2048) { .name = "plain-2048", .block = 2048 };
FIXTURE_VARIANT_ADD(image, block_4096) { .name = "plain-4096", .block = 4096 };
FIXTURE_VARIANT_ADD(image, chunks) { .name = "chunk-4k-1024", .block = 1024 };

FIXTURE_SETUP(image)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->name, "/mnt/a", NULL));
}

FIXTURE_TEARDOWN(image)
{
}

TEST_F(image, statfs)
{
	struct statfs fs;
	struct stat image;

	ASSERT_EQ(0, statfs("/mnt/a", &fs));
	ASSERT_EQ(0, stat(image_path(variant->name), &image));
	EXPECT_EQ(0xe0f5e1e2, (uint32_t)fs.f_type);
	EXPECT_EQ(variant->block, fs.f_bsize);
	EXPECT_EQ(variant->block, fs.f_frsize);
	EXPECT_EQ(image.st_size / variant->block, fs.f_blocks);
	EXPECT_EQ(0, fs.f_bfree);
	EXPECT_EQ(0, fs.f_bavail);
	EXPECT_EQ(~0ULL, fs.f_files);
	EXPECT_LT(600, fs.f_files - fs.f_ffree);
	EXPECT_GT(900, fs.f_files - fs.f_ffree);
	EXPECT_EQ(255, fs.f_namelen);
	EXPECT_TRUE(fs.f_flags & 1 /* ST_RDONLY */);
	EXPECT_TRUE(fs.f_fsid.__val[0] && fs.f_fsid.__val[1]);
}

TEST_F(image, statx)
{
	static const struct {
		const char *name;
		unsigned int size;
	} files[] = { { "size-0", 0 }, { "size-1", 1 }, { "size-513", 513 }, { "size-5000", 5000 }, { "sparse", 143460 } };
	struct statx stx;
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "/mnt/a/file/%s", files[i].name);
		ASSERT_EQ(0, statx(AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_BTIME | STATX_DIOALIGN, &stx));
		EXPECT_EQ(files[i].size, stx.stx_size);
		EXPECT_EQ((files[i].size + variant->block - 1) / variant->block * variant->block / 512, stx.stx_blocks);
		EXPECT_EQ(variant->block, stx.stx_blksize);
		/* Never touched by reading, hence not claimed; no birth time on disk. */
		EXPECT_FALSE(stx.stx_mask & (STATX_ATIME | STATX_BTIME));
		EXPECT_EQ(STATX_BASIC_STATS & ~STATX_ATIME, stx.stx_mask & STATX_BASIC_STATS);
		EXPECT_TRUE(stx.stx_mask & STATX_DIOALIGN);
		EXPECT_EQ(512, stx.stx_dio_offset_align);
		EXPECT_TRUE(stx.stx_attributes & STATX_ATTR_IMMUTABLE);
		EXPECT_TRUE(stx.stx_attributes_mask & STATX_ATTR_IMMUTABLE);
		EXPECT_TRUE(stx.stx_attributes_mask & STATX_ATTR_COMPRESSED);
		EXPECT_FALSE(stx.stx_attributes & STATX_ATTR_COMPRESSED);
		EXPECT_EQ(stx.stx_mtime.tv_sec, stx.stx_ctime.tv_sec);
		EXPECT_EQ(stx.stx_mtime.tv_nsec, stx.stx_atime.tv_nsec);
	}
	ASSERT_EQ(0, statx(AT_FDCWD, "/mnt/a/link/fast", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_DIOALIGN, &stx));
	EXPECT_TRUE(stx.stx_attributes & STATX_ATTR_IMMUTABLE);
	EXPECT_FALSE(stx.stx_mask & STATX_DIOALIGN);
}

TEST_F(image, times_stay_when_read)
{
	struct stat before, after;
	uint32_t crc;

	ASSERT_EQ(0, stat("/mnt/a/file/late", &before));
	EXPECT_EQ(5000000000, before.st_mtim.tv_sec);
	EXPECT_EQ(999999999, before.st_mtim.tv_nsec);
	ASSERT_EQ(0, path_crc("/mnt/a", "file/late", &crc));
	ASSERT_EQ(0, stat("/mnt/a/file/late", &after));
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before)));
	ASSERT_EQ(0, stat("/mnt/a/file/old", &before));
	EXPECT_EQ(-86400, before.st_mtim.tv_sec);
}

TEST_F(image, ioctls)
{
	static const char * const paths[] = { "file/text", "file" };
	struct {
		uint8_t len, uuid[16];
	} uuid;
	char label[FSLABEL_MAX];
	int fd, value;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		fd = open_read("/mnt/a", paths[i], 0);
		ASSERT_GE(fd, 0);
		EXPECT_EQ(0, ioctl(fd, FS_IOC_GETFSLABEL, label));
		EXPECT_STREQ("", label);
		EXPECT_EQ(0, ioctl(fd, _IOR(0x15, 0, uuid), &uuid));
		EXPECT_EQ(0x5f, uuid.uuid[0]);
		EXPECT_EQ(0xc2, uuid.uuid[15]);
		EXPECT_EQ(-1, ioctl(fd, FS_IOC_GETFLAGS, &value));
		EXPECT_EQ(ENOTTY, errno);
		EXPECT_EQ(-1, ioctl(fd, FS_IOC_GETVERSION, &value));
		EXPECT_EQ(ENOTTY, errno);
		close(fd);
	}
	fd = open_read("/mnt/a", "file/text", 0);
	EXPECT_EQ(0, ioctl(fd, FIGETBSZ, &value));
	EXPECT_EQ(variant->block, value);
	EXPECT_EQ(5, lseek(fd, 5, SEEK_SET));
	EXPECT_EQ(0, ioctl(fd, FIONREAD, &value));
	EXPECT_EQ(200000 - 5, value);
	close(fd);
}

/* Inode numbers, and what is known of compressed files. */
TEST(compressed_and_metabox)
{
	static const char * const images[] = { "lz4", "metabox-4096" };
	struct dirent *entry;
	struct statx stx;
	DIR *dir;

	ASSERT_EQ(0, private_mounts());
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		ASSERT_EQ(0, mount_image(images[i], "/mnt/a", NULL));
		ASSERT_EQ(0, statx(AT_FDCWD, "/mnt/a/file/text", 0, STATX_BASIC_STATS | STATX_DIOALIGN | STATX_MNT_ID, &stx));
		EXPECT_EQ(0x3000, stx.stx_mask & 0x3000);
		EXPECT_EQ(0, stx.stx_dio_mem_align);
		EXPECT_EQ(0, stx.stx_dio_offset_align);
		EXPECT_TRUE(stx.stx_attributes & STATX_ATTR_COMPRESSED);
		EXPECT_TRUE(stx.stx_attributes & STATX_ATTR_IMMUTABLE);
		EXPECT_EQ(0x303014, stx.stx_attributes_mask);
		EXPECT_GT(200000 / 512, stx.stx_blocks);
		EXPECT_LT(0, stx.stx_blocks);
		ASSERT_EQ(0, statx(AT_FDCWD, "/mnt/a", 0, STATX_BASIC_STATS, &stx));
		EXPECT_TRUE(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
		if (i == 1) {
			/* The highest bit of a nid, which says metabox, is bit 31 here. */
			EXPECT_TRUE(stx.stx_ino & 0x80000000);
			EXPECT_FALSE(stx.stx_ino >> 32);
		}
		dir = opendir("/mnt/a");
		ASSERT_NE(NULL, dir);
		while ((entry = readdir(dir))) {
			if (!strcmp(entry->d_name, "..")) /* of the mount's parent */
				continue;
			ASSERT_EQ(0, statx(dirfd(dir), entry->d_name, AT_SYMLINK_NOFOLLOW, STATX_INO, &stx));
			EXPECT_EQ(stx.stx_ino, entry->d_ino);
		}
		closedir(dir);
		ASSERT_EQ(0, umount_at("/mnt/a"));
	}
}

/* Without a UUID the device stands in. */
TEST(nil_uuid)
{
	struct statfs fs;
	struct stat st;

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("good-uuid-nil", "/mnt/a", NULL));
	ASSERT_EQ(0, statfs("/mnt/a", &fs));
	ASSERT_EQ(0, stat("/mnt/a", &st));
	EXPECT_EQ(st.st_dev, (uint32_t)fs.f_fsid.__val[0]);
	EXPECT_EQ(0, fs.f_fsid.__val[1]);
	/* If there is one. */
	ASSERT_EQ(0, mount_file("good-uuid-nil", "/mnt/b", NULL));
	ASSERT_EQ(0, statfs("/mnt/b", &fs));
	EXPECT_EQ(0, fs.f_fsid.__val[0]);
	EXPECT_EQ(0, fs.f_fsid.__val[1]);
}

/* Neither is any number that stands for one cut to 32 bits, on its way from the entry to the inode and back. */
TEST(nids_beyond_32_bits)
{
	static const struct {
		const char *name, *bytes;
		uint64_t beyond;
	} table[] = {
		{ "dir/alpha", "alpha", 0 }, { "dir/beta", "far32", 1ULL << 32 }, { "dir/gamma", "far38", 1ULL << 38 },
	};

	ASSERT_EQ(0, private_mounts());
	for (int of_file = 0; of_file < 2; of_file++) {
		struct stat near, st;

		ASSERT_EQ(0, of_file ? mount_file("distant", "/mnt/a", NULL) : mount_image("distant", "/mnt/a", NULL));
		/* In memory alone, then beside the others. */
		for (size_t i = ARRAY_SIZE(table); i--;) {
			char bytes[8] = {};
			int fds[ARRAY_SIZE(table)];

			for (size_t k = 0; k < ARRAY_SIZE(table); k++) {
				size_t n = (i + k) % ARRAY_SIZE(table);

				fds[n] = open_read("/mnt/a", table[n].name, 0);
				ASSERT_LE(0, fds[n]);
				ASSERT_EQ(5, read(fds[n], bytes, sizeof(bytes)));
				EXPECT_STREQ(table[n].bytes, bytes);
			}
			ASSERT_EQ(0, fstat(fds[0], &near));
			for (size_t n = 0; n < ARRAY_SIZE(table); n++) {
				ASSERT_EQ(0, fstat(fds[n], &st));
				EXPECT_EQ(table[n].beyond, st.st_ino - near.st_ino);
				close(fds[n]);
			}
			ASSERT_EQ(0, drop_caches(2));
		}
		EXPECT_EQ(0, umount_at("/mnt/a"));
	}
}

/* Hard links are one inode. */
TEST_F(image, hard_links)
{
	struct stat a, b;

	ASSERT_EQ(0, stat("/mnt/a/file/twelve", &a));
	ASSERT_EQ(0, stat("/mnt/a/hard-link", &b));
	EXPECT_EQ(a.st_ino, b.st_ino);
	EXPECT_EQ(3, b.st_nlink);
}

TEST_HARNESS_MAIN
