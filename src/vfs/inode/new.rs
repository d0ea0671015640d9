// SPDX-License-Identifier: GPL-2.0

//! Finding inodes in memory, and making new ones.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    FileSystem,
    Inode,
    Slot, //
};
use crate::bindings;
use crate::vfs::super_block::SuperBlock;
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::{
        null_mut,
        NonNull, //
    }, //
};
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};

/// What the VFS shows of an inode.
pub(crate) struct Attributes {
    /// Inode number.
    pub(crate) ino: u64,
    /// Type and permissions, as `st_mode`.
    pub(crate) mode: u16,
    /// Owner, in the user namespace that the image is mounted for.
    pub(crate) uid: u32,
    /// Group, likewise.
    pub(crate) gid: u32,
    /// Number of hard links.
    pub(crate) nlink: u32,
    /// Bytes; at most `i64::MAX`.
    pub(crate) size: u64,
    /// Allocated 512-byte units.
    pub(crate) blocks: u64,
    /// log2 of the block size.
    pub(crate) blkbits: u8,
    /// Modification time in seconds since 1970; also shown as access and change time.
    pub(crate) mtime: i64,
    /// Nanoseconds, below 1e9.
    pub(crate) mtime_nsec: u32,
    /// Whether path walks have to ask for POSIX ACLs.
    pub(crate) may_have_acls: bool,
}

/// What a lookup in the inode cache found.
pub(crate) enum Got<T: FileSystem> {
    /// A ready inode.
    Existing(ARef<Inode<T>>),
    /// An inode to fill in; other lookups of the same key wait.
    New(New<T>),
}

/// A new inode that only its owner sees. Dropped without [`New::ready`], it fails for all who wait.
pub(crate) struct New<T: FileSystem> {
    inode: NonNull<bindings::inode>,
    _fs: PhantomData<T>,
}

impl<T: FileSystem> New<T> {
    pub(in crate::vfs) fn as_raw(&mut self) -> *mut bindings::inode {
        self.inode.as_ptr()
    }

    /// Sets what the VFS shows.
    pub(crate) fn set_attributes(&mut self, a: &Attributes) -> Result {
        let size = i64::try_from(a.size)?;
        let inode = self.as_raw();
        // SAFETY: The inode is `I_NEW` and ours: nobody else reads these fields yet. This holds for each line.
        unsafe { (*inode).i_ino = a.ino };
        // SAFETY: See above.
        unsafe { (*inode).i_mode = a.mode };
        // SAFETY: See above.
        unsafe { (*inode).i_size = size };
        // SAFETY: See above.
        unsafe { (*inode).i_blocks = a.blocks };
        // SAFETY: See above.
        unsafe { (*inode).i_blkbits = a.blkbits };
        if !a.may_have_acls {
            // SAFETY: See above.
            unsafe { (*inode).i_acl = null_mut() };
            // SAFETY: See above.
            unsafe { (*inode).i_default_acl = null_mut() };
        }
        // SAFETY: See above.
        unsafe { bindings::set_nlink(inode, a.nlink) };
        self.set_owner(a.uid, a.gid);
        // Nothing is ever written: this tells so before the mount is asked.
        // SAFETY: See above.
        unsafe { (*inode).i_flags |= bindings::EROFS_C_S_NOATIME };
        // SAFETY: See above.
        unsafe {
            (
                (*inode).i_atime_sec,
                (*inode).i_ctime_sec,
                (*inode).i_mtime_sec,
            ) = (a.mtime, a.mtime, a.mtime)
        };
        let nsec = a.mtime_nsec;
        // SAFETY: See above.
        unsafe {
            (
                (*inode).i_atime_nsec,
                (*inode).i_ctime_nsec,
                (*inode).i_mtime_nsec,
            ) = (nsec, nsec, nsec)
        };
        Ok(())
    }

    /// Sets the owner and group, given in the mount's user namespace.
    fn set_owner(&mut self, uid: u32, gid: u32) {
        let inode = self.as_raw();
        // SAFETY: The inode is ours, and its superblock outlives it.
        let sb = unsafe { (*inode).i_sb };
        // SAFETY: As above.
        let user_ns = unsafe { (*sb).s_user_ns };
        if user_ns != &raw mut bindings::init_user_ns {
            // SAFETY: The inode is `I_NEW` and ours: nobody else reads these fields yet. This holds for each line.
            unsafe { bindings::erofs_helper_inode_set_ids(inode, uid, gid) };
            return;
        }
        // Each id is itself there: nothing to search for.
        // SAFETY: See above.
        unsafe { (*inode).i_uid.val = uid };
        // SAFETY: See above.
        unsafe { (*inode).i_gid.val = gid };
    }

