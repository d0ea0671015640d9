// SPDX-License-Identifier: GPL-2.0
/* Everything at once: open, read, map, drop, mount and unmount, on shared files. */
#include "harness.h"

#include <sys/mount.h>
#include <time.h>

static const char * const files[] = { "common", "twin", "tail", "tiny", "sparse", "directory/same-03", "directory/same-09" };
static uint32_t sums[ARRAY_SIZE(files)];
static time_t end;

static bool running(void)
{
	return time(NULL) < end;
}

static unsigned int draw(unsigned int *seed, unsigned int below)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % below;
}

/* Fewer would be no stress; on the debug kernel, on a busy machine, there are but few. */
static int enough(unsigned int rounds)
{
	return rounds > (quick() ? 0 : 20) ? 0 : 2;
}

/* Reads or maps files of mounts that come and go; those that are there must be right. */
static int reader(const void *arg)
{
	unsigned int seed = (uintptr_t)arg, rounds = 0;
	char dir[16];

	while (running()) {
		size_t i = draw(&seed, ARRAY_SIZE(files));
		uint32_t crc;
		int fd, err;

		snprintf(dir, sizeof(dir), "/mnt/%u", draw(&seed, 4));
		fd = open_read(dir, files[i], draw(&seed, 8) ? 0 : O_DIRECT);
		if (fd < 0)
			continue;
		if (draw(&seed, 2)) {
			fcntl(fd, F_SETFL, 0);
			err = file_crc(fd, &crc);
		} else {
			err = file_crc_mmap(fd, &crc);
		}
		if (!draw(&seed, 4))
			posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
		if (!err && crc != sums[i])
			err = -EUCLEAN;
		if (err && err != -EINVAL) {
			fprintf(stderr, "# %s/%s: %s\n", dir, files[i], strerror(-err));
			return 1;
		}
		rounds++;
	}
	return enough(rounds);
}

static int dropper(const void *arg)
{
	unsigned int seed = 7;

	(void)arg;
	while (running()) {
		drop_caches(1 + draw(&seed, 3));
		usleep(3000);
	}
	return 0;
}

/* Mounts 1, 2 and 3 come and go; 0 stays half of the time. */
static int mounter(const void *arg)
{
	static const char * const images[] = { "share-a", "share-b", "share-a-chunk", "share-b-chunk" };
	unsigned int seed = (uintptr_t)arg, rounds = 0;
	char dir[16];

	while (running()) {
		unsigned int i = draw(&seed, 4);
		int err;

		snprintf(dir, sizeof(dir), "/mnt/%u", i);
		if (shown_options(dir)) {
			err = draw(&seed, 3) ? umount_at(dir) : umount2(dir, MNT_DETACH) ? -errno : 0;
			if (err == -EBUSY)
				err = 0;
		} else {
			err = mount_image(images[i], dir, DOMAIN);
			rounds++;
		}
		if (err) {
			fprintf(stderr, "# %s: %s\n", dir, strerror(-err));
			return 1;
		}
		usleep(draw(&seed, 5000));
	}
	return enough(rounds);
}

TEST(concurrent_use)
{
	pid_t pids[8];
	int count = 0;
	char dir[16];

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("share-a-private", "/mnt/private", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		ASSERT_EQ(0, path_crc("/mnt/private", files[i], &sums[i]));
	}
	end = time(NULL) + (quick() ? 5 : 10);
	for (uintptr_t i = 1; i <= 4; i++)
		pids[count++] = spawn(reader, (void *)i);
	pids[count++] = spawn(dropper, NULL);
	pids[count++] = spawn(mounter, (void *)5);
	for (int i = 0; i < count; i++) {
		EXPECT_EQ(0, wait_child(pids[i], 120))
			TH_LOG("process %d", i);
	}
	for (int i = 0; i < 4; i++) {
		snprintf(dir, sizeof(dir), "/mnt/%d", i);
		if (shown_options(dir)) {
			EXPECT_EQ(0, umount_at(dir));
		}
	}
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
