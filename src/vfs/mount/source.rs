// SPDX-License-Identifier: GPL-2.0

//! What is mounted: a block device, or a regular file.
//!
//! The VFS opens devices. Files are opened here, unless they are passed as descriptors; their superblocks are on no
//! device.

use super::{
    Context,
    Mount,
    MountLog,
    Mountable, //
};
use crate::bindings;
use crate::vfs::{
    backing::OpenFile,
    export::ExportOps,
    log,
    super_block::{
        self,
        SuperBlock,
        SuperOps, //
    },
    xattr, //
};
use core::ptr::NonNull;
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*, //
};

impl<T: Mountable + SuperOps + xattr::Operations + ExportOps> Context<T> {
    /// Takes the source out of the parameter, once: its name, or an open file.
    ///
    /// # Safety
    ///
    /// Context and parameter must be those of a `parse_param` call.
    pub(super) unsafe fn source(
        fc: *mut bindings::fs_context,
        param: *mut bindings::fs_parameter,
    ) -> Result<c_int> {
        // SAFETY: By the contract.
        let fc = unsafe { &mut *fc };
        // SAFETY: By the contract.
        let param = unsafe { &mut *param };
        if !fc.source.is_null() {
            MountLog(fc).error(fmt!("Multiple sources"));
            return Err(EINVAL);
        }
        if param.type_() == bindings::fs_value_type_fs_value_is_string {
            // SAFETY: A string, as just checked.
            fc.source = unsafe { param.__bindgen_anon_1.string };
            // The context owns it now.
            param.__bindgen_anon_1.string = core::ptr::null_mut();
            return Ok(0);
        }
        // SAFETY: By the parameter table it is a file then.
        let file = NonNull::new(unsafe { param.__bindgen_anon_1.file }).ok_or(EINVAL)?;
        // SAFETY: The parameter holds the file. The context owns the name.
        fc.source = from_err_ptr(unsafe { bindings::erofs_helper_file_name(file.as_ptr()) })?;
        // SAFETY: As in `parse_param`.
        let mount = unsafe { &mut *fc.s_fs_info.cast::<Mount<T>>() };
        // SAFETY: The reference is taken out of the parameter.
        mount.source = Some(unsafe { OpenFile::from_raw(file) });
        param.__bindgen_anon_1.file = core::ptr::null_mut();
        Ok(0)
    }

    /// Whether the source is an open file.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is, but not a fit one.
    ///
    /// # Safety
    ///
    /// `fc` must be a context of `T` without a superblock.
    pub(super) unsafe fn has_file(fc: *mut bindings::fs_context) -> Result<bool> {
        // SAFETY: By the contract: the box that `init` made.
        let mount = unsafe { &*(*fc).s_fs_info.cast::<Mount<T>>() };
        let Some(file) = &mount.source else {
            return Ok(false);
        };
        if !file.is_source() {
            // SAFETY: By the contract.
            MountLog(unsafe { &mut *fc }).error(fmt!("source is unsupported"));
            return Err(EINVAL);
        }
        Ok(true)
    }

    /// Opens the file that the source names.
    ///
    /// # Errors
    ///
    /// `ENOTBLK` if it names nothing that can be mounted: mount(8) tries a loop device then.
    ///
    /// # Safety
    ///
    /// `fc` must be a context of `T` without a superblock, with a source.
    pub(super) unsafe fn open_source(fc: *mut bindings::fs_context) -> Result {
        // SAFETY: By the contract; NUL-terminated.
        let path = unsafe { CStr::from_char_ptr((*fc).source) };
        let file = OpenFile::open(path)?.filter(OpenFile::is_source);
        // SAFETY: As in `has_file`.
        let mount = unsafe { &mut *(*fc).s_fs_info.cast::<Mount<T>>() };
        mount.source = Some(file.ok_or(ENOTBLK)?);
        Ok(())
    }

    /// Prepares a superblock that lies in a file.
    ///
    /// # Safety
    ///
    /// `sb` must be new, and `file` stay open as long as it lives.
    pub(super) unsafe fn set_up_file(sb: &SuperBlock<T>, file: &OpenFile) -> Result {
        let raw = sb.as_raw();
        // SAFETY: The file is open; the table lives for ever.
        if unsafe {
            bindings::erofs_helper_file_is_nested(file.as_raw(), super_block::Table::<T>::OPS)
        } {
            let text = "file-backed mounts cannot be applied to stacked fses";
            log::error(sb.id(), fmt!("{text}"));
            return Err(ENOTBLK);
        }
        // SAFETY: By the contract.
        to_result(unsafe { bindings::super_setup_bdi(raw) })?;
        // SAFETY: By the contract.
        unsafe { bindings::erofs_helper_super_set_id(raw) };
        Ok(())
    }
}
