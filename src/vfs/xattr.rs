// SPDX-License-Identifier: GPL-2.0

//! Extended attributes.
//!
//! C header: [`include/linux/xattr.h`](srctree/include/linux/xattr.h)

use crate::bindings;
use crate::vfs::inode::{
    FileSystem,
    Inode, //
};
use core::marker::PhantomData;
use kernel::{
    error::from_result,
    prelude::*, //
};

/// A namespace that user space sees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Namespace {
    /// `user.`
    User = 1,
    /// `trusted.`
    Trusted = 4,
    /// `security.`
    Security = 6,
}

/// Takes the names of a `listxattr`.
pub(crate) struct Names<'a> {
    buffer: Option<&'a mut [u8]>,
    used: usize,
}

impl Names<'_> {
    /// Adds the name made of `parts`. `ERANGE` if the buffer is too small.
    pub(crate) fn push(&mut self, parts: &[&[u8]]) -> Result {
        for part in Iterator::chain(parts.iter(), &[&b"\0"[..]]) {
            let end = self.used.checked_add(part.len()).ok_or(ERANGE)?;
            if let Some(buffer) = &mut self.buffer {
                buffer
                    .get_mut(self.used..end)
                    .ok_or(ERANGE)?
                    .copy_from_slice(part);
            }
            self.used = end;
        }
        Ok(())
    }
}

/// Reading extended attributes.
pub(crate) trait Operations: FileSystem {
    /// Copies the value of `name` (without the namespace's prefix) to `value`, or only measures it.
    ///
    /// # Errors
    ///
    /// `ENODATA` if there is none, `ERANGE` if `value` is too small.
    fn get(
        inode: &Inode<Self>,
        namespace: Namespace,
        name: &[u8],
        value: Option<&mut [u8]>,
    ) -> Result<usize>;

    /// Lists the names that the caller may see.
    fn list(inode: &Inode<Self>, names: &mut Names<'_>) -> Result;
}

/// Whether the caller may see `trusted.` attributes.
pub(crate) fn may_see_trusted() -> bool {
    // SAFETY: Looks at the current task.
    unsafe { bindings::capable(bindings::EROFS_C_CAP_SYS_ADMIN as c_int) }
}

/// A buffer of the VFS: none if only the size is asked for.
///
/// # Safety
///
/// `buffer` must be null or `size` bytes that are the callee's for `'a`.
unsafe fn buffer<'a>(buffer: *mut u8, size: usize) -> Option<&'a mut [u8]> {
    if buffer.is_null() || size == 0 {
        return None;
    }
    // The allocator may not have initialised it.
    // SAFETY: By the contract.
    unsafe { core::ptr::write_bytes(buffer, 0, size) };
    // SAFETY: By the contract, and initialised.
    Some(unsafe { core::slice::from_raw_parts_mut(buffer, size) })
}

/// The table of handlers.
pub(super) struct Handlers<T>(PhantomData<T>);

impl<T: Operations> Handlers<T> {
    const USER: &'static bindings::xattr_handler = &Self::handler(c"user.", Namespace::User);
    const TRUSTED: &'static bindings::xattr_handler =
        &Self::handler(c"trusted.", Namespace::Trusted);
    const SECURITY: &'static bindings::xattr_handler =
        &Self::handler(c"security.", Namespace::Security);

    /// For `s_xattr`: ends in a null pointer.
    pub(super) const TABLE: &'static [*const bindings::xattr_handler; 4] =
        &[Self::USER, Self::TRUSTED, Self::SECURITY, core::ptr::null()];

    const fn handler(prefix: &'static CStr, namespace: Namespace) -> bindings::xattr_handler {
        bindings::xattr_handler {
            prefix: kernel::str::as_char_ptr_in_const_context(prefix),
            flags: namespace as c_int,
            get: Some(Self::get),
            ..pin_init::zeroed()
        }
    }

    /// Called by `__vfs_getxattr()`.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `xattr_handler.get`, for an inode of `T`.
    unsafe extern "C" fn get(
        handler: *const bindings::xattr_handler,
        _dentry: *mut bindings::dentry,
        inode: *mut bindings::inode,
        name: *const c_char,
        value: *mut c_void,
        size: usize,
    ) -> c_int {
        // SAFETY: The VFS passes a ready inode of `T`.
        let inode = unsafe { Inode::<T>::from_raw(inode) };
        // SAFETY: The VFS passes a string that is ours during the call.
        let name = unsafe { CStr::from_char_ptr(name) }.to_bytes();
        // SAFETY: One of ours, from the table above.
        let namespace = match unsafe { (*handler).flags } {
            1 => Namespace::User,
            4 => Namespace::Trusted,
            _ => Namespace::Security,
        };
        // SAFETY: The VFS passes a buffer of that size, or null.
        let value = unsafe { buffer(value.cast(), size) };
        from_result(|| Ok(c_int::try_from(T::get(inode, namespace, name, value)?)?))
    }

    /// `inode_operations.listxattr`: called by `vfs_listxattr()`.
    ///
    /// # Safety
    ///
    /// The arguments must be those of `inode_operations.listxattr`, for an inode of `T`.
    pub(super) unsafe extern "C" fn listxattr(
        dentry: *mut bindings::dentry,
        list: *mut c_char,
        size: usize,
    ) -> isize {
        // SAFETY: The VFS passes a live dentry.
        let inode = unsafe { (*dentry).d_inode };
        // SAFETY: The VFS passes a positive dentry of `T`.
        let inode = unsafe { Inode::<T>::from_raw(inode) };
        // SAFETY: The VFS passes a buffer of that size, or null.
        let buffer = unsafe { buffer(list.cast(), size) };
        let mut names = Names { buffer, used: 0 };
        match T::list(inode, &mut names).and_then(|()| Ok(isize::try_from(names.used)?)) {
            Ok(used) => used,
            Err(e) => e.to_errno() as isize,
        }
    }
}
