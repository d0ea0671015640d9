// SPDX-License-Identifier: GPL-2.0

//! Tracepoints, as bindings/trace.h has them.
//!
//! As long as nobody listens each is a jump that is patched out, and what it would tell is not even looked at.
//!
//! C header: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h)

use crate::bindings;
use crate::vfs::{
    inode::{
        FileSystem,
        Inode, //
    },
    super_block::SuperBlock, //
};
use kernel::prelude::*;

/// Calls a tracepoint if somebody listens, and evaluates its arguments only then. As the kernel crate's
/// `declare_trace`, which knows the kernel's own tracepoints only.
macro_rules! tell {
    ($name:ident($($arg:expr),* $(,)?)) => {{
        #[cfg(all(CONFIG_TRACEPOINTS, CONFIG_JUMP_LABEL))]
        kernel::macros::paste! {
            // SAFETY: A tracepoint has a static key, which C code has made.
            let listened = unsafe {
                kernel::jump_label::arch_static_branch!(
                    bindings::[<__tracepoint_ $name>],
                    bindings::tracepoint,
                    key,
                    false
                )
            };
            if listened {
                // SAFETY: The arguments are numbers, or live objects of the caller's.
                unsafe { bindings::[<rust_do_trace_ $name>]($($arg),*) };
            }
        }
        #[cfg(not(all(CONFIG_TRACEPOINTS, CONFIG_JUMP_LABEL)))]
        if false {
            let _ = ($($arg,)*);
        }
    }};
}

/// An inode, as traces name it.
#[derive(Clone, Copy)]
pub(crate) struct Id {
    /// The device number of its mount, in the kernel's own encoding.
    pub(crate) dev: u32,
    /// Its nid.
    pub(crate) nid: u64,
}

/// What mapping has found.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mapped {
    /// The extent's start in the file, and its length there.
    pub(crate) pos: u64,
    pub(crate) len: u64,
    /// Its start in the image, and its length there.
    pub(crate) addr: u64,
    pub(crate) stored: u64,
    /// What is true of it: the constants below.
    pub(crate) flags: u32,
    /// 0, or a negative errno.
    pub(crate) error: i32,
}

impl Mapped {
    /// It is stored.
    pub(crate) const MAPPED: u32 = bindings::EROFS_C_TRACE_MAPPED;
    /// Among the metadata.
    pub(crate) const META: u32 = bindings::EROFS_C_TRACE_META;
    /// As the start only of what is decoded.
    pub(crate) const PARTIAL_REF: u32 = bindings::EROFS_C_TRACE_PARTIAL_REF;
    /// In the packed file.
    pub(crate) const FRAGMENT: u32 = bindings::EROFS_C_TRACE_FRAGMENT;
}

/// Flags of a mapping that is only to be reported, or to be read.
fn purpose(report: bool) -> u32 {
    match report {
        true => bindings::EROFS_C_TRACE_REPORT,
        false => 0,
    }
}

/// A name is looked for in a directory.
///
/// # Safety
///
/// `dentry` must be that of an `inode_operations.lookup` call, on a directory of `T`.
#[inline(always)]
pub(super) unsafe fn lookup<T: FileSystem>(
    dir: &Inode<T>,
    nid: impl FnOnce() -> u64,
    dentry: *const bindings::dentry,
    flags: u32,
) {
    tell!(erofs_lookup(dir.super_block().dev(), nid(), dentry, flags));
}

/// An inode is read, which lies at byte `at().1` of block `at().0`.
#[inline(always)]
pub(crate) fn fill_inode<T>(sb: &SuperBlock<T>, nid: u64, at: impl Fn() -> (u64, u32)) {
    tell!(erofs_fill_inode(sb.dev(), nid, at().0, at().1));
}

/// A folio is read; `raw`: its bytes are stored as they are.
///
/// # Safety
///
/// `folio` must be locked, and in the page cache.
#[inline(always)]
pub(super) unsafe fn read_folio(
    id: impl Fn() -> Id,
    folio: *mut bindings::folio,
    raw: impl FnOnce() -> bool,
) {
    tell!(erofs_read_folio(id().dev, id().nid, folio, raw()));
}

/// `pages` pages are read ahead from page `start` on.
#[inline(always)]
pub(super) fn readahead(
    id: impl Fn() -> Id,
    start: c_ulong,
    pages: u32,
    raw: impl FnOnce() -> bool,
) {
    tell!(erofs_readahead(id().dev, id().nid, start, pages, raw()));
}

/// Byte `pos` of a file is to be mapped, and `len` bytes from there on as far as they lie together.
#[inline(always)]
pub(crate) fn map_blocks_enter(id: impl Fn() -> Id, pos: u64, len: u64, report: bool) {
    tell!(erofs_map_blocks_enter(
        id().dev,
        id().nid,
        pos,
        len,
        purpose(report)
    ));
}

/// It is mapped.
#[inline(always)]
pub(crate) fn map_blocks_exit(id: impl Fn() -> Id, report: bool, found: impl Fn() -> Mapped) {
    tell!(erofs_map_blocks_exit(
        id().dev,
        id().nid,
        purpose(report),
        found().pos,
        found().addr,
        found().len,
        found().stored,
        found().flags,
        found().error,
    ));
}
