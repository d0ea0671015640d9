// SPDX-License-Identifier: GPL-2.0

//! Reading stored bytes into private memory, for work that goes on when they are there.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h)

use crate::bindings;
use crate::vfs::{
    backing::BackingFile,
    bio,
    block::BlockDevice,
    buffer::Buffer,
    file_read,
    store::Store,
    work, //
};
use core::{
    cell::UnsafeCell,
    mem::offset_of, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            AtomicFlag,
            Relaxed,
            Release, //
        },
        Arc,
        Completion,
        Refcount, //
    },
    types::Opaque, //
};

/// Stored bytes.
pub(crate) struct Span {
    /// Where they are.
    pub(crate) store: Store,
    /// The byte address there, a multiple of a device's blocks.
    pub(crate) addr: u64,
    /// Where they go; as many bytes are read.
    pub(crate) bytes: Buffer,
    /// How many of them must be there. Devices have all of them.
    pub(crate) need: usize,
}

/// Spans that are read together.
///
/// # Invariants
///
/// `here` is set when no read runs that writes to the buffers, and none will.
#[pin_data]
pub(crate) struct Fetch {
    spans: KVec<Span>,
    /// A hint for the device's queue: nobody waits for this.
    ahead: bool,
    /// The reads that run, and the one who starts them.
    running: Refcount,
    here: AtomicFlag,
    failed: AtomicFlag,
    /// Whether somebody waits for `arrived`; else [`Fetching::arrived`] is called.
    waited: AtomicFlag,
    #[pin]
    arrived: Completion,
    #[pin]
    work: Opaque<bindings::work_struct>,
    /// Whose fetch this is, once it has started.
    owner: UnsafeCell<*const c_void>,
}

// SAFETY: `owner` is written before the first read starts, and the work item is the last read's.
unsafe impl Send for Fetch {}
// SAFETY: As above; what else changes is atomic.
unsafe impl Sync for Fetch {}

/// Work that needs a [`Fetch`] first.
pub(crate) trait Fetching: Sized + Send + Sync + 'static {
    /// What it needs.
    fn fetch(&self) -> &Fetch;

    /// Goes on, on a workqueue.
    fn arrived(self: Arc<Self>);
}

impl Fetch {
    /// Nothing is read yet.
    pub(crate) fn new(spans: KVec<Span>, ahead: bool) -> impl PinInit<Self> {
        pin_init!(Self {
            spans,
            ahead,
            running: Refcount::new(1),
            here: AtomicFlag::new(false),
            failed: AtomicFlag::new(false),
            waited: AtomicFlag::new(false),
            arrived <- Completion::new(),
            work: Opaque::uninit(),
            owner: UnsafeCell::new(core::ptr::null()),
        })
    }

    /// The bytes of span `index`.
    ///
    /// # Errors
    ///
    /// `EIO` if a read has failed, or has not ended.
    pub(crate) fn bytes(&self, index: usize) -> Result<&[u8]> {
        if !self.here.load(Acquire) || self.failed.load(Relaxed) {
            return Err(EIO);
        }
        Ok(self.spans.get(index).ok_or(EIO)?.bytes.bytes())
    }

    /// Starts all reads for `owner`, whose fetch this is.
    fn submit<T: Fetching>(&self, owner: *const T) {
        // SAFETY: Nothing runs yet.
        unsafe { *self.owner.get() = owner.cast() };
        for span in &self.spans {
            match span.store {
                Store::Block(device) => self.submit_bios(span, device, owner),
                Store::File(file) => self.submit_read(span, file, owner),
            }
        }
    }

    fn submit_bios<T: Fetching>(&self, span: &Span, device: BlockDevice, owner: *const T) {
        /// The most that a bio reads: as many pages as fit into one, wherever they lie.
        const MOST: usize = 512 << 10;
        let mut at = 0;
        while at < span.bytes.len() {
            let len = span.bytes.len().saturating_sub(at).min(MOST);
            self.running.inc();
            let from = bio::Range {
                device,
                addr: span.addr.saturating_add(at as u64),
                len,
            };
            // SAFETY: `at` is below the length.
            let to = unsafe { span.bytes.as_ptr().add(at) };
            // SAFETY: The range is in the buffer, which stays until all reads have ended, as `owner` does.
            unsafe { bio::read(&from, to, self.ahead, owner.cast_mut().cast(), ended::<T>) };
            at = at.saturating_add(len);
        }
    }

