// SPDX-License-Identifier: GPL-2.0
/* Loading this module into a kernel that has the C driver built in. No kernel is made for that: the C driver is loaded
   under another module name. */
#include "harness.h"

#include <elf.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static char ko[4 * MIB] __attribute__((aligned(8)));

/* The name in the module's "struct module". */
static char *name_in_module(void)
{
	const Elf64_Ehdr *head = (void *)ko;
	const Elf64_Shdr *sections = (void *)(ko + head->e_shoff);

	for (int i = 0; i < head->e_shnum; i++) {
		const Elf64_Shdr *section = &sections[i];

		if (!strcmp(ko + sections[head->e_shstrndx].sh_offset + section->sh_name, ".gnu.linkonce.this_module"))
			return memmem(ko + section->sh_offset, section->sh_size, "erofs", sizeof("erofs"));
	}
	return NULL;
}

FIXTURE(beside) {
};

FIXTURE_SETUP(beside)
{
	int size = read_file("/modules/c/erofs.ko", ko, sizeof(ko));
	char *name;

	if (driver_is_c() || size < 0 || access("/modules/rust/erofs.ko", R_OK))
		SKIP(return, "needs both drivers");
	ASSERT_EQ(0, private_mounts());
	/* What it depends on stays. */
	ASSERT_EQ(0, system("erofs-driver c && erofs-driver none"));
	name = name_in_module();
	ASSERT_NE(NULL, name);
	strcpy(name, "erofz");
	ASSERT_EQ(0, syscall(SYS_init_module, ko, (unsigned long)size, ""));
}

FIXTURE_TEARDOWN(beside)
{
	EXPECT_EQ(0, syscall(SYS_delete_module, "erofz", 0));
	EXPECT_EQ(0, system("erofs-driver rust"));
}

TEST_F(beside, refused)
{
	int log = klog_open(), fd = open("/modules/rust/erofs.ko", O_RDONLY | O_CLOEXEC);
	struct stat st;

	ASSERT_LE(0, fd);
	EXPECT_ERRNO(EBUSY, syscall(SYS_finit_module, fd, "", 0));
	close(fd);
	EXPECT_TRUE(klog_contains(log, "erofs: another driver named erofs is built into this kernel"));
	close(log);
	/* The other one is as before. */
	ASSERT_EQ(0, mount_image("small", "/mnt/a", NULL));
	EXPECT_EQ(0, stat("/mnt/a/flat", &st));
	EXPECT_EQ(0, umount_at("/mnt/a"));
}

TEST_HARNESS_MAIN
