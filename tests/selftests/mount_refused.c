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

TEST_HARNESS_MAIN
