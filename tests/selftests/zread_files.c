// SPDX-License-Identifier: GPL-2.0
/* Compressed files by every way to read: the bytes are those of the source, and the calls answer as for any file. */
#include "harness.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

static const char * const files[] = { "text", "words", "mixed", "zero", "sparse", "unit", "unit-again", "dedupe/two", "dedupe/three",
	"tail/words-5000", "tail/words-8195", "tail/text-12345", "tail/plain-end", "tail/words-4097", "tail/text-1" };
/* Those that are compressed in every image. */
static const char * const compressed[] = { "text", "words", "unit" };

FIXTURE(zread) {
	char *source[ARRAY_SIZE(files)];
	size_t size[ARRAY_SIZE(files)];
};

FIXTURE_VARIANT(zread) {
	const char *image;
	bool slow;	/* not on slow kernels: another one is much like it */
};

#define IMAGE(name, img) FIXTURE_VARIANT_ADD(zread, name) { .image = "z-" img }
#define MORE(name, img) FIXTURE_VARIANT_ADD(zread, name) { .image = "z-" img, .slow = true }
IMAGE(lz4, "lz4-compact");
MORE(lz4_64k, "lz4hc64k-compact");
IMAGE(lz4_64k_512, "lz4hc64k-compact-512");
MORE(lz4_full_2048, "lz4-full-2048");
IMAGE(lz4_tails, "lz4-tails");
MORE(lz4_tails_512, "lz4-tails-512");
MORE(lz4_fragments, "lz4hc64k-fragments");
MORE(lz4_all_fragments, "lz4hc64k-all-fragments");
MORE(lz4_dedupe, "lz4hc64k-dedupe");
IMAGE(lz4_packed, "lz4hc64k-packed");
MORE(lz4_48bit_dedupe, "lz4hc64k-48bit-dedupe");
IMAGE(lz4_metabox, "lz4-metabox");
IMAGE(lzma, "lzma-compact");
MORE(lzma_metabox, "lzma-metabox-fragments");
IMAGE(deflate, "deflate-compact");
MORE(zstd, "zstd-compact");
IMAGE(zstd_48bit, "zstd-48bit");
MORE(zstd_1024, "zstd-compact-1024");

static int load(const char *dir, const char *file, char **data, size_t *size)
{
	int fd = open_read(dir, file, 0);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -EIO;
	*size = st.st_size;
	*data = malloc(st.st_size + 1);
	for (size_t at = 0; at < *size; ) {
		ssize_t n = pread(fd, *data + at, *size - at, at);

		if (n <= 0)
			return -EIO;
		at += n;
	}
	close(fd);
	return 0;
}

FIXTURE_SETUP(zread)
{
	if (quick() && variant->slow)
		SKIP(return, "not on a slow kernel");
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("z-plain", "/mnt/source", NULL));
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		ASSERT_EQ(0, load("/mnt/source", files[i], &self->source[i], &self->size[i]));
	}
}

FIXTURE_TEARDOWN(zread)
{
}

static unsigned int draw(unsigned int *seed, unsigned int below)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 8) % below;
}

/* Reads parts and compares them; 0, or -errno. */
static int read_at_random(int fd, const char *source, size_t size, int count, unsigned int seed)
{
	static char buf[40000];

	while (count--) {
		size_t at = draw(&seed, size + 100), length = 1 + draw(&seed, count % 8 ? 700 : sizeof(buf) - 1);
		ssize_t n = pread(fd, buf, length, at), expected = at >= size ? 0 : length < size - at ? length : size - at;

		if (n < 0)
			return -errno;
		if (n != expected || memcmp(buf, source + at, n))
			return -EUCLEAN;
	}
	return 0;
}

TEST_F(zread, odd_offsets_and_sizes)
{
	static const int advice[] = { POSIX_FADV_RANDOM, POSIX_FADV_NORMAL, POSIX_FADV_SEQUENTIAL };

	for (size_t k = 0; k < ARRAY_SIZE(advice); k++) {
		ASSERT_EQ(0, drop_caches(3));
		for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
			int fd = open_read("/mnt/a", files[i], 0);

			ASSERT_GE(fd, 0);
			ASSERT_EQ(0, posix_fadvise(fd, 0, 0, advice[k]));
			EXPECT_EQ(0, read_at_random(fd, self->source[i], self->size[i], 40, i + k))
				TH_LOG("%s, advice %d", files[i], advice[k]);
			close(fd);
		}
	}
}

