// SPDX-License-Identifier: GPL-2.0
/* SELinux, enforcing: sharing pages lends no rights, and takes none. */
#include "harness.h"
#include "selinux.h"

#define PAGES 16

FIXTURE(labels) {
};

FIXTURE_SETUP(labels)
{
	int err = selinux_enforce();

	if (err == -EOPNOTSUPP || err == -EBUSY)
		SKIP(return, "no SELinux, or another policy");
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("selinux-a", "/mnt/a", DOMAIN));
	ASSERT_EQ(0, mount_file("selinux-b", "/mnt/b", DOMAIN));
}

FIXTURE_TEARDOWN(labels)
{
}

static int (*const ways[])(const void *path) = { try_read, try_map, try_map_code, try_reopen, try_handle };

TEST_F(labels, W31_the_confined_open_what_they_may)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		EXPECT_EQ(0, confined(ways[i], "/mnt/a/open"));
		EXPECT_EQ(0, confined(ways[i], "/mnt/b/open"));
	}
	EXPECT_EQ(41, confined(try_run, "/mnt/a/program"));
	EXPECT_EQ(41, confined(try_run, "/mnt/b/program"));
}

TEST_F(labels, equal_files_share_whatever_their_labels)
{
	EXPECT_EQ(PAGES, frames_shared("/mnt/a", "open", "/mnt/b", "open", PAGES));
	EXPECT_EQ(PAGES, frames_shared("/mnt/a", "closed", "/mnt/b", "closed", PAGES));
	EXPECT_EQ(PAGES, frames_shared("/mnt/a", "for-a", "/mnt/b", "for-a", PAGES));
	EXPECT_EQ(PAGES, frames_shared("/mnt/b", "for-b", "/mnt/a", "for-b", PAGES));
}

/* A file that is closed in one image and open in the other: each decides for itself, whoever comes first, and whether
   the pages are there already or not. */
TEST_F(labels, each_file_has_its_own)
{
	static const struct {
		const char *open, *closed;
	} pairs[] = { { "/mnt/a/for-a", "/mnt/b/for-a" }, { "/mnt/b/for-b", "/mnt/a/for-b" } };

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
			ASSERT_EQ(0, drop_caches(3));
			EXPECT_EQ(EACCES, confined(ways[way], pairs[i].closed));
			EXPECT_EQ(0, confined(ways[way], pairs[i].open));
			EXPECT_EQ(EACCES, confined(ways[way], pairs[i].closed));

			ASSERT_EQ(0, drop_caches(3));
			EXPECT_EQ(0, confined(ways[way], pairs[i].open));
			EXPECT_EQ(EACCES, confined(ways[way], pairs[i].closed));

			/* Others have brought the pages in. */
			EXPECT_EQ(0, try_read(pairs[i].closed));
			EXPECT_EQ(EACCES, confined(ways[way], pairs[i].closed));
			EXPECT_EQ(0, confined(ways[way], pairs[i].open));
		}
	}
	EXPECT_EQ(41, confined(try_run, "/mnt/a/program-for-a"));
	EXPECT_EQ(EACCES, confined(try_run, "/mnt/b/program-for-a"));
	EXPECT_EQ(41, wait_child(spawn(try_run, "/mnt/b/program-for-a"), 30));
}

static int use_descriptor(const void *arg)
{
	int fd = *(const int *)arg;
	char byte;

	if (pread(fd, &byte, 1, 0) < 0)
		return errno;
	return mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? errno : 0;
}

TEST_F(labels, descriptors_that_were_passed_on)
{
	int open = open_read("/mnt/a", "for-a", 0), closed = open_read("/mnt/b", "for-a", 0);

	ASSERT_LE(0, open);
	ASSERT_LE(0, closed);
	EXPECT_EQ(EACCES, confined(use_descriptor, &closed));
	EXPECT_EQ(0, confined(use_descriptor, &open));
	EXPECT_EQ(EACCES, confined(use_descriptor, &closed));
}

/* Not that of the other image, nor what holds the pages. What is allowed leaves no record. */
TEST_F(labels, denials_name_the_file)
{
	char record[256];
	int log = klog_open();

	ASSERT_EQ(0, denial_of("/mnt/b", "for-a", record, sizeof(record)));
	ASSERT_EQ(0, drop_caches(3));
	/* Without the pages; what stands before that in the log is other tests'. */
	EXPECT_EQ(EACCES, confined(try_read, "/mnt/b/for-a"));
	ASSERT_LE(1, denials(log, record))
		TH_LOG("%s", record);
	/* With them. */
	EXPECT_EQ(0, confined(try_map_code, "/mnt/a/for-a"));
	EXPECT_EQ(EACCES, confined(try_read, "/mnt/b/for-a"));
	EXPECT_EQ(1, denials(log, record))
		TH_LOG("%s", record);
}

/* By the label that the mount names. */
TEST_F(labels, context_of_one_mount)
{
	ASSERT_EQ(0, mount_image("selinux-b", "/mnt/c", DOMAIN ",context=" LABEL("image")));
	EXPECT_EQ(PAGES, frames_shared("/mnt/a", "closed", "/mnt/c", "closed", PAGES));
	EXPECT_EQ(0, confined(try_read, "/mnt/c/closed"));
	EXPECT_EQ(EACCES, confined(try_read, "/mnt/a/closed"));
	EXPECT_EQ(EACCES, confined(try_read, "/mnt/b/closed"));
}

TEST_HARNESS_MAIN
