// SPDX-License-Identifier: GPL-2.0

//! Directories of numbers in sysfs.
//!
//! C headers: [`include/linux/kobject.h`](srctree/include/linux/kobject.h),
//! [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

use crate::bindings;
use core::{
    mem::offset_of,
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::Arc, //
};

/// A directory; removed with all its files when dropped, after readers have left.
pub(crate) struct Dir(NonNull<bindings::kobject>);

// SAFETY: Reference-counted and locked by C code.
unsafe impl Send for Dir {}
// SAFETY: As above.
unsafe impl Sync for Dir {}

impl Dir {
    /// Makes /sys/fs/`name`.
    pub(crate) fn in_fs(name: &CStr) -> Result<Self> {
        // SAFETY: Set at boot.
        Self::make(name, unsafe { bindings::fs_kobj })
    }

    /// Makes a directory below this one, which must outlive it.
    pub(crate) fn dir(&self, name: &CStr) -> Result<Self> {
        Self::make(name, self.0.as_ptr())
    }

    fn make(name: &CStr, parent: *mut bindings::kobject) -> Result<Self> {
        // SAFETY: `name` is copied; the parent is live.
        let kobj = unsafe { bindings::kobject_create_and_add(name.as_char_ptr(), parent) };
        NonNull::new(kobj).map(Self).ok_or(ENOMEM)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // SAFETY: Takes it out of sysfs, waiting for readers.
        unsafe { bindings::kobject_del(self.0.as_ptr()) };
        // SAFETY: Gives up our reference.
        unsafe { bindings::kobject_put(self.0.as_ptr()) };
    }
}

/// Asks `T` for a number.
type Read<T> = fn(&T) -> u64;

/// A file that shows one number of `T`.
#[repr(C)]
struct Number<T> {
    attr: bindings::kobj_attribute,
    owner: T,
    read: Read<T>,
}

impl<T> Number<T> {
    /// Called by `kobj_attr_show()` while the file is in use.
    ///
    /// # Safety
    ///
    /// `attr` must be that of a `Number<T>`, and `out` a page, as `kobj_attribute.show` gets them.
    unsafe extern "C" fn show(
        _kobj: *mut bindings::kobject,
        attr: *mut bindings::kobj_attribute,
        out: *mut c_char,
    ) -> isize {
        // SAFETY: The attribute is the first field of a `Number`, and lives as long as its file.
        let number = unsafe { &*attr.byte_sub(offset_of!(Self, attr)).cast::<Self>() };
        let value = (number.read)(&number.owner);
        // SAFETY: `out` is the page that sysfs passes; the argument is what the format says.
        let len = unsafe { bindings::sysfs_emit(out, c"%llu\n".as_char_ptr(), value) };
        len as isize
    }
}

/// A directory of numbers that `T` knows.
pub(crate) struct Numbers<T> {
    dir: Arc<Dir>,
    /// Pointers to the attributes of `_files`, and null.
    _attrs: KVec<*mut bindings::attribute>,
    group: KBox<bindings::attribute_group>,
    _files: KVec<Number<T>>,
}

// SAFETY: The C structures are only read, by C code; `T` is asked from any thread.
unsafe impl<T: Send + Sync> Send for Numbers<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for Numbers<T> {}

impl<T: Clone + Send + Sync + 'static> Numbers<T> {
    /// Makes directory `name` below `dir`, with a file for each of `files`.
    pub(crate) fn new(
        dir: &Arc<Dir>,
        name: &'static CStr,
        owner: &T,
        files: &[(&'static CStr, Read<T>)],
    ) -> Result<Self> {
        let mut numbers = KVec::with_capacity(files.len(), GFP_KERNEL)?;
        for (name, read) in files {
            let mut attr = pin_init::zeroed();
            // SAFETY: Ours to initialise; the name lives for ever.
            unsafe {
                bindings::erofs_helper_attr_init(
                    &mut attr,
                    name.as_char_ptr(),
                    Some(Number::<T>::show),
                )
            };
            let number = Number {
                attr,
                owner: owner.clone(),
                read: *read,
            };
            numbers.push(number, GFP_KERNEL)?;
        }
        // The elements stay where they are from here on.
        let mut attrs = KVec::with_capacity(files.len().saturating_add(1), GFP_KERNEL)?;
        for number in numbers.iter_mut() {
            attrs.push(&raw mut number.attr.attr, GFP_KERNEL)?;
        }
        attrs.push(core::ptr::null_mut(), GFP_KERNEL)?;
        let mut group = KBox::new(
            bindings::attribute_group {
                name: name.as_char_ptr(),
                ..pin_init::zeroed()
            },
            GFP_KERNEL,
        )?;
        // SAFETY: The group is ours; the attributes live as long as it.
        unsafe { bindings::erofs_helper_group_set(&mut *group, attrs.as_mut_ptr()) };
        // SAFETY: All is live, and stays so until the group is removed by `drop`.
        to_result(unsafe { bindings::sysfs_create_group(dir.0.as_ptr(), &*group) })?;
        Ok(Self {
            dir: dir.clone(),
            _attrs: attrs,
            group,
            _files: numbers,
        })
    }
}

impl<T> Drop for Numbers<T> {
    fn drop(&mut self) {
        // SAFETY: Created by `new`; waits for readers.
        unsafe { bindings::sysfs_remove_group(self.dir.0.as_ptr(), &*self.group) };
    }
}
