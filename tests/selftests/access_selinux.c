// SPDX-License-Identifier: GPL-2.0
/* SELinux, enforcing: the labels of an image decide, or those that the mount names. */
#include "harness.h"
#include "selinux.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define SKIP_WITHOUT_SELINUX() do {				\
	int err = selinux_enforce();				\
								\
	if (err == -EOPNOTSUPP || err == -EBUSY)		\
		SKIP(return, "no SELinux, or another policy");	\
	ASSERT_EQ(0, err);					\
} while (0)

static const char *label_of(const char *path)
{
	static char label[256];
	ssize_t size = getxattr(path, "security.selinux", label, sizeof(label) - 1);

	label[size > 0 ? size : 0] = 0;
	return label;
}

/* --- The image's own --- */

FIXTURE(labels) {
};

FIXTURE_VARIANT(labels) {
	const char *image;
	bool as_file;
};

FIXTURE_VARIANT_ADD(labels, inline_4096) { .image = "selinux" };
FIXTURE_VARIANT_ADD(labels, inline_512) { .image = "selinux-512" };
FIXTURE_VARIANT_ADD(labels, shared) { .image = "selinux-shared" };
FIXTURE_VARIANT_ADD(labels, metabox) { .image = "selinux-metabox" };
FIXTURE_VARIANT_ADD(labels, prefix) { .image = "selinux-prefix" };
/* The image file itself is none that the confined may read. */
FIXTURE_VARIANT_ADD(labels, image_file) { .image = "selinux", .as_file = true };
FIXTURE_VARIANT_ADD(labels, compressed_image_file) { .image = "selinux-metabox", .as_file = true };

FIXTURE_SETUP(labels)
{
	SKIP_WITHOUT_SELINUX();
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, (variant->as_file ? mount_file : mount_image)(variant->image, "/mnt/a", NULL));
	EXPECT_TRUE(option_shown("/mnt/a", "seclabel"));
}

FIXTURE_TEARDOWN(labels)
{
}

TEST_F(labels, decide)
{
	static const struct {
		const char *path;
		int err;
	} files[] = {
		{ "/mnt/a/open", 0 }, { "/mnt/a/program", 0 }, { "/mnt/a/closed", EACCES }, { "/mnt/a/closed-program", EACCES },
		{ "/mnt/a/unlabelled", EACCES }, { "/mnt/a/unknown", EACCES },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		/* Whether or not somebody else reads it. */
		for (int round = 0; round < 2; round++) {
			EXPECT_EQ(files[i].err, confined(try_read, files[i].path))
				TH_LOG("%s", files[i].path);
			EXPECT_EQ(files[i].err, confined(try_map, files[i].path));
			EXPECT_EQ(files[i].err, confined(try_map_code, files[i].path));
			EXPECT_EQ(files[i].err, confined(try_reopen, files[i].path));
			EXPECT_EQ(files[i].err, confined(try_handle, files[i].path));
			EXPECT_EQ(0, try_read(files[i].path));
		}
	}
	EXPECT_EQ(41, confined(try_run, "/mnt/a/program"));
	EXPECT_EQ(EACCES, confined(try_run, "/mnt/a/closed-program"));
	EXPECT_EQ(41, wait_child(spawn(try_run, "/mnt/a/closed-program"), 30));
}

TEST_F(labels, are_told)
{
	char list[64];

	EXPECT_EQ(sizeof(LABEL("image")), getxattr("/mnt/a/open", "security.selinux", NULL, 0));
	EXPECT_STREQ(LABEL("image"), label_of("/mnt/a/open"));
	EXPECT_STREQ(LABEL("secret"), label_of("/mnt/a/closed"));
	EXPECT_STREQ(LABEL("unnamed"), label_of("/mnt/a/unlabelled"));
	/* To root, who may see what no policy knows. */
	EXPECT_STREQ(LABEL("no_such"), label_of("/mnt/a/unknown"));
	EXPECT_EQ(sizeof("security.selinux"), listxattr("/mnt/a/open", list, sizeof(list)));
	EXPECT_STREQ("security.selinux", list);
	EXPECT_EQ(0, listxattr("/mnt/a/unlabelled", list, sizeof(list)));
	EXPECT_ERRNO(EROFS, setxattr("/mnt/a/open", "security.selinux", LABEL("secret"), sizeof(LABEL("secret")), 0));
	EXPECT_STREQ(LABEL("image"), label_of("/mnt/a/open"));
}

static int read_descriptor(const void *fd)
{
	char byte;

	return pread(*(const int *)fd, &byte, 1, 0) < 0 ? errno : 0;
}

static int stat_descriptor(const void *fd)
{
	struct stat st;

	return fstat(*(const int *)fd, &st) ? errno : 0;
}

