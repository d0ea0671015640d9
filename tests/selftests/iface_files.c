// SPDX-License-Identifier: GPL-2.0
/* Where files are, and what else ioctl(2) and fcntl(2) tell of them. */
#include "extents.h"
#include "harness.h"

#include <linux/fs.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>

#ifndef FS_IOC_GETFSUUID
struct fsuuid2 {
	__u8 len;
	__u8 uuid[16];
};
#define FS_IOC_GETFSUUID _IOR(0x15, 0, struct fsuuid2)
#endif
#ifndef FS_IOC_GETFSSYSFSPATH
struct fs_sysfs_path {
	__u8 len;
	__u8 name[128];
};
#define FS_IOC_GETFSSYSFSPATH _IOR(0x15, 1, struct fs_sysfs_path)
#endif
#ifndef SYS_file_getattr
#define SYS_file_getattr 468
#endif

/* The device that the mount of @path is on. */
static int open_device(const char *path)
{
	struct stat st;
	char dev[64];

	if (stat(path, &st))
		return -1;
	snprintf(dev, sizeof(dev), "/dev/loop%u", minor(st.st_dev));
	return open(dev, O_RDONLY);
}

FIXTURE(where) {
};

FIXTURE_VARIANT(where) {
	const char *image, *options, *flat, *inlined, *sparse;
	int block, offset;
};

FIXTURE_VARIANT_ADD(where, plain) {
	.image = "plain-4096", .flat = "file/size-4096", .inlined = "file/size-5000", .sparse = "file/sparse", .block = 4096
};
FIXTURE_VARIANT_ADD(where, blocks_512) {
	.image = "plain-512", .flat = "file/size-4096", .inlined = "file/size-5000", .sparse = "file/sparse", .block = 512
};
FIXTURE_VARIANT_ADD(where, chunks) {
	.image = "chunk-4k-4096", .flat = "file/size-4096", .sparse = "file/sparse", .block = 4096
};
FIXTURE_VARIANT_ADD(where, offset) {
	.image = "late", .options = "fsoffset=65536", .flat = "flat", .inlined = "inline", .block = 4096, .offset = 65536
};

FIXTURE_SETUP(where)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", variant->options));
	ASSERT_EQ(0, chdir("/mnt/a"));
}

FIXTURE_TEARDOWN(where)
{
}

/* Each mapped byte is at the place that fiemap names. */
static void check_places(struct __test_metadata *_metadata, const char *path, const struct map *map)
{
	int fd = open(path, O_RDONLY), dev = open_device(path);
	struct stat st;

	ASSERT_GE(fd, 0);
	ASSERT_GE(dev, 0);
	ASSERT_EQ(0, fstat(fd, &st));
	for (unsigned int i = 0; i < map->head.fm_mapped_extents; i++) {
		const struct fiemap_extent *e = &map->extent[i];
		char a[4096], b[4096];
		size_t n = st.st_size - e->fe_logical;

		n = n < sizeof(a) ? n : sizeof(a);
		n = n < e->fe_length ? n : e->fe_length;
		ASSERT_EQ((ssize_t)n, pread(fd, a, n, e->fe_logical));
		ASSERT_EQ((ssize_t)n, pread(dev, b, n, e->fe_physical));
		EXPECT_EQ(0, memcmp(a, b, n))
			TH_LOG("%s: extent %u", path, i);
	}
	close(dev);
	close(fd);
}

TEST_F(where, flat)
{
	struct map map;
	struct stat st;

	ASSERT_EQ(0, stat(variant->flat, &st));
	ASSERT_EQ(0, map_file(variant->flat, 0, FIEMAP_MAX_OFFSET, 0, &map));
	ASSERT_LE(1, map.head.fm_mapped_extents);
	EXPECT_EQ(0, map.extent[0].fe_logical);
	EXPECT_TRUE(map.extent[map.head.fm_mapped_extents - 1].fe_flags & FIEMAP_EXTENT_LAST);
	EXPECT_EQ(0, map.extent[0].fe_physical % variant->block);
	EXPECT_LE(variant->offset, map.extent[0].fe_physical);
	check_places(_metadata, variant->flat, &map);
}

