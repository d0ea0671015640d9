// SPDX-License-Identifier: GPL-2.0

//! LZ4 blocks, without a frame around them.
//!
//! C header: [`include/linux/lz4.h`](srctree/include/linux/lz4.h)

use super::How;
use crate::bindings;
use kernel::prelude::*;

/// Fills all of `output`, or fails; as [`Decoder::decode`](super::Decoder::decode), without a state.
pub(crate) fn decode(input: &[u8], output: &mut [u8], how: How) -> Result {
    let (Ok(in_len), Ok(out_len)) = (c_int::try_from(input.len()), c_int::try_from(output.len()))
    else {
        return Err(EFSCORRUPTED);
    };
    let (from, to) = (input.as_ptr().cast(), output.as_mut_ptr().cast());
    let done = match how {
        // SAFETY: Reads `input` and writes `output`, and nothing beyond their lengths.
        How::Exact => unsafe { bindings::LZ4_decompress_safe(from, to, in_len, out_len) },
        // SAFETY: As above.
        How::Prefix => unsafe {
            bindings::LZ4_decompress_safe_partial(from, to, in_len, out_len, out_len)
        },
    };
    match done == out_len {
        true => Ok(()),
        false => Err(EFSCORRUPTED),
    }
}
