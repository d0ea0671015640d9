// SPDX-License-Identifier: GPL-2.0

//! Reads from backing files into memory, and their completion.
//!
//! A read runs with the credentials of whoever opened the file. It holds the file; what else has to stay is for its
//! target to hold. Bytes that are not there make it fail: it never gives zeros for them.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use crate::bindings;
use crate::vfs::{
    backing::{
        BackingFile,
        OpenFile,
        Way, //
    },
    folios::FolioRun,
    inflight::Running,
    work, //
};
use core::{
    cell::UnsafeCell,
    mem::offset_of, //
};
use kernel::{
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

/// Memory that a read fills.
///
/// Dropped without having been finished, it counts as failed.
///
/// # Safety
///
/// The memory that [`Self::vecs`] tells must stay, and be nobody else's, until [`Self::finish`] is called; the vectors
/// themselves until `self` is dropped.
pub(super) unsafe trait Target: Send + 'static {
    /// The memory.
    fn vecs(&self) -> &[bindings::bio_vec];

    /// Called once: the bytes are there, or not. `Ok` in any context, else in a process.
    fn finish(&mut self, ok: bool);
}

/// A run of bytes of a file.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) file: BackingFile,
    /// The position of the first one.
    pub(super) addr: u64,
    /// How many are read, if there are as many.
    pub(super) len: usize,
    /// How many there must be.
    pub(super) least: usize,
}

/// A read on its way. The one who starts it and its completion hold a reference each.
///
/// # Invariants
///
/// `target` is the completion's, except for its vectors, which do not change.
struct Request<T> {
    iocb: Opaque<bindings::kiocb>,
    work: Opaque<bindings::work_struct>,
    file: OpenFile,
    least: usize,
    target: UnsafeCell<T>,
}

// SAFETY: By the type invariant one thread at a time uses the target; C code locks what else changes.
unsafe impl<T: Send> Send for Request<T> {}
// SAFETY: As above.
unsafe impl<T: Send> Sync for Request<T> {}

/// Starts reading `run` into `target`, which is told when it is over, maybe before this returns.
///
/// # Errors
///
/// `ENOMEM`: the target is dropped.
pub(super) fn read<T: Target>(run: Run, target: T) -> Result {
    let request = Arc::new(
        Request {
            iocb: Opaque::zeroed(),
            work: Opaque::zeroed(),
            file: run.file.hold(),
            least: run.least,
            target: UnsafeCell::new(target),
        },
        GFP_KERNEL,
    )?;
    // SAFETY: Nothing runs yet.
    let vecs = unsafe { (*request.target.get()).vecs() };
    let (vecs, count) = (vecs.as_ptr(), vecs.len());
    let iocb = request.iocb.get();
    // The reference is the completion's.
    let raw = Arc::into_raw(request.clone());
    let start = |way| {
        let flags = match way {
            Way::Present => bindings::EROFS_C_IOCB_NOIO,
            Way::Direct => bindings::EROFS_C_IOCB_DIRECT,
            Way::Cached => 0,
        };
        // SAFETY: The request is not started: it is ours. This holds for each line.
        unsafe { (*iocb).ki_filp = request.file.as_raw() };
        // SAFETY: See above.
        unsafe { (*iocb).ki_pos = run.addr as i64 };
        // SAFETY: See above.
        unsafe { (*iocb).ki_flags = flags as c_int };
        // SAFETY: See above.
        unsafe { (*iocb).ki_complete = Some(completed::<T>) };
        // SAFETY: The file is held, the memory the target's; both stay until the request is over.
        unsafe { bindings::erofs_helper_read_file(iocb, vecs, count, run.len) }
    };
    let mut done = 0;
    for &way in run.file.ways(run.addr, run.len) {
        done = start(way);
        let next = match way {
            Way::Present => !is_enough(done, run.least),
            Way::Direct => done == EINVAL.to_errno() as isize,
            Way::Cached => false,
        };
        if !next {
            break;
        }
    }
    if done != -(bindings::EROFS_C_EIOCBQUEUED as isize) {
        // SAFETY: The read is over, and nobody else will say so; `raw` is used up.
        unsafe { finish(raw, done) };
    }
    Ok(())
}

/// Whether a read that gave `done` has brought `least` bytes.
fn is_enough(done: isize, least: usize) -> bool {
    usize::try_from(done).is_ok_and(|done| done >= least)
}

/// Ends a request.
///
/// # Safety
///
/// `raw` must be that of a read that is over, with the completion's reference, which is used up.
unsafe fn finish<T: Target>(raw: *const Request<T>, done: isize) {
    // SAFETY: By the contract.
    let request = unsafe { Arc::from_raw(raw) };
    let ok = is_enough(done, request.least);
    // SAFETY: By the type invariant, the read being over.
    unsafe { (*request.target.get()).finish(ok) };
}

/// Called by the file's filesystem when a read that it has queued is over, in any context.
///
/// # Safety
///
/// `iocb` must be that of a request that `read::<T>` has started.
unsafe extern "C" fn completed<T: Target>(iocb: *mut bindings::kiocb, done: c_long) {
    // SAFETY: The field is that of a request.
    let raw = unsafe { iocb.byte_sub(offset_of!(Request<T>, iocb)) }.cast::<Request<T>>();
    // SAFETY: The completion holds a reference.
    let least = unsafe { (*raw).least };
    if is_enough(done, least) {
        // SAFETY: Started by `read`, and over.
        return unsafe { finish(raw.cast_const(), done) };
    }
    // Failures are for a process to report.
    // SAFETY: As above.
    let work = unsafe { (*raw).work.get() };
    // SAFETY: The work is used once, and here first.
    unsafe { bindings::erofs_helper_init_work(work, Some(fail::<T>)) };
    // SAFETY: It stays until it has run, as it has the completion's reference.
    unsafe { work::queue(work) };
}

/// Ends a failed request, on the workqueue.
///
/// # Safety
///
/// `work` must be one that `completed::<T>` has queued.
unsafe extern "C" fn fail<T: Target>(work: *mut bindings::work_struct) {
    // SAFETY: The field is that of a request.
    let raw = unsafe { work.byte_sub(offset_of!(Request<T>, work)) }.cast::<Request<T>>();
    // SAFETY: Queued by `completed`, with its reference.
    unsafe { finish(raw.cast_const(), -1) };
}

/// Folios that wait for a file's bytes as they are.
struct Folios {
    run: FolioRun,
    /// The position in the file from which on there are zeros.
    size: u64,
    /// Ends when the request is gone.
    _running: Running,
}

// SAFETY: A run of folios owns their memory until they are finished.
unsafe impl Target for Folios {
    fn vecs(&self) -> &[bindings::bio_vec] {
        self.run.vecs()
    }

    fn finish(&mut self, ok: bool) {
        if ok {
            self.run.zero_from(self.size);
        }
        self.run.finish(|_, _| (!ok).then_some(EIO));
    }
}

/// Starts reading the bytes at `addr` of `file` into the folios of `to`, which are finished when it is over. Those from
/// position `size` of their file on become zeros, and need not be there. `running` keeps the file open.
pub(crate) fn read_folios(
    file: BackingFile,
    addr: u64,
    to: FolioRun,
    size: u64,
    running: Running,
) -> Result {
    let bytes = |end: u64| usize::try_from(end.saturating_sub(to.pos()));
    let run = Run {
        file,
        addr,
        len: bytes(to.end())?,
        least: bytes(to.end().min(size))?,
    };
    let target = Folios {
        run: to,
        size,
        _running: running,
    };
    read(run, target)
}
