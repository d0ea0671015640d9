// SPDX-License-Identifier: GPL-2.0

//! POSIX access control lists.
//!
//! C headers: [`include/linux/posix_acl.h`](srctree/include/linux/posix_acl.h),
//! [`include/linux/posix_acl_xattr.h`](srctree/include/linux/posix_acl_xattr.h)

use crate::bindings;
use crate::vfs::inode::{
    FileSystem,
    Inode, //
};
use core::ptr::null_mut;
use kernel::prelude::*;

/// Which of a file's two lists.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Who may use the file.
    Access,
    /// What new files in a directory start with.
    Default,
}

/// Reading lists.
pub(crate) trait Operations: FileSystem {
    /// The list as the xattr of its name has it; `None` if there is none. May sleep.
    fn acl(inode: &Inode<Self>, which: Which) -> Result<Option<KVec<u8>>>;
}

/// `inode_operations.get_inode_acl`: called by `__get_acl()`, which caches what it returns.
///
/// # Safety
///
/// The arguments must be those of `inode_operations.get_inode_acl`, for an inode of `T`.
pub(super) unsafe extern "C" fn get<T: Operations>(
    inode: *mut bindings::inode,
    kind: c_int,
    rcu: bool,
) -> *mut bindings::posix_acl {
    if rcu {
        return ECHILD.to_ptr();
    }
    let which = match kind as c_uint {
        bindings::EROFS_C_ACL_TYPE_ACCESS => Which::Access,
        bindings::EROFS_C_ACL_TYPE_DEFAULT => Which::Default,
        _ => return EINVAL.to_ptr(),
    };
    // SAFETY: The VFS passes a ready inode.
    let sb = unsafe { (*inode).i_sb };
    // SAFETY: The superblock outlives the inode.
    let user_ns = unsafe { (*sb).s_user_ns };
    // SAFETY: The VFS passes a ready inode of `T`.
    let inode = unsafe { Inode::<T>::from_raw(inode) };
    match T::acl(inode, which) {
        // SAFETY: The namespace is the superblock's, and the value has that many bytes.
        Ok(Some(value)) => unsafe {
            bindings::posix_acl_from_xattr(user_ns, value.as_ptr().cast(), value.len())
        },
        Ok(None) => null_mut(),
        Err(e) => e.to_ptr(),
    }
}
