// SPDX-License-Identifier: GPL-2.0
/* Metadata on extra devices, by addresses inside their windows. What the primary device has there is garbage. */
#include "harness.h"

#include <sys/mount.h>
#include <sys/stat.h>

FIXTURE(windows) {
};

FIXTURE_VARIANT(windows) {
	bool of_file;
	const char *name;
	int count;
	/* Windows begin within pages, of which the C driver takes the whole from one device. */
	bool uneven;
};

FIXTURE_VARIANT_ADD(windows, block_plain) { .name = "plain", .count = 3 };
FIXTURE_VARIANT_ADD(windows, block_chunk) { .name = "chunk", .count = 3 };
FIXTURE_VARIANT_ADD(windows, block_512) { .name = "512", .count = 4, .uneven = true };
FIXTURE_VARIANT_ADD(windows, file_plain) { .of_file = true, .name = "plain", .count = 3 };
FIXTURE_VARIANT_ADD(windows, file_chunk) { .of_file = true, .name = "chunk", .count = 3 };
FIXTURE_VARIANT_ADD(windows, file_512) { .of_file = true, .name = "512", .count = 4, .uneven = true };

FIXTURE_SETUP(windows)
{
	ASSERT_EQ(0, private_mounts());
}

FIXTURE_TEARDOWN(windows)
{
}

static int mount_spread(const char *name, const char *kind, int count, bool of_file)
{
	char image[64];

	snprintf(image, sizeof(image), "dev-spread-%s%s", name, kind);
	return mount_devices(image, count, of_file, "/mnt/a", NULL);
}

/* Addresses on a device and the number of blocks are others. */
static int dump(const char *dir, const char *file)
{
	char command[256], out[256];

	snprintf(command, sizeof(command), "treedump %s | grep -v -e '^ | extents' -e '^ | statfs' >%s", dir, file);
	return output_of(command, out, sizeof(out));
}

TEST_F(windows, whole_tree)
{
	char image[64], out[4096];

	/* C looks for metadata of block devices on the primary one. */
	if (driver_is_c() && !variant->of_file) {
		EXPECT_GT(0, mount_spread(variant->name, "", variant->count, false));
		return;
	}
	if (driver_is_c() && variant->uneven)
		return;
	ASSERT_EQ(0, mount_spread(variant->name, "", variant->count, variant->of_file));
	snprintf(image, sizeof(image), "spread-%s", variant->name);
	ASSERT_EQ(0, variant->of_file ? mount_file(image, "/mnt/b", NULL) : mount_image(image, "/mnt/b", NULL));
	ASSERT_EQ(0, dump("/mnt/a", "/mnt/spread"));
	ASSERT_EQ(0, dump("/mnt/b", "/mnt/whole"));
	EXPECT_EQ(0, output_of("diff /mnt/whole /mnt/spread 2>&1 | head -n 20; cmp /mnt/whole /mnt/spread", out, sizeof(out)))
		TH_LOG("%s", out);
	EXPECT_LT(500, count_in_file("/mnt/spread", " 100"));
}

/* What is not there is an error, and the rest is as it should be. */
static void damaged(struct __test_metadata *_metadata, const char *kind, const FIXTURE_VARIANT(windows) *variant)
{
	char out[64];

	if (driver_is_c() && (!variant->of_file || variant->uneven))
		return;
	ASSERT_EQ(0, mount_spread(variant->name, kind, variant->count, variant->of_file));
	ASSERT_EQ(0, dump("/mnt/a", "/mnt/damaged"));
	EXPECT_EQ(0, output_of("grep -c ' E[A-Z]*$' /mnt/damaged", out, sizeof(out)));
	EXPECT_LT(0, atoi(out));
	EXPECT_LT(0, count_in_file("/mnt/damaged", " 100"));
	EXPECT_EQ(0, umount_at("/mnt/a"));
}

TEST_F(windows, smaller_than_what_is_asked_for)
{
	damaged(_metadata, "-small", variant);
}

TEST_F(windows, longer_than_the_device)
{
	damaged(_metadata, "-short", variant);
}

TEST_HARNESS_MAIN
