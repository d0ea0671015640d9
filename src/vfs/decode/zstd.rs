// SPDX-License-Identifier: GPL-2.0

//! Zstandard frames.
//!
//! A call that has room for the whole frame, as the frame itself tells it, writes straight into the output. Other calls
//! go through a window in the decoder's memory: those that want a prefix, and those for frames of unknown length.
//!
//! C header: [`include/linux/zstd.h`](srctree/include/linux/zstd.h)

use super::{
    Decoder,
    How, //
};
use crate::bindings;
use kernel::{
    alloc::Flags,
    prelude::*, //
};

/// A Zstandard decoder.
pub(crate) struct Zstd {
    /// The library's memory: about 95 KiB, the window, and twice the largest block. Words, for their alignment.
    workspace: KVVec<u64>,
    window: usize,
}

impl Decoder for Zstd {
    fn new(window: usize, flags: Flags) -> Result<Self> {
        // SAFETY: Adds up sizes.
        let bytes = unsafe { bindings::zstd_dstream_workspace_bound(window) };
        let words = bytes.div_ceil(size_of::<u64>());
        Ok(Self {
            workspace: KVVec::with_capacity(words, flags)?,
            window,
        })
    }

    fn fits(&self, window: usize) -> bool {
        window <= self.window
    }

    fn decode(&mut self, input: &[u8], output: &mut [u8], how: How) -> Result {
        let words = self.workspace.capacity();
        let workspace = self.workspace.as_mut_ptr().cast();
        let bytes = words.saturating_mul(size_of::<u64>());
        // SAFETY: The workspace is ours, and that long.
        let stream = unsafe { bindings::zstd_init_dstream(self.window, workspace, bytes) };
        if stream.is_null() {
            return Err(EINVAL);
        }
        let mut from = bindings::zstd_in_buffer {
            src: input.as_ptr().cast(),
            size: input.len(),
            pos: 0,
        };
        let mut to = bindings::zstd_out_buffer {
            dst: output.as_mut_ptr().cast(),
            size: output.len(),
            pos: 0,
        };
        // SAFETY: Reads `input` and writes `output` within the lengths given, and uses the workspace.
        let left = unsafe { bindings::zstd_decompress_stream(stream, &mut to, &mut from) };
        // SAFETY: Looks at the number.
        let failed = unsafe { bindings::zstd_is_error(left) } != 0;
        let complete = left == 0 || how == How::Prefix;
        match !failed && complete && to.pos == output.len() {
            true => Ok(()),
            false => Err(EFSCORRUPTED),
        }
    }
}
