// SPDX-License-Identifier: GPL-2.0

//! `struct inode_operations`: attributes, lookup, symlinks and extents.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use crate::bindings;
use crate::vfs::{
    acl,
    address_space,
    dir,
    export::ExportOps,
    fiemap,
    file,
    inode::{
        FileSystem,
        Inode,
        New, //
    },
    iomap,
    super_block,
    trace,
    xattr, //
};
use core::marker::PhantomData;
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};

/// Lookup and attributes.
pub(crate) trait InodeOps: FileSystem {
    /// Finds `name` in directory `dir`. `None` if there is no such name; any failure is an error.
    fn lookup(dir: &Inode<Self>, name: &[u8]) -> Result<Option<ARef<Inode<Self>>>>;

    /// Whether the data of `inode` is stored compressed.
    fn is_compressed(inode: &Inode<Self>) -> bool;

    /// What direct I/O needs: alignment of memory and of offsets, in bytes. `None` if it is not possible.
    fn dio_align(inode: &Inode<Self>) -> Option<(u32, u32)>;
}

/// The tables of callbacks.
struct Table<T>(PhantomData<T>);

impl<T: InodeOps + xattr::Operations + acl::Operations + iomap::FileMap + ExportOps> Table<T> {
    const FILE: &'static bindings::inode_operations = &bindings::inode_operations {
        getattr: Some(Self::getattr),
        listxattr: Some(xattr::Handlers::<T>::listxattr),
        get_inode_acl: Some(acl::get::<T>),
        fiemap: Some(fiemap::fiemap::<T>),
        ..pin_init::zeroed()
    };

    const DIR: &'static bindings::inode_operations = &bindings::inode_operations {
        lookup: Some(Self::lookup),
        getattr: Some(Self::getattr),
        listxattr: Some(xattr::Handlers::<T>::listxattr),
        get_inode_acl: Some(acl::get::<T>),
        fiemap: Some(fiemap::fiemap::<T>),
        ..pin_init::zeroed()
    };

    const SYMLINK: &'static bindings::inode_operations = &bindings::inode_operations {
        get_link: Some(bindings::page_get_link),
        getattr: Some(Self::getattr),
        listxattr: Some(xattr::Handlers::<T>::listxattr),
        get_inode_acl: Some(acl::get::<T>),
        ..pin_init::zeroed()
    };

    const CACHED_SYMLINK: &'static bindings::inode_operations = &bindings::inode_operations {
        get_link: Some(bindings::simple_get_link),
        getattr: Some(Self::getattr),
        listxattr: Some(xattr::Handlers::<T>::listxattr),
        get_inode_acl: Some(acl::get::<T>),
        ..pin_init::zeroed()
    };

    /// Called by `__lookup_slow()` and `lookup_open()`, with the directory locked at least shared.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `inode_operations.lookup`, for a directory of `T`.
    unsafe extern "C" fn lookup(
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        flags: c_uint,
    ) -> *mut bindings::dentry {
        // SAFETY: The VFS passes a ready directory of `T`.
        let dir = unsafe { Inode::<T>::from_raw(dir) };
        // SAFETY: As above.
        unsafe { trace::lookup(dir, || T::number(dir), dentry, flags) };
        // SAFETY: A dentry in lookup keeps its name.
        let name = unsafe { &(*dentry).__bindgen_anon_1.d_name };
        // SAFETY: The length is in a union with the hash, of which both halves are always set.
        let len = unsafe { name.__bindgen_anon_1.__bindgen_anon_1.len };
        // SAFETY: The name has that many bytes.
        let name = unsafe { core::slice::from_raw_parts(name.name, len as usize) };
        let inode = match T::lookup(dir, name) {
            Ok(Some(inode)) => ARef::into_raw(inode).as_ptr().cast(),
            Ok(None) => core::ptr::null_mut(),
            Err(e) => return e.to_ptr(),
        };
        // SAFETY: This consumes our reference on the inode; NULL makes a negative dentry.
        unsafe { bindings::d_splice_alias(inode, dentry) }
    }

    /// Called by `vfs_getattr_nosec()`.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `inode_operations.getattr`, for an inode of `T`.
    unsafe extern "C" fn getattr(
        idmap: *mut bindings::mnt_idmap,
        path: *const bindings::path,
        stat: *mut bindings::kstat,
        request: u32,
        _query: c_uint,
    ) -> c_int {
        // SAFETY: The path is held by the caller.
        let dentry = unsafe { (*path).dentry };
        // SAFETY: As above.
        let raw = unsafe { (*dentry).d_inode };
        // SAFETY: A positive dentry of `T` holds a ready inode.
        let inode = unsafe { Inode::<T>::from_raw(raw) };
        // SAFETY: The result is ours during the call.
        let out = unsafe { &mut *stat };
        let compressed = u64::from(bindings::EROFS_C_ATTR_COMPRESSED);
        let immutable = u64::from(bindings::EROFS_C_ATTR_IMMUTABLE);
        out.attributes_mask |= compressed | immutable;
        out.attributes |= match T::is_compressed(inode) {
            true => compressed | immutable,
            false => immutable,
        };
        if request & bindings::EROFS_C_STATX_DIOALIGN != 0 {
            return Self::getattr_dio(idmap, inode, out, request);
        }
        // SAFETY: All arguments are those of the caller.
        unsafe { bindings::generic_fillattr(idmap, request, raw, stat) };
        0
    }

    /// [`Self::getattr`] with what direct I/O needs, which few ask for.
    #[cold]
    fn getattr_dio(
        idmap: *mut bindings::mnt_idmap,
        inode: &Inode<T>,
        out: &mut bindings::kstat,
        request: u32,
    ) -> c_int {
        // SAFETY: The inode is live, and its mode never changes.
        if unsafe { (*inode.as_raw()).i_mode } & 0o170_000 == 0o100_000 {
            out.result_mask |= bindings::EROFS_C_STATX_DIOALIGN;
            if let Some((memory, offset)) = T::dio_align(inode) {
                out.dio_mem_align = memory;
                out.dio_offset_align = offset;
            }
        }
        // SAFETY: The inode is live; the other arguments are those of `getattr`'s caller.
        unsafe { bindings::generic_fillattr(idmap, request, inode.as_raw(), out) };
        0
    }
}

