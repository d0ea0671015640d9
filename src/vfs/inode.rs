// SPDX-License-Identifier: GPL-2.0

//! Inodes that carry data of their own.
//!
//! A filesystem's in-memory inode is one slab object: the key it is found by, the filesystem's own data, and the
//! VFS inode. An inode is either new (one owner, [`New`]) or ready (shared, [`Inode`]): the data is written once,
//! in between.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

mod held;
mod new;

pub(crate) use held::Held;
pub(crate) use new::{
    Attributes,
    Got,
    New, //
};

use crate::bindings;
use crate::vfs::{
    page_cache::Mapping,
    super_block::SuperBlock, //
};
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    mem::{
        offset_of,
        ManuallyDrop,
        MaybeUninit, //
    },
    ptr::{
        null_mut,
        NonNull, //
    }, //
};
use kernel::{
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::Opaque, //
};

/// A filesystem: what its inodes hold.
pub(crate) trait FileSystem: Sized + Send + Sync + 'static {
    /// What an inode is found by in the inode cache.
    type Key: Eq + Send + Sync;
    /// What each inode holds beside the VFS inode. Dropped in an RCU callback: its `Drop` must not sleep.
    type Data: Send + Sync;

    /// The slab cache that the inodes come from.
    fn inode_cache() -> &'static InodeCache<Self>;
}

/// One in-memory inode.
///
/// # Invariants
///
/// `key` is initialised iff `has_key`, `data` iff `has_data`. Both are written once, before any other thread can
/// read them: `key` under the inode hash lock, `data` while the inode is `I_NEW`.
#[repr(C)]
struct Slot<T: FileSystem> {
    key: UnsafeCell<MaybeUninit<T::Key>>,
    data: UnsafeCell<MaybeUninit<T::Data>>,
    has_key: UnsafeCell<bool>,
    has_data: UnsafeCell<bool>,
    /// Whether `i_link` is a string of ours.
    has_link: UnsafeCell<bool>,
    vfs: Opaque<bindings::inode>,
}

impl<T: FileSystem> Slot<T> {
    /// The slot around a VFS inode.
    ///
    /// # Safety
    ///
    /// `inode` must have been allocated by [`InodeCache<T>::alloc`].
    unsafe fn of(inode: *mut bindings::inode) -> *mut Self {
        // SAFETY: By the contract, `inode` is the `vfs` field of a slot.
        unsafe { inode.byte_sub(offset_of!(Self, vfs)).cast() }
    }

    /// Runs once per slab object, not per inode.
    ///
    /// # Safety
    ///
    /// `object` must be a new object of the slab cache that `create` makes.
    unsafe extern "C" fn construct(object: *mut c_void) {
        // SAFETY: The slab allocator hands an object of the size that the cache was made with.
        let inode = unsafe { object.byte_add(offset_of!(Self, vfs)) };
        // SAFETY: As above; the VFS inode is the only part that lives across allocations.
        unsafe { bindings::inode_init_once(inode.cast()) };
    }
}

/// The slab cache of a filesystem's inodes; empty until [`InodeCache::create`].
pub(crate) struct InodeCache<T> {
    cache: UnsafeCell<*mut bindings::kmem_cache>,
    _fs: PhantomData<fn() -> T>,
}

// SAFETY: The pointer is written only in `create` and in the registration's drop, which the module's start and end
// call while no filesystem that uses the cache is registered.
unsafe impl<T> Sync for InodeCache<T> {}

/// Keeps an [`InodeCache`] usable until dropped.
pub(crate) struct InodeCacheRegistration<T: FileSystem>(PhantomData<fn() -> T>);

impl<T: FileSystem> InodeCache<T> {
    /// An empty cache, for a static.
    pub(crate) const fn new() -> Self {
        Self {
            cache: UnsafeCell::new(null_mut()),
            _fs: PhantomData,
        }
    }

    /// Creates the slab cache. Called once, before the filesystem is registered.
    pub(crate) fn create(name: &'static CStr) -> Result<InodeCacheRegistration<T>> {
        let size = u32::try_from(size_of::<Slot<T>>())?;
        // SAFETY: `name` lives for ever, and `construct` accepts objects of this size.
        let cache = unsafe {
            bindings::erofs_helper_inode_cache(name.as_char_ptr(), size, Some(Slot::<T>::construct))
        };
        if cache.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: Nobody uses the cache yet, as the caller promises.
        unsafe { *T::inode_cache().cache.get() = cache };
        Ok(InodeCacheRegistration(PhantomData))
    }

