// SPDX-License-Identifier: GPL-2.0

//! Tests of the room `src/format`, which the kernel module shares with them.
//!
//! First over bytes, one file for each part of the room; then over images that mkfs.erofs makes
//! from a tree of files, and over damaged ones.

#[path = "../../../../src"]
mod kernel {
    pub(crate) mod format;
}
use kernel::format;

mod bytes;

mod dir;
mod dir_damage;
mod index;
mod index_damage;
mod index_tables;
mod inode;
mod map;
mod prefixes;
mod space;
mod superblock;
mod symlink;
mod xattr;

mod content;
mod decode;
mod reader;
mod tree;

mod compressed;
mod damage;
mod images;
