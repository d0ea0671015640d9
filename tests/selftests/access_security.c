// SPDX-License-Identifier: GPL-2.0
/* What the kernel itself takes from security.*, and the switch for user.*. */
#include "harness.h"

#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define NET_RAW (1ULL << 13)

FIXTURE(security) {
};

FIXTURE_VARIANT(security) {
	const char *image;
};

FIXTURE_VARIANT_ADD(security, inline_4096) { .image = "acl" };
FIXTURE_VARIANT_ADD(security, shared) { .image = "acl-shared" };
FIXTURE_VARIANT_ADD(security, metabox) { .image = "acl-metabox" };
FIXTURE_VARIANT_ADD(security, prefix) { .image = "acl-prefix" };

FIXTURE_SETUP(security)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image(variant->image, "/mnt/a", NULL));
}

FIXTURE_TEARDOWN(security)
{
}

static int exec_traced(const void *path)
{
	/* Traced by root, or the kernel would withhold the capability. */
	if (ptrace(PTRACE_TRACEME) || setgid(1001) || setuid(1001))
		return 200;
	execl(path, "capable", NULL);
	return 201;
}

/* The effective capabilities of a user's process that runs @path; stopped at its first instruction. */
static uint64_t caps_of(const char *path)
{
	char file[64], status[4096], *line;
	unsigned long long caps = ~0ULL;
	pid_t pid = spawn(exec_traced, path);
	int stopped;

	if (waitpid(pid, &stopped, 0) == pid && WIFSTOPPED(stopped)) {
		snprintf(file, sizeof(file), "/proc/%d/status", pid);
		read_file(file, status, sizeof(status));
		line = strstr(status, "CapEff:");
		if (line)
			sscanf(line, "CapEff: %llx", &caps);
		kill(pid, SIGKILL);
	}
	wait_child(pid, 20);
	return caps;
}

TEST_F(security, capability)
{
	uint32_t caps[8];
	char list[64];

	EXPECT_EQ(20, getxattr("/mnt/a/capable", "security.capability", NULL, 0));
	EXPECT_EQ(20, getxattr("/mnt/a/capable", "security.capability", caps, sizeof(caps)));
	EXPECT_EQ(NET_RAW, caps[1]);
	EXPECT_EQ(sizeof("security.capability"), listxattr("/mnt/a/capable", list, sizeof(list)));
	EXPECT_STREQ("security.capability", list);
	EXPECT_ERRNO(EROFS, removexattr("/mnt/a/capable", "security.capability"));
}

/* Who runs the file has its capability, also the second time, and not where the mount says so. */
TEST_F(security, capability_is_granted)
{
	EXPECT_EQ(NET_RAW, caps_of("/mnt/a/capable"));
	EXPECT_EQ(NET_RAW, caps_of("/mnt/a/capable"));
	ASSERT_EQ(0, mount(NULL, "/mnt/a", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL));
	EXPECT_EQ(0, caps_of("/mnt/a/capable"));
}

TEST_F(security, getcap)
{
	char out[512];
	int status = output_of("getcap -r /mnt/a", out, sizeof(out));

	if (status == 127)
		SKIP(return, "no getcap");
	EXPECT_EQ(0, status);
	EXPECT_STREQ("/mnt/a/capable cap_net_raw=ep\n", out);
}

/* At mount and at remount; the others are not touched. */
TEST_F(security, user_xattr)
{
	static const char beside[] = "user.beside";
	char list[256];
	ssize_t all = listxattr("/mnt/a/group", list, sizeof(list));

	for (int round = 0; round < 2; round++) {
		EXPECT_EQ(6, getxattr("/mnt/a/group", beside, NULL, 0));
		EXPECT_EQ(all, listxattr("/mnt/a/group", list, sizeof(list)));
		ASSERT_EQ(0, remount_at("/mnt/a", "nouser_xattr"));
		EXPECT_TRUE(option_shown("/mnt/a", "nouser_xattr"));
		EXPECT_ERRNO(EOPNOTSUPP, getxattr("/mnt/a/group", beside, NULL, 0));
		EXPECT_ERRNO(EOPNOTSUPP, getxattr("/mnt/a/none", beside, NULL, 0));
		EXPECT_EQ(all - (ssize_t)sizeof(beside), listxattr("/mnt/a/group", list, sizeof(list)));
		EXPECT_EQ(3, getxattr("/mnt/a/group", "trusted.beside", NULL, 0));
		EXPECT_EQ(20, getxattr("/mnt/a/capable", "security.capability", NULL, 0));
		ASSERT_EQ(0, remount_at("/mnt/a", "user_xattr"));
	}
	EXPECT_EQ(-EINVAL, remount_at("/mnt/a", "nouser_xattr,bogus"));
	EXPECT_TRUE(option_shown("/mnt/a", "user_xattr"));
	EXPECT_EQ(6, getxattr("/mnt/a/group", beside, NULL, 0));
}

TEST_HARNESS_MAIN