TEST_F(where, inline_tail)
{
	const struct fiemap_extent *last;
	struct map map;

	if (!variant->inlined)
		SKIP(return, "no inline tails");
	ASSERT_EQ(0, map_file(variant->inlined, 0, FIEMAP_MAX_OFFSET, 0, &map));
	ASSERT_LE(2, map.head.fm_mapped_extents);
	last = &map.extent[map.head.fm_mapped_extents - 1];
	EXPECT_EQ(FIEMAP_EXTENT_LAST | FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_NOT_ALIGNED, last->fe_flags);
	/* Exact, where blocks are rounded up. */
	EXPECT_EQ(5000, last->fe_logical + last->fe_length);
	check_places(_metadata, variant->inlined, &map);
}

TEST_F(where, holes)
{
	struct map map;

	if (!variant->sparse)
		SKIP(return, "no sparse file");
	ASSERT_EQ(0, map_file(variant->sparse, 0, FIEMAP_MAX_OFFSET, 0, &map));
	check_places(_metadata, variant->sparse, &map);
	if (!variant->inlined) {
		/* Two holes: three extents. */
		EXPECT_EQ(3, map.head.fm_mapped_extents);
		EXPECT_EQ(8192, map.extent[0].fe_length);
		EXPECT_EQ(8192 + 65536, map.extent[1].fe_logical);
	}
}

TEST_F(where, flags)
{
	struct map map;

	EXPECT_EQ(0, map_file(variant->flat, 0, FIEMAP_MAX_OFFSET, FIEMAP_FLAG_SYNC, &map));
	EXPECT_EQ(-EBADR, map_file(variant->flat, 0, FIEMAP_MAX_OFFSET, FIEMAP_FLAG_XATTR, &map));
	EXPECT_EQ(-EBADR, map_file(variant->flat, 0, FIEMAP_MAX_OFFSET, FIEMAP_FLAG_CACHE, &map));
	EXPECT_EQ(-EBADR, map_file(variant->flat, 0, FIEMAP_MAX_OFFSET, 0x80, &map));
	EXPECT_EQ(-EINVAL, map_file(variant->flat, 0, 0, 0, &map));
	EXPECT_EQ(-EFBIG, map_file(variant->flat, ~0ULL, 1, 0, &map));
	EXPECT_EQ(0, map_file(variant->flat, 1 << 20, 4096, 0, &map));
	EXPECT_EQ(0, map.head.fm_mapped_extents);
	/* Anyone may ask, also about a directory. */
	ASSERT_EQ(0, seteuid(1000));
	EXPECT_EQ(0, map_file(variant->flat, 0, FIEMAP_MAX_OFFSET, 0, &map));
	EXPECT_EQ(0, map_file(".", 0, FIEMAP_MAX_OFFSET, 0, &map));
	EXPECT_LE(1, map.head.fm_mapped_extents);
	ASSERT_EQ(0, seteuid(0));
}