    /// Whether another inode in memory has a key that is `like` this one's. `hash` must be that of both keys.
    pub(crate) fn has_kin(&mut self, hash: u64, like: fn(&T::Key, &T::Key) -> bool) -> bool {
        let this = self.as_raw();
        let mut search = Kin::<T> {
            this,
            like,
            found: false,
        };
        // SAFETY: An inode has a superblock.
        let sb = unsafe { (*this).i_sb };
        // SAFETY: The superblock is live; the callback gets inodes of it and `search`, which outlives the call.
        unsafe {
            bindings::find_inode_nowait(sb, hash, Some(Kin::<T>::test), (&raw mut search).cast())
        };
        search.found
    }

    /// Makes it a device node, FIFO or socket.
    pub(crate) fn set_special(&mut self, major: u32, minor: u32) {
        let inode = self.as_raw();
        // SAFETY: Pure arithmetic.
        let dev = unsafe { bindings::erofs_helper_mkdev(major, minor) };
        // SAFETY: The inode is `I_NEW` and ours.
        let mode = unsafe { (*inode).i_mode };
        // SAFETY: As above.
        unsafe { bindings::init_special_inode(inode, mode, dev) };
    }

    pub(in crate::vfs) fn set_file_ops(&mut self, ops: &'static bindings::file_operations) {
        // SAFETY: The inode is `I_NEW` and ours.
        unsafe { (*self.as_raw()).__bindgen_anon_3.i_fop = ops };
    }

    /// Keeps a copy of a symlink's target with the inode.
    pub(in crate::vfs) fn set_link(&mut self, target: &[u8]) -> Result {
        let len = c_int::try_from(target.len())?;
        // SAFETY: Copies `target` only.
        let copy = unsafe { bindings::erofs_helper_memdup_nul(target.as_ptr(), target.len()) };
        if copy.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: The inode is `I_NEW` and ours; the string is freed with it.
        unsafe { bindings::erofs_helper_inode_set_cached_link(self.as_raw(), copy.cast(), len) };
        // SAFETY: `New` is made for inodes of `T` alone.
        let slot = unsafe { Slot::<T>::of(self.as_raw()) };
        // SAFETY: The inode is `I_NEW` and ours.
        unsafe { *(*slot).has_link.get() = true };
        Ok(())
    }

    /// Writes the data and shows the inode to everyone.
    pub(crate) fn ready(self, data: T::Data) -> ARef<Inode<T>> {
        let inode = ManuallyDrop::new(self).inode;
        // SAFETY: `New` is made for inodes of `T` alone.
        let slot = unsafe { Slot::<T>::of(inode.as_ptr()) };
        // SAFETY: While the inode is `I_NEW` only its owner touches the data.
        unsafe { (*(*slot).data.get()).write(data) };
        // INVARIANT: `data` is initialised now.
        // SAFETY: As above.
        unsafe { *(*slot).has_data.get() = true };
        // SAFETY: The inode is `I_NEW`; this ends it, with a barrier before others see it.
        unsafe { bindings::unlock_new_inode(inode.as_ptr()) };
        // SAFETY: `iget5_locked_rcu` gave us a reference, and the inode is ready.
        unsafe { ARef::from_raw(inode.cast()) }
    }
}

impl<T: FileSystem> Drop for New<T> {
    fn drop(&mut self) {
        // SAFETY: The inode is `I_NEW`, and ours; this gives up our reference.
        unsafe { bindings::iget_failed(self.as_raw()) };
    }
}

/// The key of one lookup: compared with cached inodes, and taken by the inode that is made for it.
struct Wanted<T: FileSystem>(Option<T::Key>);

