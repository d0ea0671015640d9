// SPDX-License-Identifier: GPL-2.0
/* Compressed files under concurrent use, with reads in flight, and with decoders that wait for each other. */
#include "harness.h"
#include "slow.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <time.h>

#define DM "selftest-zread"

static const char * const files[] = { "text", "words", "mixed", "tail", "tiny", "zero", "sparse" };
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

static void move_to_cpu(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Reads or maps files of mounts that come and go, from one CPU and the other (CVE-2024-42300); those that are there must be right. */
static int reader(const void *arg)
{
	unsigned int seed = (uintptr_t)arg, rounds = 0;
	char dir[16];

	while (running()) {
		size_t i = draw(&seed, ARRAY_SIZE(files));
		uint32_t crc;
		int fd, err;

		snprintf(dir, sizeof(dir), "/mnt/%u", draw(&seed, 6));
		move_to_cpu(draw(&seed, 2));
		fd = open_read(dir, files[i], 0);
		if (fd < 0)
			continue;
		if (!draw(&seed, 3))
			posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
		err = draw(&seed, 2) ? file_crc(fd, &crc) : file_crc_mmap(fd, &crc);
		if (!draw(&seed, 4))
			posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
		if (!err && crc != sums[i])
			err = -EUCLEAN;
		if (err) {
			fprintf(stderr, "# %s/%s: %s\n", dir, files[i], strerror(-err));
			return 1;
		}
		rounds++;
	}
	/* Fewer would be no stress. */
	return rounds > 10 ? 0 : 2;
}

static int dropper(const void *arg)
{
	unsigned int seed = 7;

	(void)arg;
	while (running()) {
		drop_caches(1 + draw(&seed, 3));
		usleep(5000);
	}
	return 0;
}

struct mounts {
	const char *images[6];
	const char *options;
};

static int mounter(const void *arg)
{
	const struct mounts *mounts = arg;
	unsigned int seed = 5, rounds = 0;
	char dir[16];

	while (running()) {
		unsigned int i = draw(&seed, 6);
		int err;

		snprintf(dir, sizeof(dir), "/mnt/%u", i);
		if (shown_options(dir)) {
			err = draw(&seed, 3) ? umount_at(dir) : umount2(dir, MNT_DETACH) ? -errno : 0;
			if (err == -EBUSY)
				err = 0;
		} else {
			err = mount_image(mounts->images[i], dir, mounts->options);
			rounds++;
		}
		if (err) {
			fprintf(stderr, "# %s: %s\n", dir, strerror(-err));
			return 1;
		}
		usleep(draw(&seed, 10000));
	}
	return rounds > 10 ? 0 : 2;
}

FIXTURE(stress) {
};

FIXTURE_VARIANT(stress) {
	struct mounts mounts;
	const char *what;
};

/* The window of decoders grows from mount to mount, while others wait for one (CVE-2022-50193). */
FIXTURE_VARIANT_ADD(stress, private) {
	.mounts = { { "encoded-a-lz4", "encoded-a-lz4hc64k", "encoded-a-zstd", "encoded-a-lzma", "encoded-a-deflate", "encoded-a-packed" } },
};
/* Extents that many files name: clusters in no order of theirs (CVE-2023-53777). */
FIXTURE_VARIANT_ADD(stress, packed) {
	.mounts = { { "encoded-a-packed", "encoded-a-packed", "encoded-a-packed", "encoded-a-48bit", "encoded-a-lzma", "encoded-a-packed" } },
};
FIXTURE_VARIANT_ADD(stress, shared) {
	.mounts = { { "encoded-a-lz4", "encoded-b-plain", "encoded-a-zstd", "encoded-b-lzma", "encoded-a-48bit", "encoded-b-packed" }, DOMAIN },
};

FIXTURE_SETUP(stress)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("encoded-a-private", "/mnt/private", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		ASSERT_EQ(0, path_crc("/mnt/private", files[i], &sums[i]));
	}
}

FIXTURE_TEARDOWN(stress)
{
}

TEST_F(stress, concurrent_use)
{
	pid_t pids[8];
	int count = 0;
	char dir[16];

	if (driver_is_c() && variant->mounts.options)
		SKIP(return, "the C driver's W3: readers of images that were unmounted");
	end = time(NULL) + (quick() ? 5 : 10);
	for (uintptr_t i = 1; i <= 4; i++)
		pids[count++] = spawn(reader, (void *)i);
	pids[count++] = spawn(dropper, NULL);
	pids[count++] = spawn(mounter, &variant->mounts);
	for (int i = 0; i < count; i++) {
		EXPECT_EQ(0, wait_child(pids[i], 120))
			TH_LOG("process %d", i);
	}
	for (int i = 0; i < 6; i++) {
		snprintf(dir, sizeof(dir), "/mnt/%d", i);
		if (shown_options(dir)) {
			EXPECT_EQ(0, umount_at(dir));
		}
	}
	if (!driver_is_c()) {
		EXPECT_EQ(0, read_number("/sys/fs/erofs/sharing/shared_inodes"));
		EXPECT_EQ(0, read_number("/sys/fs/erofs/sharing/members"));
	}
}

/* --- Reads in flight --- */

FIXTURE(zflight) {
	char dev[DEV_LEN];
	uint32_t crc;
};

FIXTURE_VARIANT(zflight) {
	const char *image, *options;
};

FIXTURE_VARIANT_ADD(zflight, lz4) { .image = "encoded-a-lz4hc64k" };
FIXTURE_VARIANT_ADD(zflight, lzma) { .image = "encoded-a-lzma" };
FIXTURE_VARIANT_ADD(zflight, packed) { .image = "encoded-a-packed" };
FIXTURE_VARIANT_ADD(zflight, zstd_shared) { .image = "encoded-a-zstd", .options = DOMAIN };

