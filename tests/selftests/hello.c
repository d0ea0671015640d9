// SPDX-License-Identifier: GPL-2.0
/* What the images hold as an executable: no library, a few kilobytes. Built against the kernel's nolibc. */

int main(int argc, char **argv, char **envp)
{
	(void)argv;
	(void)envp;
	return 40 + argc;
}
