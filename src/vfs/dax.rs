// SPDX-License-Identifier: GPL-2.0

//! DAX: files on memory that is addressed by bytes, read and mapped where they are, without a page cache.
//!
//! C header: [`include/linux/dax.h`](srctree/include/linux/dax.h)

use crate::bindings;
use crate::vfs::{
    block::BlockDevice,
    file,
    inode::{
        FileSystem,
        Inode,
        New, //
    },
    iomap::{
        self,
        Extents,
        FileMap,
        Place, //
    }, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::prelude::*;

/// Whether this kernel has DAX.
pub(crate) const AVAILABLE: bool = bindings::EROFS_C_FS_DAX != 0;

/// The memory that a block device is.
///
/// # Invariants
///
/// We hold a reference on `dev`.
pub(crate) struct Memory {
    dev: NonNull<bindings::dax_device>,
    device: BlockDevice,
    /// Where the device begins in it, in bytes.
    offset: u64,
}

// SAFETY: Reference-counted by C code, and read only.
unsafe impl Send for Memory {}
// SAFETY: As above.
unsafe impl Sync for Memory {}

impl Memory {
    /// The memory of `device`; `None` if it is none that files can be mapped from.
    pub(crate) fn of(device: BlockDevice) -> Option<Self> {
        let mut offset = 0;
        // SAFETY: The device is open.
        let dev = unsafe { bindings::erofs_helper_dax_get(device.as_raw(), &mut offset) };
        // INVARIANT: The reference is ours now.
        Some(Self {
            dev: NonNull::new(dev)?,
            device,
            offset,
        })
    }

    /// Whether it is that of `device`.
    pub(crate) fn is_of(&self, device: BlockDevice) -> bool {
        self.device == device
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: Gives up the reference, by the type invariant.
        unsafe { bindings::erofs_helper_dax_put(self.dev.as_ptr()) };
    }
}

/// The tables of callbacks.
pub(super) struct Table<T>(PhantomData<T>);

impl<T: FileMap> Table<T> {
    const OPS: &'static bindings::iomap_ops = &bindings::iomap_ops {
        iomap_begin: Some(Self::begin),
        ..pin_init::zeroed()
    };

    const VM_OPS: &'static bindings::vm_operations_struct = &bindings::vm_operations_struct {
        fault: Some(Self::fault),
        huge_fault: Some(Self::huge_fault),
        ..pin_init::zeroed()
    };

    /// Called by `iomap_iter()`.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `iomap_ops.iomap_begin`, in an iteration that this table was made for.
    unsafe extern "C" fn begin(
        inode: *mut bindings::inode,
        pos: i64,
        len: i64,
        _flags: c_uint,
        map: *mut bindings::iomap,
        _src: *mut bindings::iomap,
    ) -> c_int {
        let set = |source: &T::Source<'_>, place, map: &mut bindings::iomap| match place {
            Place::Hole => Ok(()),
            Place::Device(device, addr) => {
                let memory = source.memory(device).ok_or(EIO)?;
                map.type_ = bindings::EROFS_C_IOMAP_MAPPED as u16;
                map.dax_dev = memory.dev.as_ptr();
                map.addr = addr.checked_add(memory.offset).ok_or(EIO)?;
                Ok(())
            }
            // Such files do not get this table.
            _ => Err(EIO),
        };
        // SAFETY: The table is used for inodes of `T` only; the map is iomap's own.
        unsafe { iomap::report::<T>(inode, pos, len, map, set) }
    }

    /// `file_operations.read_iter`.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `file_operations.read_iter`, for a file of `T`.
    pub(super) unsafe extern "C" fn read_iter(
        iocb: *mut bindings::kiocb,
        to: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: Request and buffer are the caller's, and the table is for inodes of `T`.
        unsafe { bindings::erofs_helper_dax_read(iocb, to, Self::OPS) }
    }

    /// `file_operations.mmap_prepare`.
    ///
    /// # Safety
    ///
    /// `desc` must be that of `file_operations.mmap_prepare`, for a file of `T`.
    pub(super) unsafe extern "C" fn mmap_prepare(desc: *mut bindings::vm_area_desc) -> c_int {
        // SAFETY: The description is ours during the call.
        unsafe { bindings::erofs_helper_dax_mmap(desc, Self::VM_OPS) }
    }

    /// Called by `__do_fault()`.
    ///
    /// # Safety
    ///
    /// `vmf` must be that of `vm_operations_struct.fault`, for a mapping of a file of `T`.
    unsafe extern "C" fn fault(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: The fault is the caller's, and the table is for inodes of `T`.
        unsafe { bindings::erofs_helper_dax_fault(vmf, 0, Self::OPS) }
    }

    /// Called by `create_huge_pmd()` and its kin.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `vm_operations_struct.huge_fault`, for a mapping of a file of `T`.
    unsafe extern "C" fn huge_fault(
        vmf: *mut bindings::vm_fault,
        order: c_uint,
    ) -> bindings::vm_fault_t {
        // SAFETY: As in `fault`.
        unsafe { bindings::erofs_helper_dax_fault(vmf, order, Self::OPS) }
    }
}

impl<T: FileSystem + file::FileOps + iomap::FileMap> New<T> {
    /// Makes it a regular file that is read and mapped where it is. Called after `set_regular`.
    pub(crate) fn set_dax(&mut self) {
        // SAFETY: The inode is `I_NEW` and ours.
        unsafe { (*self.as_raw()).i_flags |= bindings::EROFS_C_S_DAX };
        self.set_file_ops(file::Table::<T>::DAX);
    }
}

impl<T: FileSystem> Inode<T> {
    /// Ends what device and file have of each other.
    ///
    /// # Safety
    ///
    /// The inode must be on its way out.
    pub(super) unsafe fn end_dax(&self) {
        // SAFETY: `self` is live, and nobody writes the field any more.
        if unsafe { (*self.as_raw()).i_flags } & bindings::EROFS_C_S_DAX != 0 {
            // SAFETY: By the contract.
            unsafe { bindings::erofs_helper_dax_evict(self.as_raw()) };
        }
    }
}