impl<T: FileSystem> Wanted<T> {
    /// Whether `inode` is the one. Called by `find_inode()`.
    ///
    /// # Safety
    ///
    /// `inode` must be of `T`, and found in the hash table under RCU; `wanted` a `Wanted<T>`, as `get_inode` sees to.
    unsafe extern "C" fn test(inode: *mut bindings::inode, wanted: *mut c_void) -> c_int {
        // SAFETY: The VFS passes inodes of the superblock that `get_inode` was called for, under RCU.
        let slot = unsafe { Slot::<T>::of(inode) };
        // SAFETY: `get` passes a `Wanted` that outlives the call.
        let wanted = unsafe { &*wanted.cast::<Self>() };
        // INVARIANT: An inode has its key before it is hashed.
        // SAFETY: As said; the key is never written again, and dropped by an RCU callback only.
        let key = unsafe { (*(*slot).key.get()).assume_init_ref() };
        c_int::from(wanted.0.as_ref() == Some(key))
    }

    /// Gives a new inode its key. Called by `inode_insert5()`.
    ///
    /// # Safety
    ///
    /// `inode` must be new and of `T`, `wanted` a `Wanted<T>`, as `get_inode` sees to.
    unsafe extern "C" fn set(inode: *mut bindings::inode, wanted: *mut c_void) -> c_int {
        // SAFETY: As in `test`.
        let slot = unsafe { Slot::<T>::of(inode) };
        // SAFETY: As in `test`; nobody else has it.
        let wanted = unsafe { &mut *wanted.cast::<Self>() };
        let Some(key) = wanted.0.take() else {
            return EINVAL.to_errno();
        };
        // SAFETY: The inode is not hashed yet: it is ours alone.
        unsafe { (*(*slot).key.get()).write(key) };
        // INVARIANT: `key` is initialised now.
        // SAFETY: As above.
        unsafe { *(*slot).has_key.get() = true };
        0
    }
}

/// A search for inodes whose keys are like that of a new one.
struct Kin<T: FileSystem> {
    this: *mut bindings::inode,
    like: fn(&T::Key, &T::Key) -> bool,
    found: bool,
}

impl<T: FileSystem> Kin<T> {
    /// Looks at one inode, and says whether to go on. Called by `find_inode_nowait()`.
    ///
    /// # Safety
    ///
    /// `inode` must be of `T`, and found in the hash table under its lock; `search` a `Kin<T>`, as `has_kin` sees to.
    unsafe extern "C" fn test(
        inode: *mut bindings::inode,
        _hash: u64,
        search: *mut c_void,
    ) -> c_int {
        // SAFETY: `has_kin` passes a `Kin` that outlives the call.
        let search = unsafe { &mut *search.cast::<Self>() };
        if inode == search.this {
            return 0;
        }
        // SAFETY: The VFS passes an inode of the superblock of `this`.
        let slot = unsafe { Slot::<T>::of(inode) };
        // SAFETY: As above.
        let own = unsafe { Slot::<T>::of(search.this) };
        // INVARIANT: An inode has its key before it is hashed.
        // SAFETY: As said; the key is never written again, and dropped by an RCU callback only.
        let key = unsafe { (*(*slot).key.get()).assume_init_ref() };
        // SAFETY: As above.
        let own = unsafe { (*(*own).key.get()).assume_init_ref() };
        search.found = (search.like)(own, key);
        match search.found {
            // No reference is taken.
            true => -1,
            false => 0,
        }
    }
}

impl<T: FileSystem> SuperBlock<T> {
    /// Finds the inode of `key` in memory, or makes a new one. `hash` must be a function of `key`.
    pub(crate) fn get_inode(&self, hash: u64, key: T::Key) -> Result<Got<T>> {
        let mut wanted = Wanted::<T>(Some(key));
        // SAFETY: `self` is live; the callbacks get inodes of this superblock and `wanted`, which outlives the call.
        let inode = unsafe {
            bindings::iget5_locked_rcu(
                self.as_raw(),
                hash,
                Some(Wanted::<T>::test),
                Some(Wanted::<T>::set),
                (&raw mut wanted).cast(),
            )
        };
        let inode = NonNull::new(inode).ok_or(ENOMEM)?;
        // SAFETY: We hold a reference.
        if unsafe { bindings::erofs_helper_inode_is_new(inode.as_ptr()) } {
            return Ok(Got::New(New {
                inode,
                _fs: PhantomData,
            }));
        }
        // SAFETY: Not new: ready, as `iget5_locked_rcu` has waited; the reference is ours.
        Ok(Got::Existing(unsafe { ARef::from_raw(inode.cast()) }))
    }
}