TEST_F(zread, in_order)
{
	static const size_t steps[] = { 777, PAGE, 65536, 1 << 20 };
	static char buf[1 << 20];

	for (size_t k = 0; k < ARRAY_SIZE(steps); k++) {
		ASSERT_EQ(0, drop_caches(1));
		for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
			int fd = open_read("/mnt/a", files[i], 0);
			size_t at = 0;
			ssize_t n;

			while ((n = read(fd, buf, steps[k])) > 0) {
				ASSERT_LE(at + n, self->size[i]);
				ASSERT_EQ(0, memcmp(buf, self->source[i] + at, n))
					TH_LOG("%s at %zu by %zu", files[i], at, steps[k]);
				at += n;
			}
			EXPECT_EQ(0, n);
			EXPECT_EQ(self->size[i], at);
			close(fd);
		}
	}
}

TEST_F(zread, backwards)
{
	char page[PAGE];

	ASSERT_EQ(0, drop_caches(1));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int fd = open_read("/mnt/a", files[i], 0);

		for (off_t at = (self->size[i] - 1) / PAGE * PAGE; at >= 0; at -= PAGE) {
			ssize_t n = pread(fd, page, PAGE, at);

			ASSERT_LT(0, n);
			ASSERT_EQ(0, memcmp(page, self->source[i] + at, n))
				TH_LOG("%s at %lld", files[i], (long long)at);
		}
		close(fd);
	}
}

TEST_F(zread, mapped)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int fd = open_read("/mnt/a", files[i], 0);
		size_t pages = (self->size[i] + PAGE - 1) / PAGE;
		unsigned int seed = i;
		char *map;

		ASSERT_EQ(0, drop_caches(1));
		map = mmap(NULL, pages * PAGE, PROT_READ, MAP_SHARED, fd, 0);
		ASSERT_NE(MAP_FAILED, map);
		madvise(map, pages * PAGE, i % 2 ? MADV_RANDOM : MADV_NORMAL);
		for (int k = 0; k < 20; k++) {
			size_t at = draw(&seed, self->size[i]);

			EXPECT_EQ(self->source[i][at], map[at])
				TH_LOG("%s at %zu", files[i], at);
		}
		EXPECT_EQ(0, memcmp(map, self->source[i], self->size[i]))
			TH_LOG("%s", files[i]);
		/* What a page has beyond the end is nothing. */
		for (size_t at = self->size[i]; at < pages * PAGE; at++) {
			ASSERT_EQ(0, map[at])
				TH_LOG("%s at %zu", files[i], at);
		}
		munmap(map, pages * PAGE);
		close(fd);
	}
}

TEST_F(zread, spliced)
{
	static char buf[65536];
	int pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, drop_caches(1));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int fd = open_read("/mnt/a", files[i], 0);
		loff_t at = 0;

		while (at < (loff_t)self->size[i]) {
			loff_t start = at;
			ssize_t n = splice(fd, &at, pipes[1], NULL, 30000, 0);

			ASSERT_LT(0, n);
			for (ssize_t got = 0, m; got < n; got += m) {
				m = read(pipes[0], buf, n - got);
				ASSERT_LT(0, m);
				ASSERT_EQ(0, memcmp(buf, self->source[i] + start + got, m))
					TH_LOG("%s at %lld", files[i], (long long)start);
			}
		}
		close(fd);
	}
}

TEST_F(zread, read_ahead)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int fd = open_read("/mnt/a", files[i], 0);
		long pages = (self->size[i] + PAGE - 1) / PAGE;

		ASSERT_EQ(0, drop_caches(1));
		EXPECT_EQ(0, readahead(fd, self->size[i] / 3, self->size[i]));
		EXPECT_EQ(0, posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED));
		EXPECT_EQ(0, read_at_random(fd, self->source[i], self->size[i], 20, i));
		/* All of a file that is no longer than one request. */
		if (self->size[i] <= 65536) {
			EXPECT_EQ(pages, resident_pages(fd))
				TH_LOG("%s", files[i]);
		}
		EXPECT_EQ(0, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
		EXPECT_EQ(0, read_at_random(fd, self->source[i], self->size[i], 20, i));
		close(fd);
	}
}

TEST_F(zread, no_direct_io)
{
	for (size_t i = 0; i < ARRAY_SIZE(compressed); i++) {
		int fd = open_read("/mnt/a", compressed[i], 0), block = 0;
		struct statx stx;
		char byte;
		struct iovec iov = { &byte, 1 };

		EXPECT_EQ(-EINVAL, open_read("/mnt/a", compressed[i], O_DIRECT));
		EXPECT_EQ(-1, fcntl(fd, F_SETFL, O_DIRECT));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(0, statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_DIOALIGN, &stx));
		EXPECT_TRUE(stx.stx_attributes & STATX_ATTR_COMPRESSED);
		EXPECT_TRUE(stx.stx_mask & STATX_DIOALIGN);
		EXPECT_EQ(0, stx.stx_dio_mem_align);
		EXPECT_EQ(0, stx.stx_dio_offset_align);
		EXPECT_EQ(-1, ioctl(fd, FIBMAP, &block));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(-1, preadv2(fd, &iov, 1, 0, RWF_NOWAIT));
		EXPECT_EQ(EOPNOTSUPP, errno);
		close(fd);
	}
	EXPECT_LE(0, open_read("/mnt/a", "empty", O_DIRECT));
}

