// SPDX-License-Identifier: GPL-2.0

//! The kernel's decompressors: from a buffer to a buffer.
//!
//! A stream is decoded in one call over all of its input, straight into the output, which serves the library as its
//! history: that needs no window, and no copy out of one. No decoder writes outside of the output that it is given.
//! An algorithm that the kernel is built without is there as a decoder that cannot be made.

#[cfg(CONFIG_ZLIB_INFLATE)]
mod deflate;
#[cfg(CONFIG_LZ4_DECOMPRESS)]
mod lz4;
#[cfg(CONFIG_XZ_DEC_MICROLZMA)]
mod lzma;
#[cfg(CONFIG_ZSTD_DECOMPRESS)]
mod zstd;

use crate::bindings;
use crate::format::compress::Algorithm;
use kernel::{
    alloc::Flags,
    prelude::*, //
};

#[cfg(CONFIG_ZLIB_INFLATE)]
pub(crate) use deflate::Deflate;
#[cfg(CONFIG_LZ4_DECOMPRESS)]
pub(crate) use lz4::decode as lz4;
#[cfg(CONFIG_XZ_DEC_MICROLZMA)]
pub(crate) use lzma::Lzma;
#[cfg(CONFIG_ZSTD_DECOMPRESS)]
pub(crate) use zstd::Zstd;

#[cfg(not(CONFIG_ZLIB_INFLATE))]
pub(crate) type Deflate = Absent;
#[cfg(not(CONFIG_XZ_DEC_MICROLZMA))]
pub(crate) type Lzma = Absent;
#[cfg(not(CONFIG_ZSTD_DECOMPRESS))]
pub(crate) type Zstd = Absent;

/// How much of a stream is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// All: the stream decodes to exactly the output's length, and ends there.
    Exact,
    /// The first bytes: the stream decodes to the output's length or more.
    Prefix,
}

/// A decoder with memory of its own, which serves one stream after the other.
pub(crate) trait Decoder: Sized + Send {
    /// Makes one for streams that refer back by at most `window` bytes, for those algorithms that need to know.
    fn new(window: usize, flags: Flags) -> Result<Self>;

    /// Whether it serves streams that refer back by up to `window` bytes.
    fn fits(&self, _window: usize) -> bool {
        true
    }

    /// Fills all of `output`, or fails.
    ///
    /// `input` is the whole stream, without padding. Output of a failed call is garbage.
    ///
    /// # Errors
    ///
    /// `EFSCORRUPTED`: the stream is none, or not as long as `how` says.
    fn decode(&mut self, input: &[u8], output: &mut [u8], how: How) -> Result;
}

/// Whether the kernel can decode `algorithm`.
pub(crate) const fn available(algorithm: Algorithm) -> bool {
    match algorithm {
        Algorithm::Lz4 => cfg!(CONFIG_LZ4_DECOMPRESS),
        Algorithm::Lzma => cfg!(CONFIG_XZ_DEC_MICROLZMA),
        Algorithm::Deflate => cfg!(CONFIG_ZLIB_INFLATE),
        Algorithm::Zstd => cfg!(CONFIG_ZSTD_DECOMPRESS),
    }
}

/// The decoder of an algorithm that the kernel lacks.
#[allow(dead_code, reason = "used where the kernel lacks an algorithm")]
pub(crate) enum Absent {}

impl Decoder for Absent {
    fn new(_window: usize, _flags: Flags) -> Result<Self> {
        Err(EOPNOTSUPP)
    }

    fn decode(&mut self, _input: &[u8], _output: &mut [u8], _how: How) -> Result {
        match *self {}
    }
}

/// Stands for LZ4 where the kernel lacks it.
#[cfg(not(CONFIG_LZ4_DECOMPRESS))]
pub(crate) fn lz4(_input: &[u8], _output: &mut [u8], _how: How) -> Result {
    Err(EOPNOTSUPP)
}

/// As [`Decoder::new`], from memory at hand: for callers that memory reclaim may wait for.
pub(crate) fn new_at_hand<D: Decoder>(window: usize) -> Result<D> {
    // For allocations that do not obey the flags.
    // SAFETY: Changes a flag of this task; taken back below.
    let before = unsafe { bindings::erofs_helper_noio_save() };
    let decoder = D::new(window, GFP_NOWAIT);
    // SAFETY: Ends the section that began above, in the same task.
    unsafe { bindings::erofs_helper_noio_restore(before) };
    decoder
}

/// How many decoders of `algorithm` the administrator allows, by a parameter of the module; 0: no wish.
pub(crate) fn limit(algorithm: Algorithm) -> u32 {
    match algorithm {
        // Needs no memory.
        Algorithm::Lz4 => 0,
        // SAFETY: Set before the module starts, and never again.
        Algorithm::Lzma => unsafe { bindings::erofs_helper_lzma_streams },
        // SAFETY: As above.
        Algorithm::Deflate => unsafe { bindings::erofs_helper_deflate_streams },
        // SAFETY: As above.
        Algorithm::Zstd => unsafe { bindings::erofs_helper_zstd_streams },
    }
}
