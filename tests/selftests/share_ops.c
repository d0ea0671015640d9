// SPDX-License-Identifier: GPL-2.0
/* What a program can ask of an open file works on shared files as it does on private ones. */
#include "harness.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#define COMMON_SIZE MIB
#define COMMON_PAGES 256

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

struct cachestat_range_ {
	uint64_t off, len;
};

struct cachestat_ {
	uint64_t cache, dirty, writeback, evicted, recently_evicted;
};

FIXTURE(ops) {
	int fd;		/* common */
	uint32_t crc;
	char *bytes;	/* of common, by another way */
};

FIXTURE_VARIANT(ops) {
	const char *image, *other, *options;
	bool chunks;
	int block;
};

FIXTURE_VARIANT_ADD(ops, private) { .image = "share-a", .other = "share-b", .block = 4096 };
FIXTURE_VARIANT_ADD(ops, shared) { .image = "share-a", .other = "share-b", .options = DOMAIN, .block = 4096 };
FIXTURE_VARIANT_ADD(ops, shared_chunks) {
	.image = "share-a-chunk", .other = "share-b", .options = DOMAIN, .chunks = true, .block = 4096
};
FIXTURE_VARIANT_ADD(ops, shared_512) {
	.image = "share-a-512", .other = "share-b-512", .options = DOMAIN, .block = 512
};

