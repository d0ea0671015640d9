// SPDX-License-Identifier: GPL-2.0
/* Extended attributes in all the places that they may be stored in. */
#include "harness.h"

#include <sys/stat.h>
#include <sys/xattr.h>

FIXTURE(xattr) {
};

FIXTURE_VARIANT(xattr) {
	const char *image;
};

FIXTURE_VARIANT_ADD(xattr, inline_512) { .image = "plain-512" };
FIXTURE_VARIANT_ADD(xattr, inline_4096) { .image = "plain-4096" };
FIXTURE_VARIANT_ADD(xattr, shared_512) { .image = "xattr-shared-512" };
FIXTURE_VARIANT_ADD(xattr, shared_4096) { .image = "xattr-shared" };
FIXTURE_VARIANT_ADD(xattr, prefix) { .image = "xattr-prefix" };
FIXTURE_VARIANT_ADD(xattr, shared_prefix) { .image = "xattr-shared-prefix" };
FIXTURE_VARIANT_ADD(xattr, no_filter) { .image = "xattr-nofilter" };

FIXTURE_SETUP(xattr)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", NULL));
	ASSERT_EQ(0, chdir("/mnt/a/xattr"));
}

FIXTURE_TEARDOWN(xattr)
{
}

static bool listed(const char *list, ssize_t size, const char *name)
{
	for (const char *at = list; at < list + size; at += strlen(at) + 1)
		if (!strcmp(at, name))
			return true;
	return false;
}

TEST_F(xattr, get)
{
	char value[4096], name[300] = "user.";

	EXPECT_EQ(5, getxattr("all", "user.text", NULL, 0));
	EXPECT_EQ(5, getxattr("all", "user.text", value, sizeof(value)));
	EXPECT_EQ(0, memcmp(value, "value", 5));
	EXPECT_EQ(5, getxattr("all", "user.text", value, 5));
	EXPECT_ERRNO(ERANGE, getxattr("all", "user.text", value, 4));
	EXPECT_EQ(0, getxattr("all", "user.empty", value, sizeof(value)));
	EXPECT_EQ(256, getxattr("all", "user.binary", value, sizeof(value)));
	for (int i = 0; i < 256; i++) {
		ASSERT_EQ(i, (unsigned char)value[i]);
	}
	EXPECT_EQ(1, getxattr("all", "trusted.secret", value, sizeof(value)));
	EXPECT_EQ(26, getxattr("all", "security.label", value, sizeof(value)));
	memset(name + 5, 'k', 250);
	EXPECT_EQ(3000, getxattr("long", name, value, sizeof(value)));
	EXPECT_EQ('v', value[2999]);
	EXPECT_EQ(9, getxattr("many", "user.key119", value, sizeof(value)));
	EXPECT_EQ(0, memcmp(value, "value 119", 9));
	EXPECT_EQ(9, getxattr(".", "user.dir", value, sizeof(value)));
	EXPECT_EQ(1, lgetxattr("special", "trusted.fifo", value, sizeof(value)));
}

TEST_F(xattr, get_refused)
{
	char name[300] = "user.";

	EXPECT_ERRNO(ENODATA, getxattr("all", "user.tex", NULL, 0));
	EXPECT_ERRNO(ENODATA, getxattr("all", "user.text2", NULL, 0));
	EXPECT_ERRNO(ENODATA, getxattr("all", "trusted.text", NULL, 0));
	EXPECT_ERRNO(ENODATA, getxattr("../file/text", "user.text", NULL, 0));
	EXPECT_ERRNO(EINVAL, getxattr("all", "user.", NULL, 0));
	EXPECT_ERRNO(EOPNOTSUPP, getxattr("all", "foo", NULL, 0));
	EXPECT_ERRNO(EOPNOTSUPP, getxattr("all", "system.foo", NULL, 0));
	EXPECT_ERRNO(EOPNOTSUPP, getxattr("all", "erofs.fingerprint.v1", NULL, 0));
	memset(name + 5, 'x', 250);
	EXPECT_ERRNO(ENODATA, getxattr("all", name, NULL, 0));
	name[255] = 'x';
	EXPECT_ERRNO(ERANGE, getxattr("all", name, NULL, 0));
}