    fn submit_read<T: Fetching>(&self, span: &Span, file: BackingFile, owner: *const T) {
        self.running.inc();
        // From here on the target ends the read, also by being dropped.
        let mut target = Target {
            vecs: KVec::new(),
            owner: Some(owner),
        };
        if let Ok(vecs) = span.bytes.vecs() {
            target.vecs = vecs;
            let run = file_read::Run {
                file,
                addr: span.addr,
                len: span.bytes.len(),
                least: span.need,
            };
            // Without memory for it the target is told.
            let _ = file_read::read(run, target);
        }
    }

    /// Ends one read, or the start of them. Returns whether it was the last.
    fn end(&self) -> bool {
        let last = self.running.dec_and_test();
        if last {
            // INVARIANT: The count was 0: nothing runs.
            self.here.store(true, Release);
        }
        last
    }
}

/// Starts reading what `owner` needs. Gives it back if all is there at once; else [`Fetching::arrived`] gets it.
pub(crate) fn start<T: Fetching>(owner: Arc<T>) -> Option<Arc<T>> {
    let raw = Arc::into_raw(owner);
    // SAFETY: From `into_raw`. The reference belongs to the reads until the last one has ended.
    let fetch = unsafe { &*raw }.fetch();
    fetch.submit(raw);
    match fetch.end() {
        // SAFETY: No read runs: the reference is ours again.
        true => Some(unsafe { Arc::from_raw(raw) }),
        false => None,
    }
}

/// Reads what `owner` needs, and waits for it.
pub(crate) fn wait<T: Fetching>(owner: &Arc<T>) {
    let fetch = owner.fetch();
    fetch.waited.store(true, Relaxed);
    fetch.submit(Arc::as_ptr(owner));
    if !fetch.end() {
        fetch.arrived.wait_for_completion();
    }
}

/// What a read from a file fills.
struct Target<T: Fetching> {
    vecs: KVec<bindings::bio_vec>,
    /// Until it is told.
    owner: Option<*const T>,
}

// SAFETY: The owner is `Sync`, and stays until it is told.
unsafe impl<T: Fetching> Send for Target<T> {}

// SAFETY: The vectors are those of a buffer that the owner keeps until all reads have ended.
unsafe impl<T: Fetching> file_read::Target for Target<T> {
    fn vecs(&self) -> &[bindings::bio_vec] {
        &self.vecs
    }

    fn finish(&mut self, ok: bool) {
        if let Some(owner) = self.owner.take() {
            // SAFETY: `submit_read` has counted this read.
            unsafe { arrived(owner, ok) };
        }
    }
}

impl<T: Fetching> Drop for Target<T> {
    fn drop(&mut self) {
        file_read::Target::finish(self, false);
    }
}

/// Called by `bio_endio()` when a read has ended, in any context.
///
/// # Safety
///
/// `bio` must be one that `submit` has started for an owner of type `T`.
unsafe extern "C" fn ended<T: Fetching>(bio: *mut bindings::bio) {
    // SAFETY: By the contract; the block layer gives the bio back.
    let (owner, ok) = unsafe { bio::take_result(bio) };
    // SAFETY: By the contract.
    unsafe { arrived(owner.cast::<T>().cast_const(), ok) };
}

/// Ends a read of `owner`'s, in any context.
///
/// # Safety
///
/// `owner` must have started its fetch, and the read be one that it has counted.
unsafe fn arrived<T: Fetching>(owner: *const T, ok: bool) {
    // SAFETY: The owner stays until the last read has ended, as `start` and `wait` see to.
    let fetch = unsafe { &*owner }.fetch();
    if !ok {
        fetch.failed.store(true, Relaxed);
    }
    if !fetch.end() {
        return;
    }
    if fetch.waited.load(Relaxed) {
        return fetch.arrived.complete_all();
    }
    // SAFETY: Nothing runs any more, and the work is used once: it is ours to set up.
    unsafe { bindings::erofs_helper_init_work(fetch.work.get(), Some(go_on::<T>)) };
    // SAFETY: The work stays until it has run, as it has the owner's reference.
    unsafe { work::queue(fetch.work.get()) };
}

/// Goes on with what was fetched for, on the workqueue.
///
/// # Safety
///
/// `work` must be one that `arrived::<T>` has queued.
unsafe extern "C" fn go_on<T: Fetching>(work: *mut bindings::work_struct) {
    // SAFETY: The work is a field of a fetch.
    let fetch = unsafe { work.byte_sub(offset_of!(Fetch, work)) }.cast::<Fetch>();
    // SAFETY: As above; written before the reads were started.
    let owner = unsafe { *(*fetch).owner.get() };
    // SAFETY: `start` has given up this reference for the reads, which have all ended.
    T::arrived(unsafe { Arc::from_raw(owner.cast()) });
}
