// SPDX-License-Identifier: GPL-2.0
/* Equal files of images that encode them differently: one copy in memory, filled through whichever image can. */
#include "extents.h"
#include "harness.h"
#include "slow.h"

#define DM "selftest-encodings"

static const struct {
	const char *name;
	int pages;
} files[] = { { "text", 256 }, { "words", 171 }, { "mixed", 98 }, { "tail", 2 }, { "tiny", 1 }, { "zero", 49 }, { "sparse", 97 } };

FIXTURE(encodings) {
};

FIXTURE_VARIANT(encodings) {
	const char *a, *b;
};

#define PAIR(x, y) FIXTURE_VARIANT_ADD(encodings, x##_and_##y) { .a = "encoded-a-" #x, .b = "encoded-b-" #y }
PAIR(plain, lz4);
PAIR(lz4, plain);
PAIR(plain, zstd);
PAIR(plain, packed);
PAIR(lzma, plain);
PAIR(deflate, plain);
PAIR(lz4, lz4hc64k);
PAIR(lz4hc64k, zstd);
PAIR(zstd, lzma);
PAIR(packed, deflate);
FIXTURE_VARIANT_ADD(encodings, plain_and_48bit) { .a = "encoded-a-plain", .b = "encoded-b-48bit" };

FIXTURE_SETUP(encodings)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->a, "/mnt/a", DOMAIN));
	ASSERT_EQ(0, mount_image(variant->b, "/mnt/b", DOMAIN));
	ASSERT_EQ(0, mount_image("encoded-a-private", "/mnt/private", NULL));
}

FIXTURE_TEARDOWN(encodings)
{
}

TEST_F(encodings, equal_files_share_every_frame)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		EXPECT_EQ(files[i].pages, frames_shared("/mnt/a", files[i].name, "/mnt/b", files[i].name, files[i].pages))
			TH_LOG("%s", files[i].name);
	}
}

TEST_F(encodings, contents_are_right_whoever_reads_first)
{
	for (int round = 0; round < 2; round++) {
		ASSERT_EQ(0, drop_caches(1));
		for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
			EXPECT_EQ(0, same_bytes(round ? "/mnt/b" : "/mnt/a", files[i].name, "/mnt/private", files[i].name))
				TH_LOG("%s", files[i].name);
			EXPECT_EQ(0, same_bytes(round ? "/mnt/a" : "/mnt/b", files[i].name, "/mnt/private", files[i].name))
				TH_LOG("%s", files[i].name);
		}
	}
	EXPECT_EQ(-EUCLEAN, same_bytes("/mnt/a", "differs", "/mnt/b", "differs"));
}

/* Pages that one image filled in part and the other in part, by extents of different lengths. */
TEST_F(encodings, pages_of_both_in_one_file)
{
	static char page[PAGE], source[PAGE];
	int fa = open_read("/mnt/a", "words", 0), fb = open_read("/mnt/b", "words", 0), fp = open_read("/mnt/private", "words", 0);

	posix_fadvise(fa, 0, 0, POSIX_FADV_RANDOM);
	posix_fadvise(fb, 0, 0, POSIX_FADV_RANDOM);
	for (int k = 0; k < 170; k++) {
		off_t at = k * 61 % 170 * PAGE;

		ASSERT_EQ(PAGE, pread(k % 2 ? fa : fb, page, PAGE, at));
		ASSERT_EQ(PAGE, pread(fp, source, PAGE, at));
		ASSERT_EQ(0, memcmp(page, source, PAGE))
			TH_LOG("page %lld", (long long)at / PAGE);
	}
}

/* --- One of the images cannot fill the page --- */

FIXTURE(fallback) {
	char dev[DEV_LEN];
};

FIXTURE_VARIANT(fallback) {
	const char *healthy, *failing;	/* failing: its first extent cannot be read or decoded */
	bool bad_sectors;
};

FIXTURE_VARIANT_ADD(fallback, lz4_garbage_plain) { .healthy = "encoded-a-plain", .failing = "encoded-b-garbage" };
FIXTURE_VARIANT_ADD(fallback, lz4_zeros_zstd) { .healthy = "encoded-a-zstd", .failing = "encoded-b-zeros" };
FIXTURE_VARIANT_ADD(fallback, lz4_sectors_plain) { .healthy = "encoded-a-plain", .failing = "encoded-b-lz4hc64k", .bad_sectors = true };
FIXTURE_VARIANT_ADD(fallback, plain_sectors_lz4) { .healthy = "encoded-a-lz4", .failing = "encoded-b-plain", .bad_sectors = true };
FIXTURE_VARIANT_ADD(fallback, zstd_sectors_lzma) { .healthy = "encoded-a-lzma", .failing = "encoded-b-zstd", .bad_sectors = true };

