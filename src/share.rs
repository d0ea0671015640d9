// SPDX-License-Identifier: GPL-2.0

//! Files of several mounts that read through one page cache.
//!
//! Mounts with the same `domain_id` hold one [`domain::Domain`]. It has an internal superblock, whose inodes own the
//! shared pages: one inode for each fingerprint, size and block size. A file's inode joins at its first open, and
//! leaves when it is evicted; in between its `i_mapping` is the shared inode's. The shared inode and its pages stay
//! in memory when all members are gone, for the next one to find, until the domain's last mount is gone.
//!
//! Locks: the superblock's inode list, then an inode's `i_lock`, then [`inode::Members`].

pub(crate) mod domain;
pub(crate) mod inode;
pub(crate) mod stats;
