// SPDX-License-Identifier: GPL-2.0
/*
 * Damaged compressed images: the errno of the format reference's corruption table at the reader, one line in the log,
 * nothing but file bytes in any page, and all else readable. fixtures/corrupt_compressed.py makes the images. Errnos are
 * those of the C driver unless .c says otherwise.
 */
#include "harness.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum where { AT_MOUNT, AT_STAT, AT_READ };

FIXTURE(zcorrupt) {
	int log;
};

FIXTURE_VARIANT(zcorrupt) {
	const char *image, *path;
	enum where where;
	int err, or;	/* or: what else is right */
	bool maybe;	/* the damage need not show, since file bytes have no checksum */
	bool silent;	/* who finds and reports it is the block layer */
	bool all;	/* of all files, the healthy one too */
	bool backwards;	/* who comes from the front does not need what is damaged */
	bool differs;	/* the C driver does something else */
};

#define BAD(name, img, ...) FIXTURE_VARIANT_ADD(zcorrupt, name) { .image = "bad-" img, __VA_ARGS__ }
#define MOUNT(e) .where = AT_MOUNT, .err = e
#define READ(p, e) .where = AT_READ, .path = p, .err = e
/* A way to an extent's start, which is there for those who start in its middle. */
#define WAY(p, e) READ(p, e), .or = EIO, .backwards = true
/* What damage of a kind that has no row, or only a bound, may give. */
#define ANY(p) READ(p, EUCLEAN), .or = EIO, .maybe = true

BAD(row11_short_lz4, "z-record-short-lz4", MOUNT(EINVAL));
BAD(row11_lz4_pcluster, "z-record-lz4-pcluster", MOUNT(EINVAL));
BAD(row11_short_lzma, "z-record-short-lzma", MOUNT(EINVAL));
BAD(row11_lzma_dictionary_large, "z-record-lzma-dictionary-large", MOUNT(EINVAL));
BAD(row11_lzma_dictionary_small, "z-record-lzma-dictionary-small", MOUNT(EINVAL));
BAD(row11_lzma_format, "z-record-lzma-format", MOUNT(EINVAL));
BAD(row11_short_deflate, "z-record-short-deflate", MOUNT(EINVAL));
BAD(row11_deflate_window, "z-record-deflate-window", MOUNT(EOPNOTSUPP));
BAD(row11_short_zstd, "z-record-short-zstd", MOUNT(EINVAL));
BAD(row11_zstd_format, "z-record-zstd-format", MOUNT(EINVAL));
BAD(row11_zstd_window, "z-record-zstd-window", MOUNT(EINVAL));

