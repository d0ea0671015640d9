// SPDX-License-Identifier: GPL-2.0
/*
 * Random bytes in the indexes of compressed files: any error and any file bytes are right, but every call comes to an end,
 * the image unmounts, and the kernel has nothing to report.
 */
#include "harness.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static const char * const files[] = { "healthy", "text", "words", "mixed", "tail", "unit" };

FIXTURE(damage) {
	char *image;
	size_t size;
	size_t areas[64][2];	/* offset and length */
	int count;
};

FIXTURE_VARIANT(damage) {
	const char *base;
};

#define BASE(name, image) FIXTURE_VARIANT_ADD(damage, name) { .base = "zs-" image }
BASE(compact, "compact");
BASE(compact_512, "compact-512");
BASE(full, "full");
BASE(big, "big");
BASE(big_full, "big-full");
BASE(tails, "tails");
BASE(tails_full, "tails-full");
BASE(fragments, "fragments");
BASE(fragments_full, "fragments-full");
BASE(extents_4, "ext4");
BASE(extents_8, "ext8");
BASE(extents_16, "ext16");
BASE(lzma, "lzma");
BASE(deflate, "deflate");
BASE(zstd, "zstd");

FIXTURE_SETUP(damage)
{
	char path[512], text[2048];
	const char *line = text;
	struct stat st;
	int used, fd;

	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, stat(image_path(variant->base), &st));
	self->size = st.st_size;
	self->image = malloc(st.st_size);
	fd = open(image_path(variant->base), O_RDONLY);
	ASSERT_EQ(st.st_size, read(fd, self->image, st.st_size));
	close(fd);
	snprintf(path, sizeof(path), "%.*s.areas", (int)strlen(image_path(variant->base)) - 4, image_path(variant->base));
	ASSERT_LT(0, read_file(path, text, sizeof(text)));
	while (sscanf(line, "%zu %zu\n%n", &self->areas[self->count][0], &self->areas[self->count][1], &used) == 2) {
		line += used;
		self->count++;
	}
	ASSERT_LT(3, self->count);
}

FIXTURE_TEARDOWN(damage)
{
	umount_at("/mnt/a");
}

static unsigned int draw(unsigned int *seed, unsigned int below)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 8) % below;
}

/* A changed bit, a byte of the ends of the range, or any byte. */
static char damaged(unsigned int *seed, char byte)
{
	static const char extremes[] = { 0, 1, 0x7f, (char)0x80, (char)0xff };

	switch (draw(seed, 3)) {
	case 0: return byte ^ 1 << draw(seed, 8);
	case 1: return extremes[draw(seed, sizeof(extremes))];
	default: return draw(seed, 256);
	}
}

/* Loop devices want a file. */
static int mount_bytes(const char *data, size_t size)
{
	char path[] = "/mnt/damaged.img";
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), err;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return -EIO;
	close(fd);
	setenv("EROFS_IMAGES", "/mnt", 1);
	err = mount_image("damaged", "/mnt/a", NULL);
	unlink(path);
	return err;
}

static void use(const char *file)
{
	struct {
		struct fiemap head;
		struct fiemap_extent extent[32];
	} map = { .head = { .fm_length = FIEMAP_MAX_OFFSET, .fm_extent_count = 32 } };
	static char buf[65536];
	int fd = open_read("/mnt/a", file, 0);

	if (fd < 0)
		return;
	for (off_t at = 0; at < 300000; at += 65536)
		if (!pread(fd, buf, sizeof(buf), at))
			break;
	if (pread(fd, buf, 100, 5000) > 0)
		lseek(fd, 1, SEEK_HOLE);
	ioctl(fd, FS_IOC_FIEMAP, &map);
	close(fd);
}

TEST_F(damage, random_bytes_of_indexes)
{
	int rounds = quick() ? 12 : 40, mounted = 0;
	char *copy = malloc(self->size);

	for (unsigned int round = 1; round <= rounds; round++) {
		unsigned int seed = round;

		memcpy(copy, self->image, self->size);
		for (int n = 1 + draw(&seed, 4); n; n--) {
			int area = draw(&seed, self->count);
			/* Headers are short, and decide about much. */
			size_t at = self->areas[area][0] + draw(&seed, draw(&seed, 3) ? self->areas[area][1] : 8);

			copy[at] = damaged(&seed, copy[at]);
		}
		if (mount_bytes(copy, self->size))
			continue;
		mounted++;
		for (size_t i = 0; i < ARRAY_SIZE(files); i++)
			use(files[i]);
		ASSERT_EQ(0, umount_at("/mnt/a"))
			TH_LOG("round %u", round);
	}
	/* A packed inode that cannot be loaded is the only reason not to mount. */
	EXPECT_LT(rounds / 2, mounted);
}

/* The same with bytes of the compressed data. */
TEST_F(damage, random_bytes_of_data)
{
	int rounds = quick() ? 6 : 20;
	char *copy = malloc(self->size);

	for (unsigned int round = 1; round <= rounds; round++) {
		unsigned int seed = round + 1000;

		memcpy(copy, self->image, self->size);
		for (int n = 20; n; n--) {
			size_t at = draw(&seed, self->size);
			bool index = at < 2048;

			for (int k = 0; k < self->count; k++)
				index |= at + 128 > self->areas[k][0] && at < self->areas[k][0] + self->areas[k][1];
			if (!index)
				copy[at] = damaged(&seed, copy[at]);
		}
		if (mount_bytes(copy, self->size))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(files); i++)
			use(files[i]);
		ASSERT_EQ(0, umount_at("/mnt/a"))
			TH_LOG("round %u", round);
	}
}

TEST_HARNESS_MAIN