FIXTURE_SETUP(zflight)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("encoded-a-private", "/mnt/private", NULL));
	ASSERT_EQ(0, path_crc("/mnt/private", "words", &self->crc));
	ASSERT_EQ(0, dm_image(DM, variant->image, 0, 0, self->dev));
	ASSERT_EQ(0, mount_at(self->dev, "/mnt/a", variant->options));
}

FIXTURE_TEARDOWN(zflight)
{
	dm_suspend(DM, false);
	umount_at("/mnt/a");
	dm_remove(DM);
}

/* The reader has brought the index in, so that it is file data that the device owes. */
static void know_the_index(void)
{
	int fd = open_read("/mnt/a", "words", 0);

	lseek(fd, 0, SEEK_HOLE);
	lseek(fd, 400000, SEEK_DATA);
	close(fd);
}

/* While the reader does not heed its signal, its file keeps the mount busy. */
static int unmount_a(const void *arg)
{
	int err = -EBUSY;

	(void)arg;
	for (int tries = 0; err == -EBUSY && tries < 2000; tries++) {
		err = umount_at("/mnt/a");
		usleep(10000);
	}
	return -err;
}

TEST_F(zflight, unmount_waits_for_reads)
{
	pid_t reader, unmounter;

	know_the_index();
	ASSERT_EQ(0, dm_suspend(DM, true));
	reader = start_reading("/mnt/a", "words");
	usleep(500000);
	kill(reader, SIGKILL);
	unmounter = spawn(unmount_a, NULL);
	EXPECT_EQ(-ETIMEDOUT, wait_child(unmounter, 2));
	ASSERT_EQ(0, dm_suspend(DM, false));
	EXPECT_EQ(256 + SIGKILL, wait_child(reader, 20));
	EXPECT_EQ(0, wait_child(unmounter, 20));
	EXPECT_EQ(0, dm_remove(DM));
}

/* A fatal signal during a read leaves nothing half filled (CVE-2026-45943); the reader may see it only when the data is there. */
TEST_F(zflight, killed_reader_leaves_no_wrong_page)
{
	pid_t reader;
	uint32_t crc;
	int status;

	know_the_index();
	ASSERT_EQ(0, dm_suspend(DM, true));
	reader = start_reading("/mnt/a", "words");
	usleep(300000);
	kill(reader, SIGKILL);
	usleep(300000);
	ASSERT_EQ(0, dm_suspend(DM, false));
	status = wait_child(reader, 20);
	EXPECT_TRUE(status == 256 + SIGKILL || status == 0)
		TH_LOG("%d", status);
	EXPECT_EQ(0, path_crc("/mnt/a", "words", &crc));
	EXPECT_EQ(self->crc, crc);
}

TEST_F(zflight, slow_device)
{
	pid_t readers[4];
	uint32_t crc;

	for (int round = 0; round < (quick() ? 3 : 10); round++) {
		ASSERT_EQ(0, drop_caches(3));
		for (int i = 0; i < 4; i++)
			readers[i] = start_reading("/mnt/a", "words");
		for (int i = 0; i < 4; i++) {
			ASSERT_EQ(0, dm_suspend(DM, true));
			usleep(5000);
			ASSERT_EQ(0, dm_suspend(DM, false));
			usleep(3000);
		}
		for (int i = 0; i < 4; i++) {
			EXPECT_EQ(0, wait_child(readers[i], 30));
		}
		EXPECT_EQ(0, path_crc("/mnt/a", "words", &crc));
		EXPECT_EQ(self->crc, crc);
	}
}

/* --- Sectors that cannot be read --- */

/* Data that the device does not give is EIO for what depends on it; the rest of the file is there. */
TEST(bad_sectors)
{
	static char page[PAGE];
	char dev[DEV_LEN];
	int fd, failed = 0, pages = 0;

	ASSERT_EQ(0, private_mounts());
	/* In the middle of the image: data, since its index is at the end or the start. */
	ASSERT_EQ(0, dm_image(DM, "encoded-a-lz4", 1024, 64, dev));
	ASSERT_EQ(0, mount_at(dev, "/mnt/a", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		fd = open_read("/mnt/a", files[i], 0);
		ASSERT_GE(fd, 0);
		for (off_t at = 0; ; at += PAGE) {
			ssize_t n = pread(fd, page, PAGE, at);

			if (!n)
				break;
			if (n < 0) {
				EXPECT_EQ(EIO, errno);
				failed++;
			}
			pages++;
		}
		close(fd);
	}
	EXPECT_LT(0, failed);
	EXPECT_GT(pages / 2, failed);
	ASSERT_EQ(0, umount_at("/mnt/a"));
	ASSERT_EQ(0, dm_remove(DM));
}

/* The kernel's stack and the reader survive a packed file that points into itself. */
TEST(packed_file_in_itself)
{
	pid_t reader;
	int err;

	if (driver_is_c() && !alone())
		SKIP(return, "the C driver does not return");
	ASSERT_EQ(0, private_mounts());
	err = mount_image("bad-z-packed-in-itself", "/mnt/bad", NULL);
	if (err) {
		EXPECT_EQ(-EUCLEAN, err);
		return;
	}
	reader = start_reading("/mnt/bad", "tail");
	err = wait_child(reader, 10);
	EXPECT_TRUE(err == EUCLEAN || err == EIO)
		TH_LOG("%d", err);
}

TEST_HARNESS_MAIN
