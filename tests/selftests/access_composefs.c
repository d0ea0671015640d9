// SPDX-License-Identifier: GPL-2.0
/* A composefs mount, made and mounted by composefs' own programs. */
#include "harness.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

FIXTURE(composefs) {
};

FIXTURE_SETUP(composefs)
{
	char out[256];

	if (output_of("command -v mkcomposefs mount.composefs composefs-info", out, sizeof(out)))
		SKIP(return, "no composefs");
	ASSERT_EQ(0, private_mounts());
	ASSERT_EQ(0, mount_image("acl", "/mnt/source", NULL));
	/* Its own files, and some as large as files are. */
	ASSERT_EQ(0, mount_image("plain-4096", "/mnt/plain", NULL));
	ASSERT_EQ(0, output_of("cp -a /mnt/plain /mnt/tree && rm -r /mnt/tree/special", out, sizeof(out)));
	ASSERT_EQ(0, setxattr("/mnt/tree/file/text", "user.name", "value", 5, 0));
	ASSERT_EQ(0, setxattr("/mnt/tree/file/text", "trusted.overlay.own", "of a container", 14, 0));
	ASSERT_EQ(0, output_of("mkcomposefs --threads=1 --digest-store=/mnt/objects /mnt/tree /mnt/image.cfs 2>&1", out, sizeof(out)))
		TH_LOG("%s", out);
}

FIXTURE_TEARDOWN(composefs)
{
}

static int exec_hello(const void *path)
{
	execl(path, "hello", NULL);
	return 99;
}

TEST_F(composefs, mount)
{
	static const char * const files[] = {
		"file/text", "file/random", "file/size-5000", "file/size-0", "file/sparse", "file/twelve", "hard-link", "bin/script",
	};
	char out[1024], target[32];
	struct stat st, tree;

	ASSERT_EQ(0, mkdir("/mnt/merged", 0755));
	ASSERT_EQ(0, output_of("mount.composefs -o basedir=/mnt/objects /mnt/image.cfs /mnt/merged 2>&1", out, sizeof(out)))
		TH_LOG("%s", out);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		EXPECT_EQ(0, same_bytes("/mnt/merged", files[i], "/mnt/tree", files[i]))
			TH_LOG("%s", files[i]);
	}
	EXPECT_EQ(0, output_of("diff -r /mnt/merged /mnt/tree 2>&1", out, sizeof(out)))
		TH_LOG("%s", out);
	ASSERT_EQ(0, stat("/mnt/merged/file/owned", &st));
	ASSERT_EQ(0, stat("/mnt/tree/file/owned", &tree));
	EXPECT_EQ(tree.st_uid, st.st_uid);
	EXPECT_EQ(tree.st_mode, st.st_mode);
	EXPECT_EQ(tree.st_mtim.tv_nsec, st.st_mtim.tv_nsec);
	EXPECT_EQ(14, readlink("/mnt/merged/link/fast", target, sizeof(target)));
	EXPECT_EQ(5, getxattr("/mnt/merged/file/text", "user.name", NULL, 0));
	/* What a container's own overlay wrote is there under its name, and not taken for a sign of this one's. */
	EXPECT_EQ(14, getxattr("/mnt/merged/file/text", "trusted.overlay.own", NULL, 0));
	EXPECT_EQ(41, wait_child(spawn(exec_hello, "/mnt/merged/bin/hello"), 30));
	EXPECT_ERRNO(EROFS, open("/mnt/merged/new", O_CREAT | O_RDWR, 0600));
	ASSERT_EQ(0, umount_at("/mnt/merged"));
	/* With a layer to write to. */
	ASSERT_EQ(0, mkdir("/mnt/upper", 0755) | mkdir("/mnt/work", 0755));
	ASSERT_EQ(0, output_of("mount.composefs -o basedir=/mnt/objects,upperdir=/mnt/upper,workdir=/mnt/work /mnt/image.cfs /mnt/merged 2>&1",
			       out, sizeof(out)))
		TH_LOG("%s", out);
	ASSERT_EQ(0, write_file("/mnt/merged/file/size-5000", "changed"));
	EXPECT_EQ(-EUCLEAN, same_bytes("/mnt/merged", "file/size-5000", "/mnt/tree", "file/size-5000"));
	EXPECT_EQ(0, same_bytes("/mnt/merged", "file/text", "/mnt/tree", "file/text"));
	EXPECT_EQ(0, umount_at("/mnt/merged"));
}

/* The image alone, as its maker reads it. */
TEST_F(composefs, info)
{
	char out[65536];

	EXPECT_EQ(0, output_of("composefs-info ls /mnt/image.cfs", out, sizeof(out)));
	EXPECT_NE(NULL, strstr(out, "/file/text"));
	EXPECT_EQ(0, output_of("composefs-info missing-objects --basedir=/mnt/objects /mnt/image.cfs", out, sizeof(out)));
	EXPECT_STREQ("", out);
}

TEST_HARNESS_MAIN
