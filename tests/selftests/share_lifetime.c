// SPDX-License-Identifier: GPL-2.0
/* How long shared pages live: longer than inodes and mounts of images, never longer than their domain. */
#include "harness.h"

#include <sys/mount.h>

#define COMMON_PAGES 256

FIXTURE(life) {
	uint32_t crc;	/* of the file common */
};

FIXTURE_SETUP(life)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/private", NULL));
	ASSERT_EQ(0, path_crc("/mnt/private", "common", &self->crc));
	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", DOMAIN));
	ASSERT_EQ(0, mount_image("share-b", "/mnt/b", DOMAIN));
}

FIXTURE_TEARDOWN(life)
{
}

static void *map_common(const char *dir)
{
	int fd = open_read(dir, "common", 0);
	void *map = mmap(NULL, COMMON_PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0);

	close(fd);
	return map;
}

TEST_F(life, mapping_keeps_its_own_image_busy_and_no_other)
{
	void *map = map_common("/mnt/a");
	uint32_t crc;

	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, path_crc("/mnt/b", "common", &crc));
	EXPECT_EQ(-EBUSY, umount_at("/mnt/a"));
	EXPECT_EQ(0, umount_at("/mnt/b"));
	EXPECT_EQ(self->crc, crc32(0, map, COMMON_PAGES * PAGE));
	munmap(map, COMMON_PAGES * PAGE);
	EXPECT_EQ(0, umount_at("/mnt/a"));
}

TEST_F(life, mapping_outlives_lazy_unmount_of_its_image)
{
	void *map = map_common("/mnt/a");
	uint32_t crc;

	ASSERT_NE(MAP_FAILED, map);
	/* One page is there already, the others come from an image that has no mount point any more. */
	ASSERT_EQ(0, madvise(map, PAGE, MADV_POPULATE_READ));
	ASSERT_EQ(0, umount2("/mnt/a", MNT_DETACH));
	EXPECT_EQ(self->crc, crc32(0, map, COMMON_PAGES * PAGE));
	EXPECT_EQ(COMMON_PAGES, path_resident("/mnt/b", "common"));
	EXPECT_EQ(0, path_crc("/mnt/b", "common", &crc));
	EXPECT_EQ(self->crc, crc);
	munmap(map, COMMON_PAGES * PAGE);
	EXPECT_EQ(0, path_crc("/mnt/b", "common", &crc));
	EXPECT_EQ(self->crc, crc);
}

TEST_F(life, mapping_is_refilled_after_the_other_image_went)
{
	void *map = map_common("/mnt/b");
	uint32_t crc;

	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, path_crc("/mnt/a", "common", &crc));
	EXPECT_EQ(self->crc, crc32(0, map, COMMON_PAGES * PAGE));
	ASSERT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(0, madvise(map, COMMON_PAGES * PAGE, MADV_PAGEOUT));
	ASSERT_EQ(0, drop_caches(1));
	EXPECT_EQ(self->crc, crc32(0, map, COMMON_PAGES * PAGE));
}

TEST_F(life, pages_survive_unmount_of_the_image_that_read_them)
{
	uint32_t crc;
	int fd = open_read("/mnt/b", "common", 0);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, path_crc("/mnt/a", "common", &crc));
	ASSERT_EQ(0, umount_at("/mnt/a"));
	EXPECT_EQ(COMMON_PAGES, resident_pages(fd));
	EXPECT_EQ(0, file_crc(fd, &crc));
	EXPECT_EQ(self->crc, crc);
	close(fd);
}

/* The other member has never opened the file: its mount alone keeps the domain. */
TEST_F(life, remounted_image_finds_its_pages)
{
	uint32_t crc;

	ASSERT_EQ(0, path_crc("/mnt/a", "common", &crc));
	ASSERT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", DOMAIN));
	EXPECT_EQ(COMMON_PAGES, path_resident("/mnt/a", "common"));
	EXPECT_EQ(COMMON_PAGES, path_resident("/mnt/b", "common"));
}

TEST_F(life, last_unmount_of_the_domain_drops_its_pages)
{
	uint32_t crc;

	ASSERT_EQ(0, path_crc("/mnt/a", "common", &crc));
	ASSERT_EQ(0, path_crc("/mnt/b", "huge", &crc));
	ASSERT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(0, umount_at("/mnt/b"));
	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", DOMAIN));
	EXPECT_EQ(0, path_resident("/mnt/a", "common"));
	EXPECT_EQ(0, path_resident("/mnt/a", "huge"));
}

TEST_F(life, other_domains_keep_theirs)
{
	uint32_t crc;

	ASSERT_EQ(0, mount_image("share-a", "/mnt/other", "domain_id=other,inode_share"));
	ASSERT_EQ(0, path_crc("/mnt/other", "common", &crc));
	ASSERT_EQ(0, path_crc("/mnt/a", "common", &crc));
	ASSERT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(0, umount_at("/mnt/b"));
	EXPECT_EQ(COMMON_PAGES, path_resident("/mnt/other", "common"));
}

TEST_F(life, page_reclaim_takes_pages_and_they_come_back)
{
	uint32_t crc;

	for (int what = 1; what <= 3; what += 2) {
		ASSERT_EQ(0, path_crc("/mnt/a", "common", &crc));
		ASSERT_EQ(0, drop_caches(what));
		EXPECT_EQ(0, path_resident("/mnt/b", "common"));
		EXPECT_EQ(0, path_crc("/mnt/b", "common", &crc));
		EXPECT_EQ(self->crc, crc);
	}
}

/* Dentries, then inodes, then inodes once more: what the image inodes held must survive each. */
TEST_F(life, inode_reclaim_keeps_pages)
{
	uint32_t crc;

	ASSERT_EQ(0, path_crc("/mnt/a", "common", &crc));
	ASSERT_EQ(0, path_crc("/mnt/b", "tail", &crc));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, drop_caches(2));
	}
	EXPECT_EQ(COMMON_PAGES, path_resident("/mnt/b", "common"));
	EXPECT_EQ(COMMON_PAGES, path_resident("/mnt/a", "twin"));
	EXPECT_EQ(2, path_resident("/mnt/a", "tail"));
}

TEST_F(life, pages_in_a_pipe_outlive_everything)
{
	int fd = open_read("/mnt/a", "common", 0), pipefd[2];
	static char expected[16384], got[16384];

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, pipe(pipefd));
	ASSERT_EQ((ssize_t)sizeof(expected), pread(fd, expected, sizeof(expected), 8192));
	loff_t at = 8192;
	ASSERT_EQ((ssize_t)sizeof(got), splice(fd, &at, pipefd[1], NULL, sizeof(got), 0));
	close(fd);
	ASSERT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(0, umount_at("/mnt/b"));
	ASSERT_EQ(0, drop_caches(3));
	ASSERT_EQ((ssize_t)sizeof(got), read(pipefd[0], got, sizeof(got)));
	EXPECT_EQ(0, memcmp(expected, got, sizeof(got)));
}

static int exec_hello(const void *path)
{
	execl(path, "hello", NULL);
	return 99;
}

/* An exit drops the last references of a mapping; unmounting right after it must not find them still there. */
TEST_F(life, W12_unmount_right_after_exit)
{
	for (int i = 0; i < (quick() ? 40 : 200); i++) {
		ASSERT_EQ(0, mount_image("share-b", "/mnt/once", DOMAIN));
		ASSERT_EQ(41, wait_child(spawn(exec_hello, "/mnt/once/hello"), 30));
		ASSERT_EQ(0, umount_at("/mnt/once"))
			TH_LOG("round %d", i);
	}
}

TEST_HARNESS_MAIN
