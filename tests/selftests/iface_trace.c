// SPDX-License-Identifier: GPL-2.0
/* Tracepoints: names, fields, and what they tell of reading a file. */
#include "harness.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define EVENTS "/mnt/trace/events/erofs/"

FIXTURE(traces) {
	char *text;
};

FIXTURE_SETUP(traces)
{
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mkdir("/mnt/trace", 0755));
	if (mount("none", "/mnt/trace", "tracefs", 0, NULL) || access(EVENTS, F_OK))
		SKIP(return, "no tracepoints in this kernel");
	self->text = malloc(MIB);
}

FIXTURE_TEARDOWN(traces)
{
	write_file(EVENTS "enable", "0");
}

static const struct {
	const char *name, *fields;
} events[] = {
	{ "erofs_lookup", "dev nid name flags" },
	{ "erofs_fill_inode", "dev nid blkaddr ofs" },
	{ "erofs_read_folio", "dev nid dir index order raw" },
	{ "erofs_readahead", "dev nid start nrpage raw" },
	{ "erofs_map_blocks_enter", "dev nid la llen flags" },
	{ "erofs_map_blocks_exit", "dev nid flags la pa llen plen mflags ret" },
};

/* All of a file of tracefs, which comes in pieces. */
static int slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	size_t at = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (at < size - 1 && (n = read(fd, buf + at, size - 1 - at)) > 0)
		at += n;
	buf[at] = 0;
	close(fd);
	return at;
}

TEST_F(traces, fields)
{
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		char path[128], fields[128], wanted[32];

		snprintf(path, sizeof(path), EVENTS "%s/format", events[i].name);
		ASSERT_LT(0, slurp(path, self->text, MIB));
		snprintf(fields, sizeof(fields), "%s", events[i].fields);
		for (char *field = strtok(fields, " "); field; field = strtok(NULL, " ")) {
			snprintf(wanted, sizeof(wanted), " %s;\t", field);
			EXPECT_NE(NULL, strstr(self->text, wanted))
				TH_LOG("%s: no field %s", events[i].name, field);
		}
	}
}

/* A line of @event with @text. */
static bool told(const char *trace, const char *event, const char *text)
{
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "%s: ", event);
	for (const char *at = trace; (at = strstr(at, wanted)); at++) {
		const char *found = strstr(at, text), *end = strchr(at, '\n');

		if (found && (!end || found < end))
			return true;
	}
	return false;
}

static void trace_file(struct __test_metadata *_metadata, const char *image, const char *file, bool raw, char *text)
{
	char id[64], path[64], wanted[128], buf[64];
	struct stat st;
	int fd;

	ASSERT_EQ(0, mount_image(image, "/mnt/a", NULL));
	ASSERT_EQ(0, write_file("/mnt/trace/trace", "\n"));
	ASSERT_EQ(0, write_file(EVENTS "enable", "1"));
	snprintf(path, sizeof(path), "/mnt/a/%s", file);
	EXPECT_EQ(0, stat(path, &st));
	EXPECT_EQ(-1, access("/mnt/a/no-such-name", F_OK));
	fd = open(path, O_RDONLY);
	EXPECT_EQ(0, posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM));
	EXPECT_EQ(sizeof(buf), pread(fd, buf, sizeof(buf), 0));
	EXPECT_LE(0, lseek(fd, 0, SEEK_HOLE));
	close(fd);
	ASSERT_EQ(0, write_file(EVENTS "enable", "0"));
	ASSERT_LT(0, slurp("/mnt/trace/trace", text, MIB));

	snprintf(id, sizeof(id), "dev = (%u,%u), nid = %llu, ", major(st.st_dev), minor(st.st_dev),
		 (unsigned long long)st.st_ino);
	EXPECT_TRUE(told(text, "erofs_lookup", "name:no-such-name, flags:"));
	snprintf(wanted, sizeof(wanted), "name:%s, flags:", file);
	EXPECT_TRUE(told(text, "erofs_lookup", wanted));
	snprintf(wanted, sizeof(wanted), "%sblkaddr ", id);
	EXPECT_TRUE(told(text, "erofs_fill_inode", wanted));
	snprintf(wanted, sizeof(wanted), "%sstart = 0 nrpage = ", id);
	EXPECT_TRUE(told(text, "erofs_readahead", wanted));
	snprintf(wanted, sizeof(wanted), "raw = %d", raw);
	EXPECT_TRUE(told(text, "erofs_readahead", wanted));
	snprintf(wanted, sizeof(wanted), "%sla ", id);
	EXPECT_TRUE(told(text, "erofs_map_blocks_enter", wanted));
	EXPECT_TRUE(told(text, "erofs_map_blocks_enter", raw ? "flags NULL" : "flags FIEMAP"));
	snprintf(wanted, sizeof(wanted), "%sflags ", id);
	EXPECT_TRUE(told(text, "erofs_map_blocks_exit", wanted));
	EXPECT_TRUE(told(text, "erofs_map_blocks_exit", "mflags M ret 0"));
}