    fn as_raw(&self) -> *mut bindings::kmem_cache {
        // SAFETY: Written only while there are no users (see `Sync`).
        unsafe { *self.cache.get() }
    }

    /// `super_operations.alloc_inode`: called by `alloc_inode()` in fs/inode.c.
    ///
    /// # Safety
    ///
    /// `sb` must be a superblock of `T`, as `super_operations.alloc_inode` gets it.
    pub(super) unsafe extern "C" fn alloc(sb: *mut bindings::super_block) -> *mut bindings::inode {
        let cache = T::inode_cache().as_raw();
        // SAFETY: The VFS passes a live superblock; the cache outlives every superblock of this filesystem.
        let slot = unsafe { bindings::erofs_helper_alloc_inode(sb, cache) }.cast::<Slot<T>>();
        if slot.is_null() {
            return null_mut();
        }
        // INVARIANT: Neither key nor data is initialised.
        // SAFETY: The object is ours alone until it is returned.
        unsafe { *(*slot).has_key.get() = false };
        // SAFETY: As above.
        unsafe { *(*slot).has_data.get() = false };
        // SAFETY: As above.
        unsafe { *(*slot).has_link.get() = false };
        // SAFETY: `slot` is valid for a field projection.
        unsafe { Opaque::cast_into(&raw const (*slot).vfs) }
    }

    /// `super_operations.free_inode`: an RCU callback, called when nobody can find the inode any more.
    ///
    /// # Safety
    ///
    /// `inode` must come from `alloc`, and have no users left, as in `super_operations.free_inode`.
    pub(super) unsafe extern "C" fn free(inode: *mut bindings::inode) {
        // SAFETY: The VFS passes an inode that `alloc` returned.
        let slot = unsafe { Slot::<T>::of(inode) };
        // SAFETY: The inode is dead: nobody else looks at the slot.
        if unsafe { *(*slot).has_data.get() } {
            // SAFETY: Initialised, by the type invariant; not used after this.
            unsafe { (*(*slot).data.get()).assume_init_drop() };
        }
        // SAFETY: As for `has_data`.
        if unsafe { *(*slot).has_key.get() } {
            // SAFETY: As for `data`.
            unsafe { (*(*slot).key.get()).assume_init_drop() };
        }
        // SAFETY: As for `has_data`.
        if unsafe { *(*slot).has_link.get() } {
            // SAFETY: `New::set_link` has put a string there.
            unsafe { bindings::erofs_helper_kfree((*inode).__bindgen_anon_5.i_link.cast()) };
        }
        // SAFETY: The object came from this cache and is freed once.
        unsafe { bindings::kmem_cache_free(T::inode_cache().as_raw(), slot.cast()) };
    }
}

impl<T: FileSystem> Drop for InodeCacheRegistration<T> {
    fn drop(&mut self) {
        // Inodes are freed by RCU callbacks: all of them must have run.
        // SAFETY: May sleep here: only the module's start and end drop registrations.
        unsafe { bindings::erofs_helper_rcu_barrier() };
        // SAFETY: All objects are free: the filesystem is unregistered and no superblock of it is left.
        unsafe { bindings::kmem_cache_destroy(T::inode_cache().as_raw()) };
    }
}

/// A ready inode of filesystem `T`.
///
/// # Invariants
///
/// Was allocated by [`InodeCache<T>`]; key and data are initialised.
#[repr(transparent)]
pub(crate) struct Inode<T>(Opaque<bindings::inode>, PhantomData<fn() -> T>);

// SAFETY: All methods take what may change concurrently by atomic or locked C functions; the data is `Send + Sync`.
unsafe impl<T: FileSystem> Send for Inode<T> {}
// SAFETY: As above.
unsafe impl<T: FileSystem> Sync for Inode<T> {}

