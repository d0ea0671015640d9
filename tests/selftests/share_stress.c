// SPDX-License-Identifier: GPL-2.0
/* Everything at once: open, read, map, drop, mount and unmount, on shared files. */
#include "harness.h"
#include "stress.h"

TEST(concurrent_use)
{
	const struct stress all = {
		.images = { "share-a", "share-b", "share-a-chunk", "share-b-chunk" },
		.options = DOMAIN,
		.files = { "common", "twin", "tail", "tiny", "sparse", "directory/same-03", "directory/same-09" },
		.direct = true,
		.pause = 5,
		/* On the debug kernel, on a busy machine, there are but few. */
		.least = quick() ? 0 : 20,
	};

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/private", NULL));
	EXPECT_EQ(0, stress(&all));
	if (!driver_is_c()) {
		EXPECT_EQ(0, read_number("/sys/fs/erofs/sharing/shared_inodes"));
		EXPECT_EQ(0, read_number("/sys/fs/erofs/sharing/members"));
		EXPECT_EQ(0, read_number("/sys/fs/erofs/sharing/pages"));
	}
}

/* Joining at the first open, by many at once: each says which frame it got. */
struct race {
	int go, done;
	uint64_t frames[4];
};

static struct race *race;

static int opener(const void *arg)
{
	uintptr_t i = (uintptr_t)arg;
	void *mapping;
	int fd;

	while (!__atomic_load_n(&race->go, __ATOMIC_ACQUIRE))
		;
	fd = open_read("/mnt/a", "common", 0);
	if (fd < 0 || page_frames(fd, 1, &race->frames[i], &mapping))
		return 1;
	__atomic_add_fetch(&race->done, 1, __ATOMIC_RELEASE);
	/* The mapping stays until all have one, so that the page does. */
	while (__atomic_load_n(&race->done, __ATOMIC_ACQUIRE) < 4)
		usleep(100);
	return 0;
}

TEST(first_opens_at_the_same_moment)
{
	pid_t pids[4];

	race = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_EQ(0, private_mounts());
	for (int round = 0; round < (quick() ? 10 : 50); round++) {
		ASSERT_EQ(0, mount_image("share-a", "/mnt/a", DOMAIN));
		memset(race, 0, sizeof(*race));
		for (uintptr_t i = 0; i < 4; i++)
			pids[i] = spawn(opener, (void *)i);
		__atomic_store_n(&race->go, 1, __ATOMIC_RELEASE);
		for (int i = 0; i < 4; i++) {
			ASSERT_EQ(0, wait_child(pids[i], 30));
			EXPECT_EQ(race->frames[0], race->frames[i]);
		}
		ASSERT_EQ(0, umount_at("/mnt/a"));
	}
}

TEST_HARNESS_MAIN
