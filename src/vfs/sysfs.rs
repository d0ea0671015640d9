// SPDX-License-Identifier: GPL-2.0

//! Directories in sysfs, and files in them of one value each.
//!
//! C headers: [`include/linux/kobject.h`](srctree/include/linux/kobject.h),
//! [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

use crate::bindings;
use core::{
    mem::offset_of,
    ptr::NonNull, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*, //
};

/// A directory; removed with all its files when dropped, after their readers and writers have left.
pub(crate) struct Dir(NonNull<bindings::kobject>);

// SAFETY: Reference-counted and locked by C code.
unsafe impl Send for Dir {}
// SAFETY: As above.
unsafe impl Sync for Dir {}

impl Dir {
    /// Makes /sys/fs/`name`.
    ///
    /// # Errors
    ///
    /// `EEXIST`: there is one.
    pub(crate) fn in_fs(name: &CStr) -> Result<Self> {
        // SAFETY: Set at boot.
        let fs = unsafe { bindings::fs_kobj };
        // Adding it would fail as well, but with a backtrace in the log.
        // SAFETY: /sys/fs is there for ever; `name` is NUL-terminated.
        let there = unsafe {
            bindings::kernfs_find_and_get_ns((*fs).sd, name.as_char_ptr(), core::ptr::null())
        };
        if !there.is_null() {
            // SAFETY: Gives up the reference that we were given.
            unsafe { bindings::kernfs_put(there) };
            return Err(EEXIST);
        }
        Self::make(name, fs)
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
        // SAFETY: Takes it out of sysfs, waiting for readers and writers.
        unsafe { bindings::kobject_del(self.0.as_ptr()) };
        // SAFETY: Gives up our reference.
        unsafe { bindings::kobject_put(self.0.as_ptr()) };
    }
}

/// What reading a file gives.
enum Read<T> {
    /// Nothing: it cannot be read.
    Refused,
    /// A number of `T`.
    Number(fn(&T) -> u64),
    /// Always the same word.
    Word(&'static CStr),
}

impl<T> Clone for Read<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Read<T> {}

/// Takes a number.
type Write<T> = fn(&T, u64) -> Result;

/// A file about a `T`.
pub(crate) struct File<T> {
    name: &'static CStr,
    mode: u16,
    read: Read<T>,
    write: Option<Write<T>>,
}

impl<T> File<T> {
    /// A number that takes time to count, so it is not for everyone.
    pub(crate) const fn count(name: &'static CStr, read: fn(&T) -> u64) -> Self {
        Self {
            name,
            mode: 0o400,
            read: Read::Number(read),
            write: None,
        }
    }

    /// A number that can be changed.
    pub(crate) const fn setting(name: &'static CStr, read: fn(&T) -> u64, write: Write<T>) -> Self {
        Self {
            name,
            mode: 0o644,
            read: Read::Number(read),
            write: Some(write),
        }
    }

    /// Something that is done when a number is written.
    pub(crate) const fn command(name: &'static CStr, write: Write<T>) -> Self {
        Self {
            name,
            mode: 0o200,
            read: Read::Refused,
            write: Some(write),
        }
    }

    /// A constant.
    pub(crate) const fn word(name: &'static CStr, word: &'static CStr) -> Self {
        Self {
            name,
            mode: 0o444,
            read: Read::Word(word),
            write: None,
        }
    }
}

/// What C code keeps of a file.
#[repr(C)]
struct Node<T> {
    attr: bindings::kobj_attribute,
    owner: T,
    read: Read<T>,
    write: Option<Write<T>>,
}

impl<T> Node<T> {
    /// The file that `attr` is of.
    ///
    /// # Safety
    ///
    /// `attr` must be that of a `Node<T>` that lives for `'a`.
    unsafe fn of<'a>(attr: *mut bindings::kobj_attribute) -> &'a Self {
        // SAFETY: By the contract, the attribute is the first field of a `Node`.
        unsafe { &*attr.byte_sub(offset_of!(Self, attr)).cast::<Self>() }
    }