TEST_F(where, fibmap)
{
	int fd = open(variant->flat, O_RDONLY), dir = open(".", O_RDONLY), block;
	struct map map;

	ASSERT_EQ(0, map_file(variant->flat, 0, FIEMAP_MAX_OFFSET, 0, &map));
	block = 0;
	ASSERT_EQ(0, ioctl(fd, FIBMAP, &block));
	EXPECT_EQ(map.extent[0].fe_physical / variant->block, (uint64_t)block);
	block = 1 << 20;
	EXPECT_EQ(0, ioctl(fd, FIBMAP, &block));
	EXPECT_EQ(0, block);
	block = -1;
	EXPECT_EQ(-1, ioctl(fd, FIBMAP, &block));
	EXPECT_EQ(EINVAL, errno);
	block = 0;
	EXPECT_EQ(-1, ioctl(dir, FIBMAP, &block));
	EXPECT_EQ(ENOTTY, errno);
	if (variant->inlined) {
		int tail = open(variant->inlined, O_RDONLY);

		block = 5000 / variant->block;
		EXPECT_EQ(0, ioctl(tail, FIBMAP, &block));
		EXPECT_EQ(0, block);
		close(tail);
	} else {
		int sparse = open(variant->sparse, O_RDONLY);

		block = 5;
		EXPECT_EQ(0, ioctl(sparse, FIBMAP, &block));
		EXPECT_EQ(0, block);
		close(sparse);
	}
	ASSERT_EQ(0, seteuid(1000));
	EXPECT_EQ(-1, ioctl(fd, FIBMAP, &block));
	EXPECT_EQ(EPERM, errno);
	ASSERT_EQ(0, seteuid(0));
}

FIXTURE(encoded) {
};

FIXTURE_VARIANT(encoded) {
	const char *image;
};

FIXTURE_VARIANT_ADD(encoded, lz4) { .image = "z-lz4hc64k-compact" };
FIXTURE_VARIANT_ADD(encoded, lz4_512) { .image = "z-lz4-compact-512" };
FIXTURE_VARIANT_ADD(encoded, tails) { .image = "z-lz4-tails" };
FIXTURE_VARIANT_ADD(encoded, zstd_48bit) { .image = "z-zstd-48bit" };
FIXTURE_VARIANT_ADD(encoded, fragments) { .image = "z-lz4-all-fragments" };

FIXTURE_SETUP(encoded)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", NULL));
	ASSERT_EQ(0, chdir("/mnt/a"));
}

FIXTURE_TEARDOWN(encoded)
{
}

TEST_F(encoded, extents)
{
	static const char * const files[] = { "text", "words", "mixed", "unit", "tail/text-12345", "dedupe/three" };
	struct stat image;

	ASSERT_EQ(0, stat(image_path(variant->image), &image));
	for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
		uint64_t pos = 0, end = 0;
		struct stat st;
		struct map map;

		ASSERT_EQ(0, stat(files[f], &st));
		do {
			ASSERT_EQ(0, map_file(files[f], pos, FIEMAP_MAX_OFFSET - pos, 0, &map));
			ASSERT_LE(1, map.head.fm_mapped_extents);
			for (unsigned int i = 0; i < map.head.fm_mapped_extents; i++) {
				const struct fiemap_extent *e = &map.extent[i];

				EXPECT_EQ(end, e->fe_logical);
				end = e->fe_logical + e->fe_length;
				EXPECT_GT((uint64_t)image.st_size, e->fe_physical);
				EXPECT_EQ(end == (uint64_t)st.st_size, !!(e->fe_flags & FIEMAP_EXTENT_LAST));
			}
			ASSERT_LT(pos, end);
			pos = end;
		} while (end < (uint64_t)st.st_size);
		EXPECT_EQ((uint64_t)st.st_size, end);
	}
}

TEST_F(encoded, fibmap_and_seek)
{
	int fd = open("text", O_RDONLY), zero = open("zero", O_RDONLY), block = 0;

	EXPECT_EQ(-1, ioctl(fd, FIBMAP, &block));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, lseek(fd, 0, SEEK_DATA));
	EXPECT_EQ(300000, lseek(fd, 0, SEEK_HOLE));
	EXPECT_EQ(0, lseek(zero, 0, SEEK_DATA));
	EXPECT_EQ(300000, lseek(zero, 0, SEEK_HOLE));
	EXPECT_EQ(-1, lseek(fd, 300000, SEEK_DATA));
	EXPECT_EQ(ENXIO, errno);
}

FIXTURE(told) {
	int fd, dir;
};

FIXTURE_VARIANT(told) {
	const char *image, *options, *file, *label;
	off_t size;
	int block;
};