impl<T> New<T>
where
    T: InodeOps
        + ExportOps
        + dir::DirOps
        + file::FileOps
        + xattr::Operations
        + acl::Operations
        + iomap::FileMap
        + address_space::Fill
        + super_block::SuperOps,
{
    fn set_ops(&mut self, ops: &'static bindings::inode_operations) {
        // SAFETY: The inode is `I_NEW` and ours.
        unsafe { (*self.as_raw()).i_op = ops };
    }

    /// Makes it a regular file. `opened`: [`file::FileOps::open`] is to be called. `gathered`: no bio brings its data.
    pub(crate) fn set_regular(&mut self, opened: bool, gathered: bool) {
        self.set_ops(Table::<T>::FILE);
        self.set_file_ops(match opened {
            true => file::Table::<T>::OPENED,
            false => file::Table::<T>::OPS,
        });
        self.set_own_pages(gathered);
    }

    /// Makes it a directory.
    pub(crate) fn set_directory(&mut self, gathered: bool) {
        self.set_ops(Table::<T>::DIR);
        self.set_file_ops(dir::Table::<T>::OPS);
        self.set_lowmem();
        self.set_own_pages(gathered);
    }

    /// Makes it a symlink: with the target at hand, or with one to be read from its pages.
    pub(crate) fn set_symlink(&mut self, target: Option<&[u8]>, gathered: bool) -> Result {
        match target {
            Some(target) => {
                self.set_link(target)?;
                self.set_ops(Table::<T>::CACHED_SYMLINK);
            }
            None => {
                self.set_ops(Table::<T>::SYMLINK);
                self.set_lowmem();
                self.set_own_pages(gathered);
            }
        }
        Ok(())
    }

    /// Makes it a device node, FIFO or socket.
    pub(crate) fn set_node(&mut self, major: u32, minor: u32) {
        self.set_ops(Table::<T>::FILE);
        self.set_special(major, minor);
    }

    fn set_own_pages(&mut self, gathered: bool) {
        self.set_pages(match gathered {
            true => address_space::Table::<T>::OWN_GATHERED,
            false => address_space::Table::<T>::OWN,
        });
    }

    fn set_lowmem(&mut self) {
        // SAFETY: The inode is `I_NEW` and ours.
        unsafe { bindings::erofs_helper_inode_nohighmem(self.as_raw()) };
    }
}
