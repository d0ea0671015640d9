// SPDX-License-Identifier: GPL-2.0

//! Raw DEFLATE streams.
//!
//! C header: [`include/linux/zlib.h`](srctree/include/linux/zlib.h)

use super::{
    Decoder,
    How, //
};
use crate::bindings;
use kernel::{
    alloc::Flags,
    prelude::*, //
};

/// A DEFLATE decoder: the library's memory, about 42 KiB. Words, for their alignment.
pub(crate) struct Deflate(KVVec<u64>);

impl Decoder for Deflate {
    fn new(_window: usize, flags: Flags) -> Result<Self> {
        // SAFETY: Returns a constant.
        let bytes = unsafe { bindings::zlib_inflate_workspacesize() } as usize;
        let words = bytes.div_ceil(size_of::<u64>());
        Ok(Self(KVVec::with_capacity(words, flags)?))
    }

    fn decode(&mut self, input: &[u8], output: &mut [u8], how: How) -> Result {
        // The end of the output is copied into the window, for a next call that never comes: keep that short. Distances
        // are bounded by the output and by 32 KiB, whatever the window. Hardware, where there is any, wants it whole.
        const WINDOW_BITS: c_int = match cfg!(CONFIG_ZLIB_DFLTCC) {
            true => 15,
            false => 8,
        };
        let mut stream = bindings::z_stream_s {
            next_in: input.as_ptr(),
            avail_in: input.len(),
            next_out: output.as_mut_ptr(),
            avail_out: output.len(),
            workspace: self.0.as_mut_ptr().cast(),
            ..pin_init::zeroed()
        };
        // SAFETY: The workspace is as long as the library wants it; the negative sign says that there is no header.
        let result = unsafe { bindings::zlib_inflateInit2(&mut stream, -WINDOW_BITS) };
        if result != bindings::Z_OK as c_int {
            return Err(EINVAL);
        }
        // SAFETY: Reads `input` and writes `output` within the lengths given, and uses the workspace.
        let result =
            unsafe { bindings::zlib_inflate(&mut stream, bindings::Z_SYNC_FLUSH as c_int) };
        let ended = result == bindings::Z_STREAM_END as c_int;
        let goes_on = how == How::Prefix && result == bindings::Z_OK as c_int;
        match stream.avail_out == 0 && (ended || goes_on) {
            true => Ok(()),
            false => Err(EFSCORRUPTED),
        }
    }
}
