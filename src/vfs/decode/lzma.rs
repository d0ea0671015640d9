// SPDX-License-Identifier: GPL-2.0

//! MicroLZMA streams.
//!
//! In single-call mode the output is the dictionary. None is allocated, so that one state serves every dictionary size.
//!
//! C header: [`include/linux/xz.h`](srctree/include/linux/xz.h)

use super::{
    Decoder,
    How, //
};
use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    alloc::Flags,
    prelude::*, //
};

/// A MicroLZMA decoder; less than 30 KiB.
pub(crate) struct Lzma(NonNull<bindings::xz_dec_microlzma>);

// SAFETY: The C structure knows no thread.
unsafe impl Send for Lzma {}

impl Decoder for Lzma {
    fn new(_window: usize, flags: Flags) -> Result<Self> {
        // The largest that the library takes: it bounds distances only, and the output's start does so already.
        const DICT_SIZE: u32 = 3 << 30;
        const STATE_SIZE: usize = 30 << 10;
        // The library takes no flags, and would wait for memory: see first whether there is some.
        drop(KVec::<u8>::with_capacity(STATE_SIZE, flags)?);
        // SAFETY: Allocates.
        let state =
            unsafe { bindings::xz_dec_microlzma_alloc(bindings::xz_mode_XZ_SINGLE, DICT_SIZE) };
        NonNull::new(state).map(Self).ok_or(ENOMEM)
    }

    fn decode(&mut self, input: &[u8], output: &mut [u8], how: How) -> Result {
        let (Ok(in_len), Ok(out_len)) = (u32::try_from(input.len()), u32::try_from(output.len()))
        else {
            return Err(EFSCORRUPTED);
        };
        let mut buf = bindings::xz_buf {
            in_: input.as_ptr(),
            in_pos: 0,
            in_size: input.len(),
            out: output.as_mut_ptr(),
            out_pos: 0,
            out_size: output.len(),
        };
        let state = self.0.as_ptr();
        let exact = c_int::from(how == How::Exact);
        // SAFETY: The state is ours.
        unsafe { bindings::xz_dec_microlzma_reset(state, in_len, out_len, exact) };
        // SAFETY: The state is ours; `buf` gives the bounds of `input`, which is read, and `output`, which is written.
        let result = unsafe { bindings::xz_dec_microlzma_run(state, &mut buf) };
        // Where the length is exact, the library has looked at how the stream ends.
        match result == bindings::xz_ret_XZ_STREAM_END && buf.out_pos == output.len() {
            true => Ok(()),
            false => Err(EFSCORRUPTED),
        }
    }
}

impl Drop for Lzma {
    fn drop(&mut self) {
        // SAFETY: Allocated by `new`.
        unsafe { bindings::xz_dec_microlzma_end(self.0.as_ptr()) };
    }
}
