// SPDX-License-Identifier: GPL-2.0
/* Which files share page frames, and which do not. */
#include "harness.h"

#define COMMON_PAGES 256

FIXTURE(pair) {
	int pages;
};

FIXTURE_VARIANT(pair) {
	const char *a, *b;
};

FIXTURE_VARIANT_ADD(pair, block_4096) { .a = "share-a", .b = "share-b" };
FIXTURE_VARIANT_ADD(pair, block_2048) { .a = "share-a-2048", .b = "share-b-2048" };
FIXTURE_VARIANT_ADD(pair, block_1024) { .a = "share-a-1024", .b = "share-b-1024" };
FIXTURE_VARIANT_ADD(pair, block_512) { .a = "share-a-512", .b = "share-b-512" };
FIXTURE_VARIANT_ADD(pair, hidden_name) { .a = "share-a-hidden", .b = "share-b-hidden" };
FIXTURE_VARIANT_ADD(pair, chunks) { .a = "share-a-chunk", .b = "share-b-chunk" };
FIXTURE_VARIANT_ADD(pair, mixed_layouts) { .a = "share-a", .b = "share-b-chunk" };

FIXTURE_SETUP(pair)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->a, "/mnt/a", DOMAIN));
	ASSERT_EQ(0, mount_image(variant->b, "/mnt/b", DOMAIN));
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/private-a", NULL));
	ASSERT_EQ(0, mount_image("share-b-private", "/mnt/private-b", NULL));
}

FIXTURE_TEARDOWN(pair)
{
}

TEST_F(pair, equal_files_share_every_frame)
{
	EXPECT_EQ(COMMON_PAGES, frames_shared("/mnt/a", "common", "/mnt/b", "common", COMMON_PAGES));
	EXPECT_EQ(1, frames_shared("/mnt/a", "tiny", "/mnt/b", "tiny", 1));
	EXPECT_EQ(2, frames_shared("/mnt/a", "tail", "/mnt/b", "tail", 2));
	EXPECT_EQ(97, frames_shared("/mnt/a", "sparse", "/mnt/b", "sparse", 97));
}

TEST_F(pair, equal_files_of_one_image_share)
{
	EXPECT_EQ(COMMON_PAGES, frames_shared("/mnt/a", "common", "/mnt/a", "twin", COMMON_PAGES));
	EXPECT_EQ(COMMON_PAGES, frames_shared("/mnt/b", "twin", "/mnt/a", "common", COMMON_PAGES));
}

TEST_F(pair, contents_are_those_of_each_image)
{
	static const char * const files[] = { "common", "twin", "huge", "tail", "tiny", "sparse", "hello",
		"differs", "grown", "empty", "directory/same-00", "directory/same-09", "directory/same-33" };

	/* First all through A, then all through B: B reads what A brought in. */
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		EXPECT_EQ(0, same_bytes("/mnt/a", files[i], "/mnt/private-a", files[i]))
			TH_LOG("a/%s", files[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		EXPECT_EQ(0, same_bytes("/mnt/b", files[i], "/mnt/private-b", files[i]))
			TH_LOG("b/%s", files[i]);
	}
}

TEST_F(pair, other_bytes_do_not_share)
{
	EXPECT_EQ(0, frames_shared("/mnt/a", "differs", "/mnt/b", "differs", 16));
	EXPECT_EQ(0, frames_shared("/mnt/a", "grown", "/mnt/b", "grown", 16));
}

FIXTURE(apart) {
};

FIXTURE_VARIANT(apart) {
	const char *image, *options;
};

FIXTURE_VARIANT_ADD(apart, other_domain) { .image = "share-b", .options = "domain_id=another,inode_share" };
FIXTURE_VARIANT_ADD(apart, longer_domain) { .image = "share-b", .options = "domain_id=selftest1,inode_share" };
FIXTURE_VARIANT_ADD(apart, shorter_domain) { .image = "share-b", .options = "domain_id=selftes,inode_share" };
FIXTURE_VARIANT_ADD(apart, no_domain) { .image = "share-b", .options = NULL };
FIXTURE_VARIANT_ADD(apart, domain_alone) { .image = "share-b", .options = "domain_id=selftest" };
FIXTURE_VARIANT_ADD(apart, no_fingerprints) { .image = "share-b-private", .options = DOMAIN };

FIXTURE_SETUP(apart)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", DOMAIN));
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/b", variant->options));
	ASSERT_EQ(0, mount_image("share-b-private", "/mnt/private", NULL));
}