FIXTURE_VARIANT_ADD(told, label) { .image = "label", .file = "file/random", .label = "fifteen letters", .size = 300000, .block = 4096 };
FIXTURE_VARIANT_ADD(told, blocks_512) { .image = "plain-512", .file = "file/random", .label = "", .size = 300000, .block = 512 };
FIXTURE_VARIANT_ADD(told, lz4) { .image = "z-lz4-compact", .file = "text", .label = "", .size = 300000, .block = 4096 };
FIXTURE_VARIANT_ADD(told, sharing) {
	.image = "share-a", .options = DOMAIN, .file = "common", .label = "shared", .size = MIB, .block = 4096
};

FIXTURE_SETUP(told)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", variant->options));
	self->fd = open_read("/mnt/a", variant->file, 0);
	self->dir = open("/mnt/a", O_RDONLY);
	ASSERT_GE(self->fd, 0);
	ASSERT_GE(self->dir, 0);
}

FIXTURE_TEARDOWN(told)
{
}

TEST_F(told, sizes)
{
	struct stat st;
	int number;
	loff_t size;

	ASSERT_EQ(0, ioctl(self->fd, FIGETBSZ, &number));
	EXPECT_EQ(variant->block, number);
	ASSERT_EQ(1000, lseek(self->fd, 1000, SEEK_SET));
	ASSERT_EQ(0, ioctl(self->fd, FIONREAD, &number));
	EXPECT_EQ(variant->size - 1000, number);
	ASSERT_EQ(0, ioctl(self->fd, 0x5460 /* FIOQSIZE */, &size));
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(st.st_blocks * 512, size);
}

TEST_F(told, volume)
{
	static const uint8_t uuid[16] = {
		0x5f, 0x1d, 0x2c, 0x3b, 0x0a, 0x19, 0x4e, 0x57, 0x8b, 0x6c, 0x7d, 0x8e, 0x9f, 0xa0, 0xb1, 0xc2
	};
	int fds[] = { self->dir, self->fd };
	char label[FSLABEL_MAX], wanted[DEV_LEN + 8], name[DEV_LEN];
	struct fs_sysfs_path path;
	struct fsuuid2 id;

	ASSERT_EQ(0, sb_name("/mnt/a", name));
	snprintf(wanted, sizeof(wanted), "erofs/%s", name);
	ASSERT_EQ(0, seteuid(1000));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		/* The C driver does not tell the label of a shared file. */
		if (!driver_is_c() || !variant->options || i == 0) {
			memset(label, 'x', sizeof(label));
			EXPECT_EQ(0, ioctl(fds[i], FS_IOC_GETFSLABEL, label));
			EXPECT_STREQ(variant->label, label);
			/* No byte more. */
			EXPECT_EQ('x', label[strlen(variant->label) + 1]);
			EXPECT_EQ(-1, ioctl(fds[i], FS_IOC_GETFSLABEL, NULL));
			EXPECT_EQ(EFAULT, errno);
		}
		memset(&id, 0, sizeof(id));
		EXPECT_EQ(0, ioctl(fds[i], FS_IOC_GETFSUUID, &id));
		EXPECT_EQ(16, id.len);
		EXPECT_EQ(0, memcmp(uuid, id.uuid, 16));
		memset(&path, 0, sizeof(path));
		EXPECT_EQ(0, ioctl(fds[i], FS_IOC_GETFSSYSFSPATH, &path));
		EXPECT_STREQ(wanted, (char *)path.name);
		EXPECT_EQ(strlen(wanted), path.len);
	}
	ASSERT_EQ(0, seteuid(0));
}

