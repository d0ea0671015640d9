// SPDX-License-Identifier: GPL-2.0

//! `struct file_operations` of regular files.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use crate::bindings;
use crate::vfs::{
    dax,
    inode::{
        FileSystem,
        Inode, //
    },
    iomap,
    mount::Mountable, //
};
use core::marker::PhantomData;
use kernel::{
    error::from_result,
    prelude::*, //
};

/// Regular files.
pub(crate) trait FileOps: Mountable {
    /// Called for each open. May redirect the inode: the file then reads through the other one's pages.
    fn open(inode: &Inode<Self>, direct: bool) -> Result;

    /// Whether the file's data can be read past the page cache.
    fn check_direct(inode: &Inode<Self>) -> Result;

    /// The volume's label, at most 16 bytes, for `FS_IOC_GETFSLABEL`.
    fn label(inode: &Inode<Self>) -> [u8; 16];
}

/// The inode that an open file belongs to.
///
/// # Safety
///
/// `file` must be an open file of `T`.
unsafe fn inode_of<'a, T: FileSystem>(file: *mut bindings::file) -> &'a Inode<T> {
    // SAFETY: By the contract.
    let inode = unsafe { (*file).f_inode };
    // SAFETY: By the contract; the file holds its inode.
    unsafe { Inode::from_raw(inode) }
}

/// `ioctl(2)` on files and directories; the only command takes a pointer, so 32-bit callers may use it too.
///
/// # Safety
///
/// The arguments must be those of `file_operations.unlocked_ioctl`, for a file of `T`.
pub(super) unsafe extern "C" fn ioctl<T: FileOps>(
    file: *mut bindings::file,
    cmd: c_uint,
    arg: c_ulong,
) -> c_long {
    // SAFETY: The VFS passes an open file of `T`.
    let inode = unsafe { inode_of::<T>(file) };
    let done: c_int = from_result(|| {
        if cmd != bindings::EROFS_C_GETFSLABEL {
            return Err(ENOTTY);
        }
        let label = T::label(inode);
        let len = label.iter().position(|&b| b == 0).unwrap_or(label.len());
        // NUL-terminated for the caller; the buffer that the interface asks for is far larger.
        let mut text = [0u8; 17];
        for (to, from) in text.iter_mut().zip(label.iter().take(len)) {
            *to = *from;
        }
        let size = len.saturating_add(1).min(text.len());
        // SAFETY: `text` has `size` bytes; the other side is a user address, checked by the callee.
        let e = unsafe { bindings::erofs_helper_copy_to_user(arg, text.as_ptr().cast(), size) };
        kernel::error::to_result(e).map(|()| 0)
    });
    done as c_long
}

/// The table of callbacks.
pub(super) struct Table<T>(PhantomData<T>);

impl<T: FileOps + iomap::FileMap> Table<T> {
    /// For files whose [`FileOps::open`] has something to say.
    pub(super) const OPENED: &'static bindings::file_operations = &bindings::file_operations {
        open: Some(Self::open),
        ..Self::COMMON
    };

    /// For other files: opening them needs no callback.
    pub(super) const OPS: &'static bindings::file_operations = &Self::COMMON;

    /// For files that are read and mapped where they are.
    pub(super) const DAX: &'static bindings::file_operations = &bindings::file_operations {
        read_iter: Some(dax::Table::<T>::read_iter),
        mmap_prepare: Some(dax::Table::<T>::mmap_prepare),
        ..Self::COMMON
    };

    const COMMON: bindings::file_operations = bindings::file_operations {
        llseek: Some(Self::llseek),
        read_iter: Some(Self::read_iter),
        mmap_prepare: Some(bindings::generic_file_readonly_mmap_prepare),
        get_unmapped_area: Some(bindings::thp_get_unmapped_area),
        splice_read: Some(bindings::filemap_splice_read),
        unlocked_ioctl: Some(ioctl::<T>),
        compat_ioctl: Some(ioctl::<T>),
        setlease: Some(bindings::generic_setlease),
        ..pin_init::zeroed()
    };

    /// Called by `do_dentry_open()`, which has set `f_mapping` from the inode before, and looks at it afterwards.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `file_operations.open`, for a file of `T`.
    unsafe extern "C" fn open(raw: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: The VFS passes a ready inode of `T`.
        let inode = unsafe { Inode::<T>::from_raw(raw) };
        // SAFETY: The file is being opened: it is ours.
        let direct = unsafe { (*file).f_flags } & bindings::EROFS_C_O_DIRECT != 0;
        from_result(|| {
            T::open(inode, direct)?;
            // Does not change after the first open.
            // SAFETY: The file is ours.
            unsafe { (*file).f_mapping = inode.mapping() };
            Ok(0)
        })
    }

    /// Called by `vfs_read()` and its kin.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `file_operations.read_iter`, for a file of `T`.
    unsafe extern "C" fn read_iter(
        iocb: *mut bindings::kiocb,
        to: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: The request is ours during the call.
        let file = unsafe { (*iocb).ki_filp };
        // SAFETY: As above.
        let flags = unsafe { (*iocb).ki_flags };
        if flags & bindings::EROFS_C_IOCB_DIRECT as c_int != 0 {
            // SAFETY: The VFS passes an open file of `T`.
            let inode = unsafe { inode_of::<T>(file) };
            if let Err(e) = T::check_direct(inode) {
                return e.to_errno() as isize;
            }
            // SAFETY: Request and buffer are the caller's, and `inode` is the file's.
            return unsafe { iomap::read_direct(inode, iocb, to) };
        }
        // SAFETY: As above.
        let pos = unsafe { (*iocb).ki_pos };
        // SAFETY: An open file holds its inode.
        let size = unsafe { (*(*file).f_inode).i_size };
        // Whoever reads a whole file asks once more than there is data.
        if pos >= size {
            return 0;
        }
        // SAFETY: As above.
        unsafe { bindings::filemap_read(iocb, to, 0) }
    }

    /// Called by `vfs_llseek()`. Asks the image's own inode: the mapping's may be a shared one.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `file_operations.llseek`, for a file of `T`.
    unsafe extern "C" fn llseek(file: *mut bindings::file, offset: i64, whence: c_int) -> i64 {
        // SAFETY: The VFS passes an open file of `T`.
        let inode = unsafe { inode_of::<T>(file) };
        let found = match u32::try_from(whence) {
            Ok(bindings::EROFS_C_SEEK_HOLE) => iomap::seek_hole(inode, offset),
            Ok(bindings::EROFS_C_SEEK_DATA) => iomap::seek_data(inode, offset),
            // SAFETY: The file is the caller's.
            _ => return unsafe { bindings::generic_file_llseek(file, offset, whence) },
        };
        if found < 0 {
            return found;
        }
        // SAFETY: The file is the caller's.
        unsafe { bindings::vfs_setpos(file, found, bindings::EROFS_C_MAX_LFS_FILESIZE) }
    }
}