    /// Called by `kobj_attr_show()` while the file is in use.
    ///
    /// # Safety
    ///
    /// `attr` must be that of a `Node<T>`, and `out` a page, as `kobj_attribute.show` gets them.
    unsafe extern "C" fn show(
        _kobj: *mut bindings::kobject,
        attr: *mut bindings::kobj_attribute,
        out: *mut c_char,
    ) -> isize {
        // SAFETY: The node lives as long as its file.
        let node = unsafe { Self::of(attr) };
        let len = match node.read {
            Read::Refused => EIO.to_errno(),
            Read::Number(read) => {
                let value = read(&node.owner);
                // SAFETY: `out` is the page that sysfs passes; the argument is what the format says.
                unsafe { bindings::sysfs_emit(out, c"%llu\n".as_char_ptr(), value) }
            }
            // SAFETY: As above.
            Read::Word(word) => unsafe {
                bindings::sysfs_emit(out, c"%s\n".as_char_ptr(), word.as_char_ptr())
            },
        };
        len as isize
    }

    /// Called by `kobj_attr_store()` while the file is in use.
    ///
    /// # Safety
    ///
    /// `attr` must be that of a `Node<T>`, and `text` `len` bytes and a NUL, as `kobj_attribute.store` gets them.
    unsafe extern "C" fn store(
        _kobj: *mut bindings::kobject,
        attr: *mut bindings::kobj_attribute,
        text: *const c_char,
        len: usize,
    ) -> isize {
        // SAFETY: The node lives as long as its file.
        let node = unsafe { Self::of(attr) };
        let taken: c_int = from_result(|| {
            // SAFETY: `text` is NUL-terminated.
            let text = unsafe { bindings::skip_spaces(text) };
            let mut number = 0;
            // SAFETY: As above.
            to_result(unsafe { bindings::kstrtoull(text, 0, &mut number) })?;
            let write = node.write.ok_or(EIO)?;
            write(&node.owner, number).map(|()| 0)
        });
        match taken {
            0 => len as isize,
            e => e as isize,
        }
    }
}

/// A directory of files about a `T`.
///
/// # Invariants
///
/// The nodes are not moved.
pub(crate) struct Files<T> {
    // Dropped first: its files are those of the nodes.
    dir: Dir,
    _nodes: KVec<Node<T>>,
}

// SAFETY: The C structures are only read, by C code; `T` is asked from any thread.
unsafe impl<T: Send + Sync> Send for Files<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for Files<T> {}

impl<T: Clone + Send + Sync + 'static> Files<T> {
    /// Makes directory `name` below `parent`, which must outlive it, with `files`.
    pub(crate) fn new(parent: &Dir, name: &CStr, owner: &T, files: &[File<T>]) -> Result<Self> {
        let mut nodes = KVec::with_capacity(files.len(), GFP_KERNEL)?;
        for file in files {
            let mut attr = pin_init::zeroed();
            // SAFETY: Ours to initialise; the name lives for ever.
            unsafe {
                bindings::erofs_helper_attr_init(
                    &mut attr,
                    file.name.as_char_ptr(),
                    file.mode,
                    Some(Node::<T>::show),
                    Some(Node::<T>::store),
                )
            };
            let node = Node {
                attr,
                owner: owner.clone(),
                read: file.read,
                write: file.write,
            };
            nodes.push(node, GFP_KERNEL)?;
        }
        // INVARIANT: The vector is full.
        // On an error all files go with the directory, before the nodes.
        let this = Self {
            dir: parent.dir(name)?,
            _nodes: nodes,
        };
        let kobj = this.dir.0.as_ptr();
        for node in this._nodes.iter() {
            let attr = &raw const node.attr.attr;
            // SAFETY: The directory is live; the attribute lives as long as it.
            to_result(unsafe { bindings::sysfs_create_file_ns(kobj, attr, core::ptr::null()) })?;
        }
        Ok(this)
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }
}