BAD(row39_algorithm_4, "z-algorithm-4", READ("words", EOPNOTSUPP));
BAD(row39_algorithm_15, "z-algorithm-f", READ("words", EOPNOTSUPP));
BAD(row39_second_algorithm_4, "z-algorithm2-4", READ("words", EOPNOTSUPP));
BAD(row40_big_without_bit, "z-big-without-bit", READ("words", EUCLEAN));
BAD(row40_big_without_bit_full, "z-big-without-bit-full", READ("words", EUCLEAN));
BAD(row40_big_one_of_two, "z-big-one-of-two", READ("words", EUCLEAN));
BAD(row41_cve_2023_54132, "z-clusterofs-4096", READ("words", EUCLEAN));
BAD(row41_clusterofs_65535, "z-clusterofs-65535", READ("words", EUCLEAN));
BAD(row41_compact_small_blocks, "z-compact-clusterofs", READ("words", EUCLEAN));
BAD(row41_compact_small_blocks_all, "z-compact-clusterofs-all", READ("words", EUCLEAN));
BAD(row42_count_without_big, "z-count-without-big", READ("words", EUCLEAN));
BAD(row42_count_without_big_compact, "z-compact-count-without-big", READ("words", EUCLEAN));
BAD(row43_no_count, "z-no-count", READ("words", EUCLEAN));
BAD(row43_no_count_compact, "z-compact-no-count", READ("words", EUCLEAN));
BAD(row44_step_0, "z-step-0", WAY("words", EUCLEAN));
BAD(row44_step_beyond_start, "z-step-beyond-start", WAY("words", EUCLEAN));
BAD(row44_step_2047, "z-step-2047", WAY("words", EUCLEAN));
BAD(row44_first_nonhead, "z-first-nonhead", READ("words", EUCLEAN));
BAD(row44_first_clusterofs, "z-clusterofs-first", READ("words", EUCLEAN));
BAD(row44_all_nonhead, "z-all-nonhead", READ("words", EUCLEAN));
BAD(row44_compact_step_0, "z-compact-step-0", WAY("words", EUCLEAN));
BAD(row44_compact_step_beyond_start, "z-compact-step-beyond-start", WAY("words", EUCLEAN));
BAD(row44_compact_first_nonhead, "z-compact-first-nonhead", READ("words", EUCLEAN));
BAD(row44_compact_all_nonhead, "z-compact-all-nonhead", READ("words", EUCLEAN));
BAD(row45_compact_distance_1, "z-compact-distance-1", ANY("text"));
BAD(row46_cve_2024_53234_lclusters, "z-lclusters-of-15-bits", READ("words", EINVAL));
BAD(row46_lclusters_of_27_bits, "z-lclusters-of-27-bits", READ("words", EINVAL));
BAD(row46_lclusters_of_27_bits_full, "z-lclusters-of-27-bits-full", READ("words", EOPNOTSUPP), .or = EUCLEAN, .maybe = true);
BAD(row47_two_bytes_of_13_bits, "z-two-bytes-of-13-bits", READ("words", EOPNOTSUPP), .or = EUCLEAN);
BAD(row48_inline_crosses, "z-inline-crosses", READ("tail", EUCLEAN));
BAD(row48_inline_crosses_full, "z-inline-crosses-full", READ("tail", EUCLEAN));
BAD(row48_inline_empty, "z-inline-empty", READ("tail", EUCLEAN));
BAD(row49_beyond_size, "z-extent-beyond-size", READ("words", EUCLEAN));
BAD(row49_order, "z-extent-order", ANY("words"));
BAD(row49_count_large, "z-extent-count-large", ANY("words"));
BAD(row50_format_5, "z-extent-format-5", READ("words", EOPNOTSUPP));
BAD(row50_format_15, "z-extent-format-15", READ("words", EOPNOTSUPP));
BAD(row50_format_15_short, "z-extent-format-15-r4", READ("text", EOPNOTSUPP));
BAD(row51_cve_2024_26590, "z-algorithm-unlisted", READ("words", EUCLEAN));
BAD(row51_extent_unlisted, "z-extent-unlisted", READ("words", EUCLEAN));
BAD(row51_cve_2022_50746, "z-plain-too-short", READ("words", EUCLEAN));
BAD(row51_all_plain, "z-all-plain", READ("words", EUCLEAN), .or = EIO, .silent = true);
BAD(row51_extent_plain_too_short, "z-extent-plain-too-short", READ("words", EUCLEAN));
BAD(row51_count_2047, "z-count-2047", READ("words", EUCLEAN), .or = EOPNOTSUPP);
BAD(row51_extent_long, "z-extent-long", READ("words", EUCLEAN), .or = EOPNOTSUPP);
BAD(row51_extent_overflow, "z-extent-overflow", READ("words", EUCLEAN));
BAD(row51_extent_48_bits, "z-extent-48-bits", READ("words", EUCLEAN));
BAD(row51_extent_decoded_long, "z-extent-decoded-long", READ("words", EOPNOTSUPP), .or = EUCLEAN);
BAD(row51_one_byte, "z-extent-one-byte", READ("words", EUCLEAN));
BAD(row53_overlap_cve_2024_47736, "z-overlap", READ("words", EUCLEAN), .or = EIO, .silent = true);
BAD(row53_overlap_all, "z-overlap-all", READ("words", EUCLEAN), .or = EIO, .silent = true);
BAD(row54_zeros_lz4, "z-stream-zeros-lz4", READ("words", EUCLEAN));
BAD(row54_zeros_lzma, "z-stream-zeros-lzma", READ("words", EUCLEAN));
BAD(row54_zeros_deflate, "z-stream-zeros-deflate", READ("words", EUCLEAN));
BAD(row54_zeros_zstd, "z-stream-zeros-zstd", READ("words", EUCLEAN));
BAD(row55_garbage_lz4, "z-stream-garbage-lz4", READ("words", EUCLEAN));
BAD(row55_garbage_lzma, "z-stream-garbage-lzma", READ("words", EUCLEAN));
BAD(row55_garbage_deflate, "z-stream-garbage-deflate", READ("words", EUCLEAN));
BAD(row55_garbage_zstd, "z-stream-garbage-zstd", READ("words", EUCLEAN));
BAD(row55_cut_lz4, "z-stream-cut-lz4", ANY("words"));
BAD(row55_cut_lzma, "z-stream-cut-lzma", ANY("words"));
BAD(row55_cut_deflate, "z-stream-cut-deflate", ANY("words"));
BAD(row55_cut_zstd, "z-stream-cut-zstd", READ("words", EUCLEAN));
BAD(row55_shifted_lz4, "z-stream-shifted-lz4", ANY("words"));
BAD(row55_shifted_lzma, "z-stream-shifted-lzma", ANY("words"));
BAD(row55_shifted_deflate, "z-stream-shifted-deflate", ANY("words"));
BAD(row55_shifted_zstd, "z-stream-shifted-zstd", READ("words", EUCLEAN));
BAD(row55_later_head_lz4, "z-later-head-lz4", READ("words", EUCLEAN));
BAD(row55_later_head_lzma, "z-later-head-lzma", READ("words", EUCLEAN));
BAD(row55_later_head_deflate, "z-later-head-deflate", READ("words", EUCLEAN));
BAD(row55_later_head_zstd, "z-later-head-zstd", READ("words", EUCLEAN));
BAD(row55_size_more, "z-size-more", ANY("words"));
BAD(row55_size_less, "z-size-less", ANY("words"));
BAD(row56_no_packed_inode, "z-no-packed-inode", READ("text", EUCLEAN), .all = true);
BAD(row57_beyond_end, "z-fragment-beyond-end", READ("tail", EUCLEAN), .or = EIO, .differs = true);
BAD(row57_overflow, "z-fragment-overflow", READ("tail", EUCLEAN), .or = EIO, .differs = true);