TEST_F(told, nothing_else)
{
	int fds[] = { self->dir, self->fd }, o_path = openat(self->dir, variant->file, O_PATH);
	char buf[4096] = { 0 };
	uint64_t attr[4] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		static const struct {
			unsigned long cmd;
			int err;
		} table[] = {
			{ FS_IOC_GETFLAGS, ENOTTY }, { FS_IOC_SETFLAGS, EROFS }, { FS_IOC_GETVERSION, ENOTTY },
			{ FS_IOC_FSGETXATTR, ENOTTY }, { FS_IOC_SETFSLABEL, ENOTTY }, { FITRIM, ENOTTY }, { 0xdead, ENOTTY },
			{ FIFREEZE, EOPNOTSUPP },
		};

		for (size_t t = 0; t < ARRAY_SIZE(table); t++) {
			EXPECT_EQ(-1, ioctl(fds[i], table[t].cmd, buf));
			EXPECT_EQ(table[t].err, errno)
				TH_LOG("ioctl %lx on %zu", table[t].cmd, i);
		}
		EXPECT_EQ(-1, syscall(SYS_file_getattr, fds[i], "", attr, sizeof(attr), AT_EMPTY_PATH));
		EXPECT_EQ(EOPNOTSUPP, errno);
	}
	EXPECT_EQ(-1, ioctl(o_path, FS_IOC_GETFSLABEL, buf));
	EXPECT_EQ(EBADF, errno);
}

TEST_F(told, locks)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 100 };
	int other = open_read("/mnt/a", variant->file, 0);

	EXPECT_EQ(0, fcntl(self->fd, F_SETLK, &lock));
	EXPECT_EQ(0, fcntl(self->fd, F_OFD_SETLK, &lock));
	EXPECT_EQ(0, fcntl(other, F_OFD_SETLK, &lock));
	lock.l_type = F_WRLCK;
	EXPECT_EQ(-1, fcntl(self->fd, F_SETLK, &lock));
	EXPECT_EQ(EBADF, errno);
	lock.l_pid = 0;
	EXPECT_EQ(0, fcntl(other, F_OFD_GETLK, &lock));
	EXPECT_EQ(F_RDLCK, lock.l_type);
	EXPECT_EQ(10, lock.l_start);
	EXPECT_EQ(0, flock(self->fd, LOCK_EX | LOCK_NB));
	EXPECT_EQ(-1, flock(other, LOCK_SH | LOCK_NB));
	EXPECT_EQ(EWOULDBLOCK, errno);
	EXPECT_EQ(0, flock(self->fd, LOCK_UN));
	EXPECT_EQ(0, flock(other, LOCK_SH | LOCK_NB));
	close(other);
}

TEST_F(told, events)
{
	char path[64], events[4096] __attribute__((aligned(8))), byte;
	int watch = inotify_init1(IN_NONBLOCK), fd;
	uint32_t seen = 0;
	ssize_t n;

	ASSERT_GE(watch, 0);
	snprintf(path, sizeof(path), "/mnt/a/%s", variant->file);
	ASSERT_LE(0, inotify_add_watch(watch, path, IN_ALL_EVENTS));
	fd = open(path, O_RDONLY);
	ASSERT_EQ(1, read(fd, &byte, 1));
	close(fd);
	n = read(watch, events, sizeof(events));
	for (ssize_t at = 0; at < n;) {
		struct inotify_event *event = (void *)(events + at);

		seen |= event->mask;
		at += sizeof(*event) + event->len;
	}
	EXPECT_EQ(IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE, seen);
	close(watch);
}

TEST_F(told, leases)
{
	/* The C driver gives none on shared files (W10, share_ops). */
	if (!driver_is_c() || !variant->options) {
		EXPECT_EQ(0, fcntl(self->fd, F_SETLEASE, F_RDLCK));
		EXPECT_EQ(F_RDLCK, fcntl(self->fd, F_GETLEASE));
		EXPECT_EQ(0, fcntl(self->fd, F_SETLEASE, F_UNLCK));
		EXPECT_EQ(0, fcntl(self->fd, F_SETLEASE, F_WRLCK));
		EXPECT_EQ(0, fcntl(self->fd, F_SETLEASE, F_UNLCK));
	}
	EXPECT_EQ(-1, fcntl(self->dir, F_SETLEASE, F_RDLCK));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
