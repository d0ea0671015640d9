# SPDX-License-Identifier: GPL-2.0
# Finds what the kernel says about its own defects. Sourced by scripts/vm.

# Prints each report with the lines that follow it; fails if there is none.
kernel_reports() { # FILE
    awk '
        { sub(/\r$/, "") }
        /\] (=+ )?(BUG|WARNING|Oops|INFO: task |INFO: rcu|INFO: (possible|inconsistent|suspicious)|UBSAN|Kernel panic|general protection|rust_kernel: panicked|refcount_t:|(list|slab|kmem).* (corruption|has objects)|VFS: Busy inodes|watchdog: BUG)/ ||
        /------------\[ cut here|kernel BUG at |^unreferenced object/ {
            left = 60
            found = 1
        }
        left > 0 { print; left-- }
        END { exit !found }' "$1"
}