/* One range of data, as in the C driver, whatever is zero in it. */
TEST_F(zread, data_and_holes)
{
	for (size_t i = 0; i < ARRAY_SIZE(compressed); i++) {
		int fd = open_read("/mnt/a", compressed[i], 0);
		off_t size = lseek(fd, 0, SEEK_END);

		EXPECT_EQ(0, lseek(fd, 0, SEEK_DATA));
		EXPECT_EQ(4097, lseek(fd, 4097, SEEK_DATA));
		EXPECT_EQ(size, lseek(fd, 0, SEEK_HOLE));
		EXPECT_EQ(size, lseek(fd, size - 1, SEEK_HOLE));
		EXPECT_EQ(-1, lseek(fd, size, SEEK_DATA));
		EXPECT_EQ(ENXIO, errno);
		close(fd);
	}
}

/* Extents tile the file, asked from anywhere (CVE-2022-49747: a length of 0). */
TEST_F(zread, extents)
{
	struct {
		struct fiemap head;
		struct fiemap_extent extent[2000];
	} map;

	for (size_t i = 0; i < ARRAY_SIZE(compressed); i++) {
		int fd = open_read("/mnt/a", compressed[i], 0);
		uint64_t size = lseek(fd, 0, SEEK_END), at = 0;
		uint32_t n;

		memset(&map, 0, sizeof(map));
		map.head.fm_length = FIEMAP_MAX_OFFSET;
		map.head.fm_extent_count = 2000;
		ASSERT_EQ(0, ioctl(fd, FS_IOC_FIEMAP, &map));
		n = map.head.fm_mapped_extents;
		ASSERT_LT(0, n);
		for (uint32_t k = 0; k < n; k++) {
			EXPECT_EQ(at, map.extent[k].fe_logical);
			EXPECT_LT(0, map.extent[k].fe_length);
			at += map.extent[k].fe_length;
			EXPECT_EQ(k + 1 == n, !!(map.extent[k].fe_flags & FIEMAP_EXTENT_LAST));
		}
		EXPECT_EQ(size, at);
		for (uint64_t from = 1; from < size; from += size / 7) {
			map.head.fm_start = from;
			map.head.fm_length = 1;
			map.head.fm_extent_count = 2000;
			ASSERT_EQ(0, ioctl(fd, FS_IOC_FIEMAP, &map));
			ASSERT_EQ(1, map.head.fm_mapped_extents);
			EXPECT_LE(map.extent[0].fe_logical, from);
			EXPECT_LT(from, map.extent[0].fe_logical + map.extent[0].fe_length);
		}
		close(fd);
	}
}

/* The same bytes at both ends of a file of more than 4 GiB. */
TEST(beyond_four_gigabytes)
{
	static char near[30000], far[30000];
	const off_t start = (4LL << 30) + 8192, size = 100000;
	int fd;

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("far", "/mnt/a", NULL));
	fd = open_read("/mnt/a", "words", 0);
	EXPECT_EQ(start + size, lseek(fd, 0, SEEK_END));
	for (off_t at = 0; at < size; at += 29999) {
		ssize_t n = at + 30000 < size ? 30000 : size - at;

		ASSERT_EQ(n, pread(fd, far, 30000, start + at));
		ASSERT_EQ(n, pread(fd, near, n, at));
		EXPECT_EQ(0, memcmp(near, far, n));
	}
	memset(near, 0, sizeof(near));
	for (off_t at = size; at < start - 30000; at += 500000001) {
		ASSERT_EQ(30000, pread(fd, far, 30000, at));
		EXPECT_EQ(0, memcmp(near, far, 30000));
	}
	close(fd);
}

TEST(at_an_offset_of_the_device)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("z-plain", "/mnt/source", NULL));
	ASSERT_EQ(0, mount_image("late-compressed", "/mnt/a", "fsoffset=65536"));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		EXPECT_EQ(0, same_bytes("/mnt/a", files[i], "/mnt/source", files[i]))
			TH_LOG("%s", files[i]);
	}
}

TEST_HARNESS_MAIN
