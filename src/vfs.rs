// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers around the kernel objects that a read-only filesystem meets.
//!
//! One file per C object. Each ops table is one trait with one generic table of callbacks; the callbacks turn
//! C arguments into the types of this room, call the trait, and turn the `Result` into an errno. Together with
//! [`crate::bindings`] this is the only room with `unsafe`.

pub(crate) mod acl;
pub(crate) mod address_space;
pub(crate) mod anon;
pub(crate) mod backing;
pub(crate) mod bdi;
pub(crate) mod bio;
pub(crate) mod block;
pub(crate) mod buffer;
pub(crate) mod claims;
pub(crate) mod dax;
pub(crate) mod decode;
pub(crate) mod dir;
pub(crate) mod export;
pub(crate) mod fetch;
pub(crate) mod fiemap;
pub(crate) mod file;
pub(crate) mod file_read;
pub(crate) mod folios;
pub(crate) mod inflight;
pub(crate) mod inode;
pub(crate) mod inode_ops;
pub(crate) mod iomap;
pub(crate) mod log;
pub(crate) mod mount;
pub(crate) mod page_cache;
pub(crate) mod shrinker;
pub(crate) mod store;
pub(crate) mod sums;
pub(crate) mod super_block;
pub(crate) mod sysfs;
pub(crate) mod trace;
pub(crate) mod work;
pub(crate) mod xattr;

/// log2 of the page size.
pub(crate) const PAGE_SHIFT: u32 = kernel::page::PAGE_SHIFT as u32;
/// Bytes in a page.
pub(crate) const PAGE_SIZE: usize = kernel::page::PAGE_SIZE;