BAD(cve_2022_50313_symlink, "link-size-negative", .where = AT_STAT, .path = "link", .err = EUCLEAN);
BAD(cve_2023_53777_same_in_turn, "z-same-in-turn", ANY("words"));
BAD(cve_2024_53234_no_way_forward, "z-no-way-forward", ANY("words"));
BAD(way_forward_long, "z-way-forward-long", ANY("words"));
BAD(cve_2026_43166_interlaced, "z-extent-interlaced-unaligned", READ("words", EUCLEAN), .or = EIO);
BAD(cve_2026_45999_size_less, "z-size-less-than-cluster", ANY("words"));
BAD(cve_2026_45999_size_one, "z-size-one", ANY("words"));
BAD(block_beyond_end, "z-block-beyond-end", READ("words", EIO), .or = EUCLEAN, .silent = true);
BAD(block_last, "z-block-last", READ("words", EIO), .or = EUCLEAN, .silent = true);
BAD(extent_beyond_end, "z-extent-beyond-end", READ("words", EIO), .or = EUCLEAN, .silent = true);
BAD(size_much_more, "z-size-much-more", READ("words", EUCLEAN), .or = EOPNOTSUPP, .maybe = true);
BAD(size_much_more_compact, "z-size-much-more-compact", READ("words", EUCLEAN), .or = EOPNOTSUPP, .maybe = true, .differs = true);
BAD(packed_inode_is_a_directory, "z-packed-inode-directory", MOUNT(EUCLEAN), .differs = true);

/* What memory holds that nobody owns: it must not come back in a file. */
#define POISON "\xa5\x5a\xc3 stale bytes "
#define POISON_LEN (sizeof(POISON) - 1)

static void poison_memory(void)
{
	size_t size = 16 * MIB;
	char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		return;
	for (size_t at = 0; at + POISON_LEN <= size; at += POISON_LEN)
		memcpy(map + at, POISON, POISON_LEN);
	munmap(map, size);
}

FIXTURE_SETUP(zcorrupt)
{
	ASSERT_EQ(0, private_mounts());
	self->log = klog_open();
	ASSERT_GE(self->log, 0);
}

