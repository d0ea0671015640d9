// SPDX-License-Identifier: GPL-2.0
/* What files hold, in short. */
#include "util.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

uint32_t crc32(uint32_t crc, const void *data, size_t size)
{
	static uint32_t table[256];
	const uint8_t *at = data;

	for (uint32_t n = 0; n < 256 && !table[255]; n++) {
		table[n] = n;
		for (int bit = 0; bit < 8; bit++)
			table[n] = table[n] >> 1 ^ (table[n] & 1 ? 0xedb88320 : 0);
	}
	for (crc = ~crc; size--; at++)
		crc = table[(crc ^ *at) & 0xff] ^ crc >> 8;
	return ~crc;
}

int file_crc(int fd, uint32_t *crc)
{
	static char buf[65536] __attribute__((aligned(PAGE)));
	ssize_t n;
	off_t at = 0;

	*crc = 0;
	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		*crc = crc32(*crc, buf, n);
		at += n;
		if (n % 512) /* the end; a direct read may not start there */
			break;
	}
	return n < 0 ? -errno : 0;
}

int file_crc_mmap(int fd, uint32_t *crc)
{
	struct stat st;
	void *map;

	*crc = 0;
	if (fstat(fd, &st))
		return -errno;
	if (!st.st_size)
		return 0;
	map = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*crc = crc32(0, map, st.st_size);
	munmap(map, st.st_size);
	return 0;
}

int path_crc(const char *dir, const char *file, uint32_t *crc)
{
	int fd = open_read(dir, file, 0), err;

	if (fd < 0)
		return fd;
	err = file_crc(fd, crc);
	close(fd);
	return err;
}

int same_bytes(const char *dir_a, const char *file_a, const char *dir_b, const char *file_b)
{
	static char a[65536], b[65536];
	int fa = open_read(dir_a, file_a, 0), fb = open_read(dir_b, file_b, 0), err = 0;
	ssize_t n, m;

	if (fa < 0 || fb < 0) {
		err = fa < 0 ? fa : fb;
		goto out;
	}
	do {
		n = read(fa, a, sizeof(a));
		m = read(fb, b, sizeof(b));
		if (n < 0 || m < 0)
			err = -errno;
		else if (n != m || memcmp(a, b, n))
			err = -EUCLEAN;
	} while (!err && n);
out:
	if (fa >= 0)
		close(fa);
	if (fb >= 0)
		close(fb);
	return err;
}
