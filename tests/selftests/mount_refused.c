// SPDX-License-Identifier: GPL-2.0
/* What the C driver has and this one has not yet is refused, and said so; nothing is half there. */
#include "harness.h"

FIXTURE(mnt) {
};

FIXTURE_SETUP(mnt)
{
	ASSERT_EQ(0, private_mounts());
}

FIXTURE_TEARDOWN(mnt)
{
}

TEST_F(mnt, not_yet)
{
	char dev[DEV_LEN];
	int fd = attach_image("small", dev), log = klog_open();
	char line[512];

	EXPECT_EQ(-EOPNOTSUPP, mount_at(dev, "/mnt/a", "device=/dev/null"));
	EXPECT_LE(1, klog_erofs(log, line, sizeof(line)));
	/* mount(8) tries a loop device on this errno. */
	EXPECT_EQ(-ENOTBLK, mount_at(image_path("small"), "/mnt/a", NULL));
	close(fd);
}

TEST_F(mnt, no_file_handles)
{
	struct {
		struct file_handle head;
		unsigned char bytes[64];
	} handle = { .head.handle_bytes = 64 };
	int id;

	ASSERT_EQ(0, mount_image("small", "/mnt/a", NULL));
	EXPECT_EQ(-1, name_to_handle_at(AT_FDCWD, "/mnt/a/flat", &handle.head, &id, 0));
	EXPECT_EQ(EOPNOTSUPP, errno);
}

TEST_HARNESS_MAIN