FIXTURE_SETUP(ops)
{
	int fd;

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-b-private", "/mnt/private", NULL));
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", variant->options));
	ASSERT_EQ(0, mount_image(variant->other, "/mnt/b", variant->options));
	self->bytes = malloc(COMMON_SIZE);
	fd = open_read("/mnt/private", "common", 0);
	ASSERT_EQ((ssize_t)COMMON_SIZE, read(fd, self->bytes, COMMON_SIZE));
	close(fd);
	self->crc = crc32(0, self->bytes, COMMON_SIZE);
	self->fd = open_read("/mnt/a", "common", 0);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(ops)
{
}

TEST_F(ops, read_by_position)
{
	static const off_t at[] = { 0, 1, 4095, 4096, 4097, 65535, COMMON_SIZE - 1, COMMON_SIZE - 5000 };
	char buf[5000];

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		ssize_t want = at[i] + sizeof(buf) > COMMON_SIZE ? (ssize_t)(COMMON_SIZE - at[i]) : (ssize_t)sizeof(buf);

		ASSERT_EQ(want, pread(self->fd, buf, sizeof(buf), at[i]));
		EXPECT_EQ(0, memcmp(buf, self->bytes + at[i], want));
	}
	EXPECT_EQ(0, pread(self->fd, buf, 1, COMMON_SIZE));
	EXPECT_EQ(0, pread(self->fd, buf, 1, COMMON_SIZE + 12345));
	EXPECT_EQ(0, pread(self->fd, buf, 0, 0));
	EXPECT_EQ(-1, pread(self->fd, buf, 1, -1));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(ops, direct_reads)
{
	int fd = open_read("/mnt/a", "common", O_DIRECT), tail = open_read("/mnt/a", "tail", O_DIRECT);
	char *buf = mmap(NULL, COMMON_SIZE + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static char expected[5000];
	int plain = open_read("/mnt/private", "tail", 0);

	ASSERT_GE(fd, 0);
	ASSERT_GE(tail, 0);
	ASSERT_EQ(0, drop_caches(1));
	EXPECT_EQ((ssize_t)COMMON_SIZE, pread(fd, buf, COMMON_SIZE, 0));
	EXPECT_EQ(self->crc, crc32(0, buf, COMMON_SIZE));
	EXPECT_EQ(0, resident_pages(fd));
	EXPECT_EQ(8192, pread(fd, buf, 8192, COMMON_SIZE - 8192));
	EXPECT_EQ(0, memcmp(buf, self->bytes + COMMON_SIZE - 8192, 8192));
	EXPECT_EQ(512, pread(fd, buf, 512, 512));
	EXPECT_EQ(0, memcmp(buf, self->bytes + 512, 512));
	/* End of file inside the last block, data beside the inode. */
	ASSERT_EQ(5000, pread(plain, expected, sizeof(expected), 0));
	EXPECT_EQ(5000, pread(tail, buf, 8192, 0));
	EXPECT_EQ(0, memcmp(buf, expected, 5000));
	EXPECT_EQ(904, pread(tail, buf, 4096, 4096));
	EXPECT_EQ(0, memcmp(buf, expected + 4096, 904));
	EXPECT_EQ(0, pread(fd, buf, 512, COMMON_SIZE));
	/* Neither offset, length nor memory may be crooked. */
	EXPECT_EQ(-1, pread(fd, buf, 512, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pread(fd, buf, 511, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pread(fd, buf + 1, 512, 0));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(ops, direct_reads_of_holes)
{
	int fd = open_read("/mnt/a", "sparse", O_DIRECT);
	char *buf = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t crc;

	ASSERT_GE(fd, 0);
	memset(buf, 0x55, MIB);
	ASSERT_EQ(393220, pread(fd, buf, MIB, 0));
	ASSERT_EQ(0, path_crc("/mnt/private", "sparse", &crc));
	EXPECT_EQ(crc, crc32(0, buf, 393220));
}

TEST_F(ops, direct_by_fcntl)
{
	char *buf = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_EQ(0, drop_caches(1));
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, O_DIRECT));
	EXPECT_EQ(8192, pread(self->fd, buf, 8192, 4096));
	EXPECT_EQ(0, memcmp(buf, self->bytes + 4096, 8192));
	/* Really direct: nothing came into the cache. */
	EXPECT_EQ(0, resident_pages(self->fd));
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, 0));
	EXPECT_EQ(8191, pread(self->fd, buf, 8191, 4097));
	EXPECT_LT(0, resident_pages(self->fd));
}

TEST_F(ops, statx_alignment)
{
	struct statx stx;

	ASSERT_EQ(0, statx(self->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx));
	EXPECT_TRUE(stx.stx_mask & STATX_DIOALIGN);
	EXPECT_EQ(512, stx.stx_dio_offset_align);
	EXPECT_LT(0, stx.stx_dio_mem_align);
}

TEST_F(ops, splice_and_sendfile)
{
	int pipefd[2], out = open("/mnt/out", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *got = malloc(COMMON_SIZE);
	loff_t at = 4097;

	ASSERT_GE(out, 0);
	ASSERT_EQ(0, pipe(pipefd));
	ASSERT_EQ(20000, splice(self->fd, &at, pipefd[1], NULL, 20000, 0));
	ASSERT_EQ(24097, at);
	ASSERT_EQ(20000, read(pipefd[0], got, COMMON_SIZE));
	EXPECT_EQ(0, memcmp(got, self->bytes + 4097, 20000));
	for (off_t sent = 0; sent < (off_t)COMMON_SIZE;) {
		ASSERT_LT(0, sendfile(out, self->fd, &sent, COMMON_SIZE));
	}
	ASSERT_EQ((ssize_t)COMMON_SIZE, pread(out, got, COMMON_SIZE, 0));
	EXPECT_EQ(0, memcmp(got, self->bytes, COMMON_SIZE));
	/* They filled the pages that reads use. */
	EXPECT_EQ(COMMON_PAGES, resident_pages(self->fd));
}

TEST_F(ops, holes)
{
	int fd = open_read("/mnt/a", "sparse", 0);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, lseek(fd, 0, SEEK_DATA));
	EXPECT_EQ(variant->chunks ? 65536 : 393220, lseek(fd, 0, SEEK_HOLE));
	EXPECT_EQ(variant->chunks ? 65536 + (1 << 18) : 70000, lseek(fd, 70000, SEEK_DATA));
	EXPECT_EQ(variant->chunks ? 70000 : 393220, lseek(fd, 70000, SEEK_HOLE));
	EXPECT_EQ(393220, lseek(fd, 393219, SEEK_HOLE));
	EXPECT_EQ(-1, lseek(fd, 393220, SEEK_DATA));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-1, lseek(fd, 393220, SEEK_HOLE));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(393220 + 10, lseek(fd, 10, SEEK_END));
	EXPECT_EQ(-1, lseek(fd, -1, SEEK_SET));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(ops, extents)
{
	struct {
		struct fiemap head;
		struct fiemap_extent extent[64];
	} map = { .head = { .fm_length = FIEMAP_MAX_OFFSET, .fm_extent_count = 64 } };
	char dev[64], *buf = malloc(4096);
	struct stat st;
	int block = 0, err, raw;

	ASSERT_EQ(0, ioctl(self->fd, FS_IOC_FIEMAP, &map));
	ASSERT_LE(1, map.head.fm_mapped_extents);
	EXPECT_EQ(0, map.extent[0].fe_logical);
	/* What it names is where the bytes are. */
	ASSERT_EQ(0, fstat(self->fd, &st));
	snprintf(dev, sizeof(dev), "/dev/loop%u", minor(st.st_dev));
	raw = open(dev, O_RDONLY);
	ASSERT_GE(raw, 0);
	ASSERT_EQ(4096, pread(raw, buf, 4096, map.extent[0].fe_physical));
	EXPECT_EQ(0, memcmp(buf, self->bytes, 4096));
	/* A shared mapping belongs to no device: FIBMAP may refuse, but not lie. */
	err = ioctl(self->fd, FIBMAP, &block);
	if (err) {
		EXPECT_EQ(EINVAL, errno);
		EXPECT_NE(NULL, variant->options);
	} else {
		EXPECT_EQ(map.extent[0].fe_physical / variant->block, (uint64_t)block);
	}
}

TEST_F(ops, advice)
{
	ASSERT_EQ(0, drop_caches(1));
	for (int advice = POSIX_FADV_NORMAL; advice <= POSIX_FADV_NOREUSE; advice++) {
		EXPECT_EQ(0, posix_fadvise(self->fd, 0, 0, advice));
	}
	EXPECT_EQ(EINVAL, posix_fadvise(self->fd, 0, 0, 99));
	EXPECT_EQ(0, posix_fadvise(self->fd, 0, 65536, POSIX_FADV_WILLNEED));
	for (int i = 0; i < 1000 && resident_pages(self->fd) < 16; i++)
		usleep(1000);
	EXPECT_LE(16, resident_pages(self->fd));
	EXPECT_EQ(0, posix_fadvise(self->fd, 0, 0, POSIX_FADV_DONTNEED));
	EXPECT_EQ(0, resident_pages(self->fd));
	EXPECT_EQ(0, readahead(self->fd, 0, 65536));
	for (int i = 0; i < 1000 && resident_pages(self->fd) < 16; i++)
		usleep(1000);
	EXPECT_LE(16, resident_pages(self->fd));
}

TEST_F(ops, cachestat)
{
	struct cachestat_range_ range = { 0, COMMON_SIZE };
	struct cachestat_ stat;
	uint32_t crc;

	ASSERT_EQ(0, drop_caches(1));
	ASSERT_EQ(0, syscall(SYS_cachestat, self->fd, &range, &stat, 0));
	EXPECT_EQ(0, stat.cache);
	ASSERT_EQ(0, file_crc(self->fd, &crc));
	EXPECT_EQ(self->crc, crc);
	ASSERT_EQ(0, syscall(SYS_cachestat, self->fd, &range, &stat, 0));
	EXPECT_EQ(COMMON_PAGES, stat.cache);
	EXPECT_EQ(0, stat.dirty);
}

TEST_F(ops, mincore_sees_what_the_other_image_read)
{
	uint32_t crc;

	ASSERT_EQ(0, drop_caches(1));
	EXPECT_EQ(0, resident_pages(self->fd));
	ASSERT_EQ(0, path_crc("/mnt/b", "common", &crc));
	EXPECT_EQ(variant->options ? COMMON_PAGES : 0, resident_pages(self->fd));
}

TEST_F(ops, label)
{
	char label[FSLABEL_MAX] = "?";

	EXPECT_EQ(0, ioctl(self->fd, FS_IOC_GETFSLABEL, label));
	EXPECT_STREQ(variant->chunks ? "" : "shared", label);
	EXPECT_EQ(-1, ioctl(self->fd, FS_IOC_SETFSLABEL, label));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, ioctl(self->fd, 0xdead, label));
	EXPECT_EQ(ENOTTY, errno);
}

TEST_F(ops, leases)
{
	EXPECT_EQ(0, fcntl(self->fd, F_SETLEASE, F_RDLCK));
	EXPECT_EQ(F_RDLCK, fcntl(self->fd, F_GETLEASE));
	EXPECT_EQ(0, fcntl(self->fd, F_SETLEASE, F_UNLCK));
	EXPECT_EQ(0, fcntl(self->fd, F_SETLEASE, F_WRLCK));
	EXPECT_EQ(F_WRLCK, fcntl(self->fd, F_GETLEASE));
	EXPECT_EQ(0, fcntl(self->fd, F_SETLEASE, F_UNLCK));
}

TEST_HARNESS_MAIN