// SAFETY: The VFS counts references: `ihold` and `iput`.
unsafe impl<T: FileSystem> AlwaysRefCounted for Inode<T> {
    fn inc_ref(&self) {
        // SAFETY: `self` is live, so its count is not zero.
        unsafe { bindings::ihold(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up one reference.
        unsafe { bindings::iput(obj.as_ptr().cast()) };
    }
}

impl<T: FileSystem> Inode<T> {
    /// # Safety
    ///
    /// `ptr` must be a ready inode of `T` that stays alive for `'a`.
    pub(super) unsafe fn from_raw<'a>(ptr: *mut bindings::inode) -> &'a Self {
        // SAFETY: By the contract; the type is transparent.
        unsafe { &*ptr.cast() }
    }

    pub(super) fn as_raw(&self) -> *mut bindings::inode {
        self.0.get()
    }

    fn slot(&self) -> &Slot<T> {
        // SAFETY: By the type invariant.
        unsafe { &*Slot::of(self.as_raw()) }
    }

    /// What the inode is found by.
    pub(crate) fn key(&self) -> &T::Key {
        // SAFETY: Initialised by the type invariant; never written again.
        unsafe { (*self.slot().key.get()).assume_init_ref() }
    }

    /// The filesystem's own data.
    pub(crate) fn data(&self) -> &T::Data {
        // SAFETY: Initialised by the type invariant; never written again.
        unsafe { (*self.slot().data.get()).assume_init_ref() }
    }

    /// The superblock that the inode belongs to.
    pub(crate) fn super_block(&self) -> &SuperBlock<T> {
        // SAFETY: `self` is live.
        let sb = unsafe { (*self.as_raw()).i_sb };
        // SAFETY: `i_sb` is set at allocation and outlives the inode.
        unsafe { SuperBlock::from_raw(sb) }
    }

    /// The file's size in bytes. Set before the inode is ready, and the filesystem is read-only.
    pub(crate) fn size(&self) -> u64 {
        // SAFETY: `self` is live, and nobody writes the field of a ready inode.
        let size = unsafe { (*self.as_raw()).i_size };
        size.unsigned_abs()
    }

    /// Lets this inode's files read through the pages of `to` from now on, until evicted. Takes over the reference.
    ///
    /// Only the first call has an effect.
    pub(crate) fn redirect<U: FileSystem>(&self, to: ARef<Inode<U>>) -> Redirected<U> {
        // SAFETY: `to` is live; its `i_data` stays as long as the reference that is kept below.
        let mapping = unsafe { &raw mut (*to.as_raw()).i_data };
        // SAFETY: Both inodes are live.
        if unsafe { bindings::erofs_helper_redirect(self.as_raw(), mapping) } {
            // The reference lives on in `i_mapping`; `take_redirection` gives it back.
            let _ = ManuallyDrop::new(to);
            return Redirected::Here;
        }
        match self.mapping() == mapping {
            true => Redirected::Here,
            false => Redirected::Elsewhere(to),
        }
    }

    /// The mapping that files of this inode read through.
    #[inline]
    pub(super) fn mapping(&self) -> *mut bindings::address_space {
        // As READ_ONCE: `redirect` may run; what the pointer leads to is seen through the pointer only.
        // SAFETY: `self` is live.
        unsafe { (&raw const (*self.as_raw()).i_mapping).read_volatile() }
    }

    /// The inode's own pages.
    pub(crate) fn own_pages(&self) -> &Mapping {
        // SAFETY: `self` is live.
        let mapping = unsafe { &raw mut (*self.as_raw()).i_data };
        // SAFETY: It lives as long as the inode.
        unsafe { Mapping::from_raw(mapping) }
    }

    /// Whether files of this inode read through another inode's pages.
    pub(crate) fn is_redirected(&self) -> bool {
        // SAFETY: `self` is live.
        self.mapping() != unsafe { &raw mut (*self.as_raw()).i_data }
    }

    /// Ends a redirection. `None` if there is none.
    ///
    /// # Safety
    ///
    /// `U` must be the filesystem whose inode was passed to [`Self::redirect`], and the inode must be on its way
    /// out: no file reads through it any more.
    pub(super) unsafe fn take_redirection<U: FileSystem>(&self) -> Option<ARef<Inode<U>>> {
        if !self.is_redirected() {
            return None;
        }
        // SAFETY: A redirected mapping belongs to an inode that we hold a reference on.
        let host = unsafe { (*self.mapping()).host };
        // SAFETY: `self` is live.
        unsafe { bindings::erofs_helper_restore_mapping(self.as_raw()) };
        let host = NonNull::new(host)?.cast();
        // SAFETY: `host` is an inode of `U`; `redirect` left us its reference, which is taken back once here, as
        // the mapping is the inode's own again.
        Some(unsafe { ARef::from_raw(host) })
    }
}

/// Where a redirected inode leads.
pub(crate) enum Redirected<U: FileSystem> {
    /// To the inode that was asked for.
    Here,
    /// To another one, by an earlier call; this one is not used.
    Elsewhere(ARef<Inode<U>>),
}