FIXTURE_TEARDOWN(zcorrupt)
{
}

/* Enough of a file whose size is no more than a claim. */
#define READ_LIMIT ((off_t)MIB)

/* The first error of reading the file in order; 0 if there is none. */
static int read_through(int fd)
{
	static char buf[65536];
	ssize_t n;

	for (off_t at = 0; at < READ_LIMIT; at += n) {
		n = pread(fd, buf, sizeof(buf), at);
		if (n < 0)
			return -errno;
		if (!n)
			break;
	}
	return 0;
}

/* The first error of reading the file page by page from its end; 0 if there is none. */
static int read_back(int fd)
{
	char page[PAGE];
	int err = 0;

	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (off_t at = lseek(fd, 0, SEEK_END) & -PAGE; at >= 0; at -= PAGE) {
		if (pread(fd, page, PAGE, at) < 0 && !err)
			err = -errno;
	}
	return err;
}

/* Every page alone: how many cannot be read, and whether one holds what was lying in memory. */
static int read_pages(int fd, bool *stale)
{
	char page[PAGE];
	int failed = 0;
	ssize_t n;

	for (off_t at = 0; at < READ_LIMIT; at += PAGE) {
		n = pread(fd, page, PAGE, at);
		if (!n)
			break;
		failed += n < 0;
		*stale |= n > 0 && memmem(page, n, POISON, POISON_LEN);
	}
	return failed;
}

/* The calls that walk the index, whatever they say: they must come to an end. */
static void ask_where(int fd)
{
	struct {
		struct fiemap head;
		struct fiemap_extent extent[64];
	} map = { .head = { .fm_length = FIEMAP_MAX_OFFSET, .fm_extent_count = 64 } };

	ioctl(fd, FS_IOC_FIEMAP, &map);
	lseek(fd, 0, SEEK_HOLE);
	lseek(fd, 5000, SEEK_DATA);
}

TEST_F(zcorrupt, errno_one_log_line_and_no_stale_bytes)
{
	char line[512] = "";
	int err = mount_image(variant->image, "/mnt/bad", NULL), fd = -1, lines, failed;
	bool stale = false, expected;
	struct stat st;
	uint32_t crc;

	if (variant->where == AT_MOUNT) {
		EXPECT_TRUE(err == -variant->err || (driver_is_c() && variant->differs))
			TH_LOG("%s", strerror(-err));
		goto log;
	}
	ASSERT_EQ(0, err);
	poison_memory();
	klog_erofs(self->log, line, sizeof(line));
	if (variant->where == AT_STAT) {
		EXPECT_EQ(-1, fstatat(AT_FDCWD, "/mnt/bad/link", &st, AT_SYMLINK_NOFOLLOW));
		EXPECT_EQ(variant->err, errno);
	} else {
		fd = open_read("/mnt/bad", variant->path, 0);
		ASSERT_GE(fd, 0);
		err = variant->backwards ? read_back(fd) : read_through(fd);
		expected = err == -variant->err || (variant->or && err == -variant->or) || (variant->maybe && !err);
		EXPECT_TRUE(expected || (driver_is_c() && variant->differs))
			TH_LOG("%s", err ? strerror(-err) : "no error");
	}
log:
	lines = klog_erofs(self->log, line, sizeof(line));
	if (!driver_is_c()) {
		EXPECT_TRUE(lines == (err || variant->where != AT_READ) || (variant->silent && !lines))
			TH_LOG("%d lines, the last of them: %s", lines, line);
	}
	if (variant->where == AT_MOUNT)
		return;
	if (variant->where == AT_READ) {
		failed = read_pages(fd, &stale);
		EXPECT_EQ(!!err, !!failed)
			TH_LOG("%d pages cannot be read alone", failed);
		EXPECT_FALSE(stale);
		ask_where(fd);
		close(fd);
	}
	/* What is not damaged works on. */
	if (!variant->all && !(driver_is_c() && variant->differs)) {
		EXPECT_EQ(0, path_crc("/mnt/bad", "healthy", &crc));
		EXPECT_EQ(0x5b2b714a, crc);
	}
	EXPECT_EQ(0, umount_at("/mnt/bad"));
}

TEST_HARNESS_MAIN