/* Who gets a descriptor from somebody else may do no more with it than by an open of its own. */
TEST_F(labels, descriptors_that_were_passed_on)
{
	int open = open_read("/mnt/a", "open", 0), closed = open_read("/mnt/a", "closed", 0);

	ASSERT_LE(0, open);
	ASSERT_LE(0, closed);
	EXPECT_EQ(0, confined(read_descriptor, &open));
	EXPECT_EQ(0, confined(stat_descriptor, &open));
	EXPECT_EQ(EACCES, confined(read_descriptor, &closed));
	EXPECT_EQ(EACCES, confined(stat_descriptor, &closed));
}

TEST_F(labels, denials_name_the_file)
{
	char record[256];
	int log = klog_open();

	ASSERT_EQ(0, denial_of("/mnt/a", "closed", record, sizeof(record)));
	EXPECT_EQ(EACCES, confined(try_read, "/mnt/a/closed"));
	EXPECT_LE(1, denials(log, record))
		TH_LOG("%s", record);
}

/* --- The mount's --- */

FIXTURE(mounted) {
};

FIXTURE_VARIANT(mounted) {
	int (*mount)(const char *image, const char *dir, const char *options);
};

FIXTURE_VARIANT_ADD(mounted, device) { .mount = mount_image };
FIXTURE_VARIANT_ADD(mounted, image_file) { .mount = mount_file };

FIXTURE_SETUP(mounted)
{
	SKIP_WITHOUT_SELINUX();
	ASSERT_EQ(0, private_mounts());
}

FIXTURE_TEARDOWN(mounted)
{
}

TEST_F(mounted, context)
{
	ASSERT_EQ(0, variant->mount("selinux", "/mnt/a", "context=" LABEL("image")));
	EXPECT_TRUE(option_shown("/mnt/a", "context=" LABEL("image")));
	EXPECT_FALSE(option_shown("/mnt/a", "seclabel"));
	EXPECT_EQ(0, confined(try_read, "/mnt/a/closed"));
	EXPECT_EQ(0, confined(try_read, "/mnt/a/unlabelled"));
	EXPECT_EQ(41, confined(try_run, "/mnt/a/closed-program"));
	EXPECT_STREQ(LABEL("image"), label_of("/mnt/a/closed"));
	ASSERT_EQ(0, umount_at("/mnt/a"));

	ASSERT_EQ(0, variant->mount("selinux", "/mnt/a", "context=" LABEL("secret")));
	EXPECT_EQ(EACCES, confined(try_read, "/mnt/a/open"));
	EXPECT_STREQ(LABEL("secret"), label_of("/mnt/a/open"));
}

TEST_F(mounted, defcontext)
{
	ASSERT_EQ(0, variant->mount("selinux", "/mnt/a", "defcontext=" LABEL("image")));
	EXPECT_TRUE(option_shown("/mnt/a", "defcontext=" LABEL("image")));
	EXPECT_TRUE(option_shown("/mnt/a", "seclabel"));
	EXPECT_EQ(0, confined(try_read, "/mnt/a/unlabelled"));
	EXPECT_EQ(EACCES, confined(try_read, "/mnt/a/closed"));
	EXPECT_STREQ(LABEL("image"), label_of("/mnt/a/unlabelled"));
	EXPECT_STREQ(LABEL("secret"), label_of("/mnt/a/closed"));
}

TEST_F(mounted, fscontext_and_rootcontext)
{
	ASSERT_EQ(0, variant->mount("selinux", "/mnt/a", "fscontext=" LABEL("image") ",rootcontext=" LABEL("secret")));
	EXPECT_TRUE(option_shown("/mnt/a", "fscontext=" LABEL("image")));
	EXPECT_TRUE(option_shown("/mnt/a", "rootcontext=" LABEL("secret")));
	EXPECT_STREQ(LABEL("secret"), label_of("/mnt/a"));
	EXPECT_EQ(EACCES, confined(try_read, "/mnt/a/closed"));
	EXPECT_EQ(0, confined(try_read, "/mnt/a/open"));
}

TEST_F(mounted, what_does_not_go)
{
	EXPECT_EQ(-EINVAL, variant->mount("selinux", "/mnt/a", "context=" LABEL("no_such")));
	EXPECT_EQ(-EINVAL, variant->mount("selinux", "/mnt/a", "context=" LABEL("image") ",defcontext=" LABEL("image")));
	ASSERT_EQ(0, variant->mount("selinux", "/mnt/a", "context=" LABEL("image")));
	EXPECT_EQ(0, remount_at("/mnt/a", "context=" LABEL("image")));
	EXPECT_EQ(-EINVAL, remount_at("/mnt/a", "context=" LABEL("secret")));
	EXPECT_TRUE(option_shown("/mnt/a", "context=" LABEL("image")));
	EXPECT_EQ(0, confined(try_read, "/mnt/a/closed"));
}

TEST_HARNESS_MAIN