/* The failing image on /mnt/b. */
static int mount_failing(const FIXTURE_VARIANT(fallback) *variant, char dev[DEV_LEN])
{
	uint64_t start, count;
	int err;

	if (!variant->bad_sectors)
		return mount_image(variant->failing, "/mnt/b", DOMAIN);
	err = extent_of(variant->failing, "text", &start, &count);
	err = err ?: dm_image(DM, variant->failing, start, 8, dev);
	return err ?: mount_at(dev, "/mnt/b", DOMAIN);
}

FIXTURE_SETUP(fallback)
{
	ASSERT_EQ(0, private_mounts());
	dm_remove(DM);
	ASSERT_EQ(0, mount_image("encoded-a-private", "/mnt/private", NULL));
	ASSERT_EQ(0, mount_failing(variant, self->dev));
}

FIXTURE_TEARDOWN(fallback)
{
	umount_at("/mnt/b");
	dm_remove(DM);
}

/* Member of the shared file, without a page. */
static void open_text(const char *dir)
{
	int fd = open_read(dir, "text", 0);

	if (fd >= 0)
		close(fd);
}

TEST_F(fallback, another_image_serves)
{
	uint32_t crc, expected;

	ASSERT_EQ(0, path_crc("/mnt/private", "text", &expected));
	ASSERT_EQ(0, mount_image(variant->healthy, "/mnt/a", DOMAIN));
	open_text("/mnt/a");
	open_text("/mnt/b");
	ASSERT_EQ(0, drop_caches(1));
	EXPECT_EQ(0, path_crc("/mnt/b", "text", &crc));
	EXPECT_EQ(expected, crc);
	EXPECT_EQ(0, path_crc("/mnt/a", "text", &crc));
	EXPECT_EQ(expected, crc);
	/* Its other files are its own affair. */
	EXPECT_EQ(0, same_bytes("/mnt/b", "mixed", "/mnt/private", "mixed"));
}

TEST_F(fallback, another_image_serves_a_fault)
{
	uint32_t crc, expected;
	int fd;

	ASSERT_EQ(0, path_crc("/mnt/private", "text", &expected));
	ASSERT_EQ(0, mount_image(variant->healthy, "/mnt/a", DOMAIN));
	open_text("/mnt/a");
	fd = open_read("/mnt/b", "text", 0);
	ASSERT_EQ(0, drop_caches(1));
	EXPECT_EQ(0, file_crc_mmap(fd, &crc));
	EXPECT_EQ(expected, crc);
	close(fd);
}

TEST_F(fallback, alone_it_is_an_error)
{
	uint32_t crc;
	int err = path_crc("/mnt/b", "text", &crc);

	EXPECT_TRUE(err == -EIO || err == -EUCLEAN)
		TH_LOG("%d", err);
	/* After the healthy one came and went it is again. */
	ASSERT_EQ(0, mount_image(variant->healthy, "/mnt/a", DOMAIN));
	open_text("/mnt/a");
	ASSERT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(0, drop_caches(3));
	err = path_crc("/mnt/b", "text", &crc);
	EXPECT_TRUE(err == -EIO || err == -EUCLEAN)
		TH_LOG("%d", err);
}

/* Two that cannot: an error, and an end. */
TEST(nobody_can)
{
	uint32_t crc;

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("encoded-b-garbage", "/mnt/a", DOMAIN));
	ASSERT_EQ(0, mount_image("encoded-b-zeros", "/mnt/b", DOMAIN));
	open_text("/mnt/a");
	open_text("/mnt/b");
	EXPECT_EQ(-EUCLEAN, path_crc("/mnt/a", "text", &crc));
	EXPECT_EQ(-EUCLEAN, path_crc("/mnt/b", "text", &crc));
	EXPECT_EQ(-EUCLEAN, path_crc("/mnt/a", "text", &crc));
}

TEST_HARNESS_MAIN