TEST_F(xattr, prefixes_do_not_hide_their_neighbours)
{
	char value[16];

	EXPECT_EQ(1, getxattr("prefix", "user.long.prefix.a", value, sizeof(value)));
	EXPECT_EQ('A', value[0]);
	EXPECT_EQ(1, getxattr("prefix", "user.long.prefix.b", value, sizeof(value)));
	EXPECT_EQ('B', value[0]);
	EXPECT_EQ(5, getxattr("prefix", "user.long", value, sizeof(value)));
	EXPECT_EQ(1, getxattr("prefix", "trusted.overlay.origin", value, sizeof(value)));
	EXPECT_ERRNO(ENODATA, getxattr("prefix", "user.long.", value, sizeof(value)));
	EXPECT_ERRNO(ENODATA, getxattr("prefix", "user.long.prefix.", value, sizeof(value)));
}

TEST_F(xattr, list)
{
	static const char * const names[] = { "user.text", "user.empty", "user.binary", "trusted.secret", "security.label" };
	char list[8192];
	ssize_t size = listxattr("all", NULL, 0), expected = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		expected += strlen(names[i]) + 1;
	EXPECT_EQ(expected, size);
	ASSERT_EQ(size, listxattr("all", list, size));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_TRUE(listed(list, size, names[i]))
			TH_LOG("%s", names[i]);
	}
	EXPECT_ERRNO(ERANGE, listxattr("all", list, size - 1));
	EXPECT_EQ(120 * 12, listxattr("many", list, sizeof(list)));
	EXPECT_EQ(256, listxattr("long", list, sizeof(list)));
	EXPECT_EQ(0, listxattr("../file/text", list, sizeof(list)));
	size = listxattr("prefix", list, sizeof(list));
	EXPECT_TRUE(listed(list, size, "user.long.prefix.a"));
	EXPECT_TRUE(listed(list, size, "trusted.overlay.origin"));
}

static int as_somebody(const void *arg)
{
	char list[256];
	ssize_t size;

	(void)arg;
	if (setgid(1001) || setuid(1001))
		return 10;
	if (getxattr("all", "trusted.secret", NULL, 0) != -1 || errno != ENODATA)
		return 1;
	size = listxattr("all", list, sizeof(list));
	if (size < 0 || listed(list, size, "trusted.secret"))
		return 2;
	if (!listed(list, size, "security.label") || getxattr("all", "security.label", NULL, 0) != 26)
		return 3;
	if (getxattr("all", "user.text", NULL, 0) != 5)
		return 4;
	return 0;
}

TEST_F(xattr, trusted_needs_the_capability)
{
	EXPECT_EQ(0, wait_child(spawn(as_somebody, NULL), 20));
}

/* A filter that denies every name is believed by get, not by list; and by neither once it is declared invalid. */
TEST(name_filter)
{
	char list[64];

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("good-filter-ones", "/mnt/a", NULL));
	EXPECT_ERRNO(ENODATA, getxattr("/mnt/a/tiny", "user.a", NULL, 0));
	EXPECT_EQ(21, listxattr("/mnt/a/tiny", list, sizeof(list)));
	ASSERT_EQ(0, mount_image("good-filter-ignored", "/mnt/b", NULL));
	EXPECT_EQ(1, getxattr("/mnt/b/tiny", "user.a", NULL, 0));
	EXPECT_EQ(21, listxattr("/mnt/b/tiny", list, sizeof(list)));
}

/* What is unknown is left out, what stands beside it is not. */
TEST(unknown_entries)
{
	char list[64];

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("good-xattr-unknown-index", "/mnt/a", NULL));
	EXPECT_ERRNO(ENODATA, getxattr("/mnt/a/tiny", "user.a", NULL, 0));
	EXPECT_EQ(2, getxattr("/mnt/a/tiny", "user.b", NULL, 0));
	EXPECT_EQ(14, listxattr("/mnt/a/tiny", list, sizeof(list)));
	ASSERT_EQ(0, mount_image("good-xattr-unknown-prefix", "/mnt/b", NULL));
	EXPECT_ERRNO(ENODATA, getxattr("/mnt/b/tiny", "user.a", NULL, 0));
	EXPECT_EQ(2, getxattr("/mnt/b/tiny", "user.b", NULL, 0));
	EXPECT_EQ(14, listxattr("/mnt/b/tiny", list, sizeof(list)));
}

TEST_HARNESS_MAIN
