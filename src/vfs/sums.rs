// SPDX-License-Identifier: GPL-2.0

//! The kernel's checksums and hashes.
//!
//! C headers: [`include/linux/crc32.h`](srctree/include/linux/crc32.h),
//! [`include/linux/xxhash.h`](srctree/include/linux/xxhash.h)

use crate::bindings;

/// CRC-32C of `data`, continued from `crc`, without inversion at either end.
pub(crate) fn crc32c(crc: u32, data: &[u8]) -> u32 {
    // SAFETY: Reads `data` only.
    unsafe { bindings::crc32c(crc, data.as_ptr().cast(), data.len()) }
}

/// The 32-bit xxHash of `data`.
pub(crate) fn xxh32(data: &[u8], seed: u32) -> u32 {
    // SAFETY: Reads `data` only.
    unsafe { bindings::xxh32(data.as_ptr().cast(), data.len(), seed) }
}
