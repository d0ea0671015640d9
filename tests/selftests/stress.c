// SPDX-License-Identifier: GPL-2.0
#include "stress.h"
#include "util.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#define READERS 4

static const struct stress *stressed;
static uint32_t sums[STRESS_FILES];
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

static int enough(unsigned int rounds)
{
	return rounds > stressed->least ? 0 : 2;
}

static unsigned int count_of(const char * const *names, unsigned int room)
{
	unsigned int count = 0;

	while (count < room && names[count])
		count++;
	return count;
}

static void move_to_cpu(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Reads or maps files of mounts that come and go, from one CPU and the other (CVE-2024-42300); those that are there must
   be right. */
static int reader(const void *arg)
{
	unsigned int seed = (uintptr_t)arg, rounds = 0;
	unsigned int mounts = count_of(stressed->images, STRESS_MOUNTS), files = count_of(stressed->files, STRESS_FILES);
	char dir[16];

	while (running()) {
		unsigned int i = draw(&seed, files);
		uint32_t crc;
		int fd, err;

		snprintf(dir, sizeof(dir), "/mnt/%u", draw(&seed, mounts));
		move_to_cpu(draw(&seed, 2));
		fd = open_read(dir, stressed->files[i], stressed->direct && !draw(&seed, 8) ? O_DIRECT : 0);
		if (fd < 0)
			continue;
		if (!draw(&seed, 3))
			posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
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
		if (err) {
			fprintf(stderr, "# %s/%s: %s\n", dir, stressed->files[i], strerror(-err));
			return 1;
		}
		rounds++;
	}
	return enough(rounds);
}

static int dropper(const void *arg)
{
	unsigned int seed = 7;

	while (running()) {
		drop_caches(1 + draw(&seed, 3));
		usleep(4000);
	}
	return 0;
}

static int mounter(const void *arg)
{
	unsigned int seed = 5, rounds = 0, mounts = count_of(stressed->images, STRESS_MOUNTS);
	char dir[16];

	while (running()) {
		unsigned int i = draw(&seed, mounts);
		int err;

		snprintf(dir, sizeof(dir), "/mnt/%u", i);
		if (shown_options(dir)) {
			err = draw(&seed, 3) ? umount_at(dir) : umount2(dir, MNT_DETACH) ? -errno : 0;
			if (err == -EBUSY)
				err = 0;
		} else {
			err = mount_image(stressed->images[i], dir, stressed->options);
			rounds++;
		}
		if (err) {
			fprintf(stderr, "# %s: %s\n", dir, strerror(-err));
			return 1;
		}
		usleep(draw(&seed, stressed->pause * 1000));
	}
	return enough(rounds);
}

int stress(const struct stress *stress)
{
	pid_t pids[READERS + 2];
	int count = 0, failed = 0;
	char dir[16];

	stressed = stress;
	for (int i = 0; i < STRESS_FILES && stress->files[i]; i++)
		if (path_crc("/mnt/private", stress->files[i], &sums[i]))
			return -EIO;
	end = time(NULL) + (quick() ? 5 : 10);
	for (uintptr_t i = 1; i <= READERS; i++)
		pids[count++] = spawn(reader, (void *)i);
	pids[count++] = spawn(dropper, NULL);
	pids[count++] = spawn(mounter, NULL);
	for (int i = 0; i < count; i++) {
		int status = wait_child(pids[i], 120);

		if (status) {
			fprintf(stderr, "# process %d: %d\n", i, status);
			failed++;
		}
	}
	for (int i = 0; i < STRESS_MOUNTS; i++) {
		snprintf(dir, sizeof(dir), "/mnt/%d", i);
		failed += shown_options(dir) && umount_at(dir);
	}
	return failed;
}