FIXTURE_TEARDOWN(apart)
{
}

TEST_F(apart, nothing_is_shared)
{
	EXPECT_EQ(0, frames_shared("/mnt/a", "common", "/mnt/b", "common", COMMON_PAGES));
	EXPECT_EQ(0, frames_shared("/mnt/a", "tiny", "/mnt/b", "tiny", 1));
	EXPECT_EQ(0, same_bytes("/mnt/b", "common", "/mnt/private", "common"));
}

/* Fingerprints chosen by hand. */
FIXTURE(forged) {
};

FIXTURE_VARIANT(forged) {
	const char *a, *b;
};

FIXTURE_VARIANT_ADD(forged, block_4096) { .a = "forged-a-4096", .b = "forged-b-4096" };
FIXTURE_VARIANT_ADD(forged, block_512) { .a = "forged-a-512", .b = "forged-b-512" };

FIXTURE_SETUP(forged)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->a, "/mnt/a", DOMAIN));
	ASSERT_EQ(0, mount_image(variant->b, "/mnt/b", DOMAIN));
	ASSERT_EQ(0, mount_image(variant->a, "/mnt/private-a", NULL));
	ASSERT_EQ(0, mount_image(variant->b, "/mnt/private-b", NULL));
}

FIXTURE_TEARDOWN(forged)
{
}

TEST_F(forged, value_of_any_legal_length_shares)
{
	EXPECT_EQ(2, frames_shared("/mnt/a", "same", "/mnt/b", "same", 2));
	EXPECT_EQ(2, frames_shared("/mnt/a", "block-value", "/mnt/b", "block-value", 2));
}

TEST_F(forged, read_privately)
{
	static const char * const files[] = { "size", "empty-value", "none", "long-value", "after-nul", "shorter" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		EXPECT_EQ(0, frames_shared("/mnt/a", files[i], "/mnt/b", files[i], 2))
			TH_LOG("%s", files[i]);
		EXPECT_EQ(0, same_bytes("/mnt/a", files[i], "/mnt/private-a", files[i]))
			TH_LOG("a/%s", files[i]);
		EXPECT_EQ(0, same_bytes("/mnt/b", files[i], "/mnt/private-b", files[i]))
			TH_LOG("b/%s", files[i]);
	}
}

TEST(two_mounts_of_one_image_share)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", DOMAIN));
	ASSERT_EQ(0, mount_image("share-a", "/mnt/b", DOMAIN));
	EXPECT_EQ(COMMON_PAGES, frames_shared("/mnt/a", "common", "/mnt/b", "common", COMMON_PAGES));
	EXPECT_EQ(16, frames_shared("/mnt/a", "differs", "/mnt/b", "differs", 16));
}

/* An image of another block size may come first. */
TEST(block_sizes_do_not_mix_up)
{
	static const char * const images[] = { "share-a-512", "share-a", "share-a-1024", "share-a-2048" };
	static const char * const files[] = { "common", "tail", "tiny", "hello", "sparse", "directory/same-09" };
	char dir[32];

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/private", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		snprintf(dir, sizeof(dir), "/mnt/%zu", i);
		ASSERT_EQ(0, mount_image(images[i], dir, DOMAIN));
		for (size_t k = 0; k < ARRAY_SIZE(files); k++) {
			EXPECT_EQ(0, same_bytes(dir, files[k], "/mnt/private", files[k]))
				TH_LOG("%s in %s", files[k], images[i]);
		}
	}
}

TEST_HARNESS_MAIN
