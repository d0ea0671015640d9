// SPDX-License-Identifier: GPL-2.0

//! Directories in sysfs, and files in them of one value each.
//!
//! C headers: [`include/linux/kobject.h`](srctree/include/linux/kobject.h),
//! [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)

use crate::bindings;
use core::{
    marker::PhantomData,
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
        // SAFETY: `name` is copied; the parent is live.
        let kobj = unsafe { bindings::kobject_create_and_add(name.as_char_ptr(), fs) };
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

/// Takes a number.
type Write<T> = fn(&T, u64) -> Result;

/// A file about a `T`, of one value.
#[repr(C)]
pub(crate) struct File<T> {
    attr: bindings::kobj_attribute,
    read: Read<T>,
    write: Option<Write<T>>,
}

impl<T: 'static> File<T> {
    const fn new(name: &'static CStr, mode: u16, read: Read<T>, write: Option<Write<T>>) -> Self {
        let mut attr: bindings::kobj_attribute = pin_init::zeroed();
        attr.attr.name = kernel::str::as_char_ptr_in_const_context(name);
        attr.attr.mode = mode;
        attr.__bindgen_anon_1.show = Some(Self::show);
        attr.__bindgen_anon_2.store = Some(Self::store);
        Self { attr, read, write }
    }

    /// A number that takes time to count, so it is not for everyone.
    pub(crate) const fn count(name: &'static CStr, read: fn(&T) -> u64) -> Self {
        Self::new(name, 0o400, Read::Number(read), None)
    }

    /// A number that can be changed.
    pub(crate) const fn setting(name: &'static CStr, read: fn(&T) -> u64, write: Write<T>) -> Self {
        Self::new(name, 0o644, Read::Number(read), Some(write))
    }

    /// Something that is done when a number is written.
    pub(crate) const fn command(name: &'static CStr, write: Write<T>) -> Self {
        Self::new(name, 0o200, Read::Refused, Some(write))
    }

    /// A constant.
    pub(crate) const fn word(name: &'static CStr, word: &'static CStr) -> Self {
        Self::new(name, 0o444, Read::Word(word), None)
    }

    /// The file that `attr` is of.
    ///
    /// # Safety
    ///
    /// `attr` must be that of a `File<T>`, which is a constant.
    unsafe fn of(attr: *mut bindings::kobj_attribute) -> &'static Self {
        // SAFETY: By the contract.
        unsafe { &*attr.byte_sub(offset_of!(Self, attr)).cast::<Self>() }
    }

    /// Called by `kobj_attr_show()` while the file is in use.
    ///
    /// # Safety
    ///
    /// `kobj` must be that of a `Folder<T>`, `attr` that of one of its files, and `out` a page, as `kobj_attribute.show`
    /// gets them.
    unsafe extern "C" fn show(
        kobj: *mut bindings::kobject,
        attr: *mut bindings::kobj_attribute,
        out: *mut c_char,
    ) -> isize {
        // SAFETY: By the contract.
        let file = unsafe { Self::of(attr) };
        let len = match file.read {
            Read::Refused => EIO.to_errno(),
            Read::Number(read) => {
                // SAFETY: The folder lives as long as its files.
                let value = read(unsafe { Folder::owner(kobj) });
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
    /// `kobj` and `attr` must be as for `show`, and `text` `len` bytes and a NUL, as `kobj_attribute.store` gets them.
    unsafe extern "C" fn store(
        kobj: *mut bindings::kobject,
        attr: *mut bindings::kobj_attribute,
        text: *const c_char,
        len: usize,
    ) -> isize {
        // SAFETY: By the contract.
        let file = unsafe { Self::of(attr) };
        let taken: c_int = from_result(|| {
            // SAFETY: `text` is NUL-terminated.
            let text = unsafe { bindings::skip_spaces(text) };
            let mut number = 0;
            // SAFETY: As above.
            to_result(unsafe { bindings::kstrtoull(text, 0, &mut number) })?;
            let write = file.write.ok_or(EIO)?;
            // SAFETY: The folder lives as long as its files.
            write(unsafe { Folder::owner(kobj) }, number).map(|()| 0)
        });
        match taken {
            0 => len as isize,
            e => e as isize,
        }
    }
}

/// What C code keeps of a directory with files.
#[repr(C)]
struct Folder<T> {
    kobj: bindings::kobject,
    owner: T,
}

impl<T> Folder<T> {
    const TYPE: &'static bindings::kobj_type = &bindings::kobj_type {
        release: Some(Self::release),
        sysfs_ops: &raw const bindings::kobj_sysfs_ops,
        ..pin_init::zeroed()
    };

    /// What the directory is about.
    ///
    /// # Safety
    ///
    /// `kobj` must be that of a `Folder<T>` that lives for `'a`.
    unsafe fn owner<'a>(kobj: *mut bindings::kobject) -> &'a T {
        // SAFETY: By the contract.
        let folder = unsafe { &*kobj.byte_sub(offset_of!(Self, kobj)).cast::<Self>() };
        &folder.owner
    }

    /// Called by `kobject_put()` for the last reference.
    ///
    /// # Safety
    ///
    /// `kobj` must be that of a `Folder<T>` in a box of its own, which nobody uses any more.
    unsafe extern "C" fn release(kobj: *mut bindings::kobject) {
        // SAFETY: By the contract.
        let folder = unsafe { kobj.byte_sub(offset_of!(Self, kobj)) };
        // SAFETY: By the contract, the box of `Files::new`.
        drop(unsafe { KBox::<Self>::from_raw(folder.cast()) });
    }
}

/// A directory of files about a `T`.
pub(crate) struct Files<T> {
    dir: Dir,
    owner: PhantomData<T>,
}

impl<T: Send + Sync + 'static> Files<T> {
    /// Makes directory `name` below `parent`, which must outlive it, with `files`.
    pub(crate) fn new(
        parent: &Dir,
        name: &CStr,
        owner: T,
        files: &'static [File<T>],
    ) -> Result<Self> {
        let folder = Folder {
            kobj: pin_init::zeroed(),
            owner,
        };
        let folder = KBox::into_raw(KBox::new(folder, GFP_KERNEL)?);
        // SAFETY: The box is live.
        let kobj = unsafe { &raw mut (*folder).kobj };
        let parent = parent.0.as_ptr();
        // SAFETY: All is live; the name is copied, and is what the format says.
        let added = to_result(unsafe {
            bindings::kobject_init_and_add(
                kobj,
                Folder::<T>::TYPE,
                parent,
                c"%s".as_char_ptr(),
                name.as_char_ptr(),
            )
        });
        if let Err(e) = added {
            // SAFETY: Initialised above; this frees the box.
            unsafe { bindings::kobject_put(kobj) };
            return Err(e);
        }
        // On an error all files go with the directory.
        let this = Self {
            dir: Dir(NonNull::new(kobj).ok_or(ENOMEM)?),
            owner: PhantomData,
        };
        for file in files {
            let attr = &raw const file.attr.attr;
            // SAFETY: The directory is live; the attribute is a constant.
            to_result(unsafe { bindings::sysfs_create_file_ns(kobj, attr, core::ptr::null()) })?;
        }
        Ok(this)
    }

    /// What the files are about.
    pub(crate) fn owner(&self) -> &T {
        // SAFETY: Made by `new`; the folder lives as long as we hold its reference.
        unsafe { Folder::owner(self.dir.0.as_ptr()) }
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }
}
