// SPDX-License-Identifier: GPL-2.0

//! The kernel log, in the words that users of this filesystem grep for: `erofs (device NAME): ...`.
//!
//! Errors can be repeated by anyone who may read a corrupted image, so they are rate-limited per mount.

use crate::bindings;
use kernel::{
    fmt,
    prelude::*,
    types::Opaque, //
};

/// The log of one mount.
#[pin_data]
pub(crate) struct Log {
    id: [u8; Log::ID_LEN],
    #[pin]
    rate: Opaque<bindings::ratelimit_state>,
}

// SAFETY: The rate limit has a lock of its own.
unsafe impl Send for Log {}
// SAFETY: As above.
unsafe impl Sync for Log {}

impl Log {
    const ID_LEN: usize = 32;

    /// A log for the mount named `id`, which is cut to 31 bytes.
    pub(crate) fn new(id: &CStr) -> impl PinInit<Self> + use<> {
        let mut copy = [0; Self::ID_LEN];
        for (to, from) in copy
            .iter_mut()
            .zip(id.to_bytes().iter().take(Self::ID_LEN - 1))
        {
            *to = *from;
        }
        pin_init!(Self {
            id: copy,
            rate <- Opaque::ffi_init(|slot| {
                // SAFETY: The slot is ours to initialise, and pinned.
                unsafe { bindings::erofs_helper_ratelimit_init(slot) }
            }),
        })
    }

    /// Logs a fault of the image or its device.
    pub(crate) fn error(&self, text: fmt::Arguments<'_>) {
        // SAFETY: Initialised, and locked inside.
        if unsafe { bindings::erofs_helper_ratelimit(self.rate.get()) } {
            print(ERROR, &self.id, text);
        }
    }

    /// Logs a fact of a mount.
    pub(crate) fn info(&self, text: fmt::Arguments<'_>) {
        print(INFO, &self.id, text);
    }
}

const ERROR: &CStr = c"\x013erofs (device %s): %pA\n";
const INFO: &CStr = c"\x016erofs (device %s): %pA\n";

/// Logs a fault of the image on device `id`, before it has a [`Log`].
pub(super) fn error(id: &CStr, text: fmt::Arguments<'_>) {
    print(ERROR, id.to_bytes_with_nul(), text);
}

/// Logs a fact of the mount of device `id`, before it has a [`Log`].
pub(crate) fn info(id: &CStr, text: fmt::Arguments<'_>) {
    print(INFO, id.to_bytes_with_nul(), text);
}

/// Prints `text` by `format`, for the NUL-terminated `id`.
fn print(format: &CStr, id: &[u8], text: fmt::Arguments<'_>) {
    // SAFETY: The format takes a NUL-terminated string and the address of `fmt::Arguments`, which is what `%pA`
    // prints (lib/vsprintf.c).
    unsafe {
        bindings::_printk(
            format.as_char_ptr(),
            id.as_ptr(),
            (&raw const text).cast::<c_void>(),
        )
    };
}
