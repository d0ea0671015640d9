// SPDX-License-Identifier: GPL-2.0

//! `struct export_operations`: file handles, as `name_to_handle_at(2)` gives them and NFS servers do.
//!
//! A handle is three words: the inode's number, high half first, and a generation, which is always 0. A connectable one
//! has three more for the directory that the file was found in.
//!
//! C header: [`include/linux/exportfs.h`](srctree/include/linux/exportfs.h)

use crate::bindings;
use crate::vfs::{
    inode::{
        FileSystem,
        Inode, //
    },
    mount::Mountable,
    super_block::SuperBlock, //
};
use core::marker::PhantomData;
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};

/// A filesystem whose inodes can be found by number.
pub(crate) trait ExportOps: FileSystem {
    /// The number of `inode`.
    fn number(inode: &Inode<Self>) -> u64;

    /// The inode of that number, which may be any: the handle comes from user space.
    fn by_number(sb: &SuperBlock<Self>, number: u64) -> Result<ARef<Inode<Self>>>;

    /// The directory that directory `dir` is in.
    fn parent(dir: &Inode<Self>) -> Result<ARef<Inode<Self>>>;
}

/// Words of a handle that names a file.
const ALONE: usize = 3;
/// Words of one that also names its directory.
const WITH_PARENT: usize = 2 * ALONE;

/// The table of callbacks.
pub(super) struct Table<T>(PhantomData<T>);

impl<T: ExportOps + Mountable> Table<T> {
    pub(super) const OPS: &'static bindings::export_operations = &bindings::export_operations {
        encode_fh: Some(Self::encode_fh),
        fh_to_dentry: Some(Self::fh_to_dentry),
        fh_to_parent: Some(Self::fh_to_parent),
        get_parent: Some(Self::get_parent),
        ..pin_init::zeroed()
    };

    /// Called by `exportfs_encode_inode_fh()`. Returns the handle's type, and in `max_len` the words that it has, or needs.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `export_operations.encode_fh`, for inodes of `T`.
    unsafe extern "C" fn encode_fh(
        inode: *mut bindings::inode,
        words: *mut u32,
        max_len: *mut c_int,
        parent: *mut bindings::inode,
    ) -> c_int {
        let needed = match parent.is_null() {
            true => ALONE,
            false => WITH_PARENT,
        };
        // SAFETY: The length is ours during the call.
        let room = unsafe { *max_len };
        // SAFETY: As above.
        unsafe { *max_len = needed as c_int };
        if room < needed as c_int {
            return bindings::fid_type_FILEID_INVALID as c_int;
        }
        let mut handle = [0; WITH_PARENT];
        // SAFETY: The VFS passes a ready inode of `T`.
        let number = T::number(unsafe { Inode::from_raw(inode) });
        let mut numbers = [number, 0];
        if !parent.is_null() {
            // SAFETY: As above.
            numbers[1] = T::number(unsafe { Inode::from_raw(parent) });
        }
        for (part, number) in handle.chunks_exact_mut(ALONE).zip(numbers) {
            part.copy_from_slice(&[(number >> 32) as u32, number as u32, 0]);
        }
        // SAFETY: There is room for as many words, as just checked.
        unsafe { core::ptr::copy_nonoverlapping(handle.as_ptr(), words, needed) };
        match parent.is_null() {
            true => bindings::fid_type_FILEID_INO64_GEN as c_int,
            false => bindings::fid_type_FILEID_INO64_GEN_PARENT as c_int,
        }
    }

    /// Called by `exportfs_decode_fh_raw()`.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `export_operations.fh_to_dentry`, for a mount of `T`.
    unsafe extern "C" fn fh_to_dentry(
        sb: *mut bindings::super_block,
        handle: *mut bindings::fid,
        len: c_int,
        kind: c_int,
    ) -> *mut bindings::dentry {
        let known = [
            bindings::fid_type_FILEID_INO64_GEN as c_int,
            bindings::fid_type_FILEID_INO64_GEN_PARENT as c_int,
        ];
        if !known.contains(&kind) || len < ALONE as c_int {
            // A stale handle, to the caller.
            return core::ptr::null_mut();
        }
        // SAFETY: The handle has `len` words.
        let number = unsafe { Self::number_at(handle, 0) };
        // SAFETY: The VFS passes a live superblock of `T`.
        let sb = unsafe { SuperBlock::<T>::from_raw(sb) };
        Self::alias(T::by_number(sb, number))
    }

    /// Called by `exportfs_decode_fh_raw()`.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `export_operations.fh_to_parent`, for a mount of `T`.
    unsafe extern "C" fn fh_to_parent(
        sb: *mut bindings::super_block,
        handle: *mut bindings::fid,
        len: c_int,
        kind: c_int,
    ) -> *mut bindings::dentry {
        let connectable = bindings::fid_type_FILEID_INO64_GEN_PARENT as c_int;
        if kind != connectable || len < WITH_PARENT as c_int {
            return core::ptr::null_mut();
        }
        // SAFETY: The handle has `len` words.
        let number = unsafe { Self::number_at(handle, ALONE) };
        // SAFETY: The VFS passes a live superblock of `T`.
        let sb = unsafe { SuperBlock::<T>::from_raw(sb) };
        Self::alias(T::by_number(sb, number))
    }

    /// Called by `reconnect_one()` for a directory that was found by its handle.
    ///
    /// # Safety
    ///
    /// `child` must be the dentry of a directory of `T`, as `export_operations.get_parent` gets it.
    unsafe extern "C" fn get_parent(child: *mut bindings::dentry) -> *mut bindings::dentry {
        // SAFETY: The caller holds the dentry, which is positive.
        let inode = unsafe { (*child).d_inode };
        // SAFETY: As above: a ready directory of `T`.
        Self::alias(T::parent(unsafe { Inode::<T>::from_raw(inode) }))
    }

    /// The number in the words from `first` on.
    ///
    /// # Safety
    ///
    /// `handle` must have two words there.
    unsafe fn number_at(handle: *const bindings::fid, first: usize) -> u64 {
        let words = handle.cast::<u32>();
        // SAFETY: By the contract.
        let high = unsafe { words.add(first).read() };
        // SAFETY: By the contract.
        let low = unsafe { words.add(first).add(1).read() };
        u64::from(high) << 32 | u64::from(low)
    }

    /// A dentry of `inode`, maybe one that hangs in the air; or the error.
    fn alias(inode: Result<ARef<Inode<T>>>) -> *mut bindings::dentry {
        match inode {
            // SAFETY: This consumes our reference on the inode.
            Ok(inode) => unsafe { bindings::d_obtain_alias(ARef::into_raw(inode).as_ptr().cast()) },
            Err(e) => e.to_ptr(),
        }
    }
}