TEST_F(traces, of_a_plain_file)
{
	trace_file(_metadata, "small", "flat", true, self->text);
}

TEST_F(traces, of_a_compressed_file)
{
	trace_file(_metadata, "z-lz4hc64k-compact", "text", false, self->text);
}

TEST_F(traces, of_a_page_that_a_fault_reads)
{
	char id[64];
	struct stat st;
	char *map;
	int fd;

	ASSERT_EQ(0, mount_image("plain-4096", "/mnt/a", NULL));
	ASSERT_EQ(0, write_file("/mnt/trace/trace", "\n"));
	ASSERT_EQ(0, write_file(EVENTS "enable", "1"));
	fd = open_read("/mnt/a", "file/random", 0);
	ASSERT_EQ(0, fstat(fd, &st));
	map = mmap(NULL, 300000, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	/* Without readahead. */
	ASSERT_EQ(0, madvise(map, 300000, MADV_RANDOM));
	((volatile char *)map)[PAGE * 7];
	ASSERT_EQ(0, write_file(EVENTS "enable", "0"));
	ASSERT_LT(0, slurp("/mnt/trace/trace", self->text, MIB));
	snprintf(id, sizeof(id), "nid = %llu, FILE, index = 7, order = 0, raw = 1", (unsigned long long)st.st_ino);
	EXPECT_TRUE(told(self->text, "erofs_read_folio", id));
}

/* Reads into shared pages are those of the image that was opened. */
TEST_F(traces, of_a_shared_file)
{
	char id[64], other[64];
	struct stat a, b;
	uint32_t crc;
	int fd;

	ASSERT_EQ(0, mount_image("share-a", "/mnt/a", DOMAIN));
	ASSERT_EQ(0, mount_image("share-b", "/mnt/b", DOMAIN));
	close(open_read("/mnt/b", "common", 0));
	ASSERT_EQ(0, stat("/mnt/a/common", &a));
	ASSERT_EQ(0, stat("/mnt/b/common", &b));
	fd = open_read("/mnt/a", "common", 0);
	ASSERT_EQ(0, write_file("/mnt/trace/trace", "\n"));
	ASSERT_EQ(0, write_file(EVENTS "enable", "1"));
	EXPECT_EQ(0, file_crc(fd, &crc));
	ASSERT_EQ(0, write_file(EVENTS "enable", "0"));
	ASSERT_LT(0, slurp("/mnt/trace/trace", self->text, MIB));
	snprintf(id, sizeof(id), "dev = (%u,%u), nid = %llu, ", major(a.st_dev), minor(a.st_dev), (unsigned long long)a.st_ino);
	snprintf(other, sizeof(other), "dev = (%u,%u), ", major(b.st_dev), minor(b.st_dev));
	EXPECT_TRUE(told(self->text, "erofs_readahead", id));
	EXPECT_FALSE(told(self->text, "erofs_readahead", other));
}

TEST_HARNESS_MAIN
