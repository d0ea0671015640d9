// SPDX-License-Identifier: GPL-2.0
/* What is in the page cache, and where. */
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int page_frames(int fd, size_t count, uint64_t *frames, void **mapping)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), err = 0;
	const volatile char *map = mmap(NULL, count * PAGE, PROT_READ, MAP_SHARED, fd, 0);

	if (pagemap < 0 || map == MAP_FAILED)
		return -errno;
	*mapping = (void *)map;
	/* A page may be on its way to another frame. */
	for (int tries = 0; !tries || (err == -EFAULT && tries < 5); tries++) {
		err = 0;
		for (size_t i = 0; i < count; i++)
			(void)map[i * PAGE];
		if (pread(pagemap, frames, count * 8, (uintptr_t)map / PAGE * 8) != (ssize_t)count * 8)
			err = -EIO;
		for (size_t i = 0; i < count && !err; i++) {
			/* Bit 63: present. Without the capability the number reads as 0. */
			if (!(frames[i] >> 63))
				err = -EFAULT;
			frames[i] &= (1ULL << 55) - 1;
			if (!frames[i] && !err)
				err = -EPERM;
		}
	}
	close(pagemap);
	return err;
}

int frames_shared(const char *dir_a, const char *file_a, const char *dir_b, const char *file_b, size_t count)
{
	uint64_t *a = calloc(count, 8), *b = calloc(count, 8);
	int fa = open_read(dir_a, file_a, 0), fb = open_read(dir_b, file_b, 0);
	int err = fa < 0 ? fa : fb < 0 ? fb : 0, shared = 0;
	void *map_a = NULL, *map_b = NULL;

	if (!err)
		err = page_frames(fa, count, a, &map_a);
	if (!err)
		err = page_frames(fb, count, b, &map_b);
	for (size_t i = 0; i < count; i++)
		shared += a[i] == b[i];
	if (map_a)
		munmap(map_a, count * PAGE);
	if (map_b)
		munmap(map_b, count * PAGE);
	if (fa >= 0)
		close(fa);
	if (fb >= 0)
		close(fb);
	free(a);
	free(b);
	return err ? err : shared;
}

long resident_pages(int fd)
{
	struct stat st;
	unsigned char *vec;
	long resident = 0;
	size_t pages;
	void *map;

	if (fstat(fd, &st))
		return -errno;
	pages = (st.st_size + PAGE - 1) / PAGE;
	map = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	vec = malloc(pages);
	if (map == MAP_FAILED || mincore(map, st.st_size, vec))
		return -errno;
	for (size_t i = 0; i < pages; i++)
		resident += vec[i] & 1;
	munmap(map, st.st_size);
	free(vec);
	return resident;
}

long path_resident(const char *dir, const char *file)
{
	int fd = open_read(dir, file, 0);
	long n;

	if (fd < 0)
		return fd;
	n = resident_pages(fd);
	close(fd);
	return n;
}

int drop_caches(int what)
{
	char text[4];

	snprintf(text, sizeof(text), "%d", what);
	return write_file("/proc/sys/vm/drop_caches", text);
}
