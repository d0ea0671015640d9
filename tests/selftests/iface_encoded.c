// SPDX-License-Identifier: GPL-2.0
/* fiemap of compressed files: what is at the places that it names are not the files' bytes, and it says so (W25). */
#include "extents.h"
#include "harness.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

FIXTURE(encoded) {
};

FIXTURE_VARIANT(encoded) {
	const char *image;
	bool fragments;
};

FIXTURE_VARIANT_ADD(encoded, lz4) { .image = "z-lz4hc64k-compact" };
FIXTURE_VARIANT_ADD(encoded, zstd_48bit) { .image = "z-zstd-48bit" };
FIXTURE_VARIANT_ADD(encoded, fragments) { .image = "z-lz4-all-fragments", .fragments = true };

FIXTURE_SETUP(encoded)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", NULL));
	ASSERT_EQ(0, chdir("/mnt/a"));
}

FIXTURE_TEARDOWN(encoded)
{
}

TEST_F(encoded, said_to_be_so)
{
	static const char * const files[] = { "text", "mixed", "tail/text-12345" };

	for (size_t f = 0; f < ARRAY_SIZE(files); f++) {
		struct map map;

		ASSERT_EQ(0, map_file(files[f], 0, FIEMAP_MAX_OFFSET, 0, &map));
		for (unsigned int i = 0; i < map.head.fm_mapped_extents; i++) {
			uint32_t flags = map.extent[i].fe_flags & ~FIEMAP_EXTENT_LAST;

			if (variant->fragments) {
				EXPECT_EQ(FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_UNKNOWN, flags);
				EXPECT_EQ(0, map.extent[i].fe_physical);
			} else {
				EXPECT_EQ(FIEMAP_EXTENT_ENCODED, flags);
				EXPECT_NE(0, map.extent[i].fe_physical);
			}
		}
	}
}

/* A part of a file has no last extent, unless it is the last part. */
TEST_F(encoded, last_is_of_the_file)
{
	struct map map;
	int fd;

	ASSERT_EQ(0, map_file("mixed", 0, 1, 0, &map));
	ASSERT_EQ(1, map.head.fm_mapped_extents);
	if (!variant->fragments) {
		EXPECT_FALSE(map.extent[0].fe_flags & FIEMAP_EXTENT_LAST);
	}
	ASSERT_EQ(0, map_file("mixed", 249999, 1, 0, &map));
	ASSERT_EQ(1, map.head.fm_mapped_extents);
	EXPECT_TRUE(map.extent[0].fe_flags & FIEMAP_EXTENT_LAST);
	/* Counting only. */
	memset(&map, 0, sizeof(map));
	map.head.fm_length = FIEMAP_MAX_OFFSET;
	fd = open("mixed", O_RDONLY);
	ASSERT_EQ(0, ioctl(fd, FS_IOC_FIEMAP, &map));
	EXPECT_LE(1, map.head.fm_mapped_extents);
	close(fd);
}

TEST_HARNESS_MAIN
