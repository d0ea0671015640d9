// SPDX-License-Identifier: GPL-2.0

//! The decoders that all mounted images share, so that their memory is bounded.
//!
//! Of each algorithm there are at most as many decoders as the module's parameter says, and at least one while a
//! mounted image may need it: whoever waits for a decoder gets one, however short memory is. The others are made when
//! all are in use, and go when memory is needed or the last image that uses them is unmounted.
//!
//! The lock is a leaf, and nothing is allocated or freed under it: memory reclaim takes it too.

use crate::format::compress::Algorithm;
use crate::vfs::{
    decode::{
        self,
        Decoder,
        Deflate,
        How,
        Lzma,
        Zstd, //
    },
    shrinker::Cache,
    work, //
};
use core::mem;
use kernel::{
    alloc::kvec::PushError,
    cpu::nr_cpu_ids,
    new_condvar,
    new_spinlock,
    prelude::*,
    sync::{
        Arc,
        CondVar,
        SpinLock, //
    }, //
};

/// The decoders of one algorithm.
struct Stock<D> {
    /// Not in use; each fits `window`. There is room for all.
    idle: KVec<D>,
    /// All that fit `window`, in use or not.
    count: usize,
    /// Being made at the moment.
    making: usize,
    /// Images that need one.
    images: usize,
    /// The largest that these images need.
    window: usize,
}

/// Decoders of one algorithm, for those who need one for a while.
#[pin_data]
struct Pool<D> {
    #[pin]
    stock: SpinLock<Stock<D>>,
    /// Woken once for each decoder that comes back.
    #[pin]
    returned: CondVar,
    /// How many there may be.
    limit: usize,
}

impl<D: Decoder> Pool<D> {
    fn new(algorithm: Algorithm) -> impl PinInit<Self> {
        let limit = match decode::limit(algorithm) {
            0 => work::cpus(),
            // Decoders do not sleep: more would only take memory.
            wish => wish.min(nr_cpu_ids()),
        };
        let none = Stock {
            idle: KVec::new(),
            count: 0,
            making: 0,
            images: 0,
            window: 0,
        };
        pin_init!(Self {
            stock <- new_spinlock!(none, "erofs::Pool"),
            returned <- new_condvar!("erofs::Pool::returned"),
            limit: limit.max(1) as usize,
        })
    }

    /// Makes sure that one decoder stays, with that `window` or a larger one, until [`Self::release`].
    fn reserve(&self, window: usize) -> Result {
        {
            let mut stock = self.stock.lock();
            if stock.images > 0 && window <= stock.window {
                // No more images than memory holds.
                stock.images = stock.images.saturating_add(1);
                return Ok(());
            }
        }
        let mut idle = KVec::with_capacity(self.limit, GFP_KERNEL)?;
        idle.push(D::new(window, GFP_KERNEL)?, GFP_KERNEL)?;
        let mut stock = self.stock.lock();
        stock.images = stock.images.saturating_add(1);
        if stock.count == 0 || window > stock.window {
            stock.window = window;
            stock.count = 1;
            mem::swap(&mut stock.idle, &mut idle);
        }
        drop(stock);
        // For the one added, and for the places of those that are too small now.
        self.returned.notify_all();
        Ok(())
    }

    /// Ends one [`Self::reserve`]; the last one frees all decoders.
    fn release(&self) {
        let mut stock = self.stock.lock();
        stock.images = stock.images.saturating_sub(1);
        if stock.images > 0 {
            return;
        }
        stock.count = 0;
        stock.window = 0;
        let idle = mem::replace(&mut stock.idle, KVec::new());
        drop(stock);
        drop(idle);
    }

    /// A decoder, for [`Self::put`] to take back.
    fn get(&self) -> D {
        let mut may_make = true;
        let mut stock = self.stock.lock();
        loop {
            if let Some(decoder) = stock.idle.pop() {
                return decoder;
            }
            if !may_make || stock.count.saturating_add(stock.making) >= self.limit {
                // There is one that fits, and all are in use: one comes back.
                self.returned.wait(&mut stock);
                continue;
            }
            stock.making = stock.making.saturating_add(1);
            let window = stock.window;
            drop(stock);
            let made = decode::new_at_hand::<D>(window);
            stock = self.stock.lock();
            stock.making = stock.making.saturating_sub(1);
            match made {
                Ok(decoder) if decoder.fits(stock.window) => {
                    stock.count = stock.count.saturating_add(1);
                    return decoder;
                }
                useless => {
                    may_make = false;
                    drop(stock);
                    drop(useless);
                    stock = self.stock.lock();
                }
            }
        }
    }

    fn put(&self, decoder: D) {
        let mut stock = self.stock.lock();
        let useless = if !decoder.fits(stock.window) {
            // It was in use when the window grew, and is not counted any more.
            Some(decoder)
        } else if let Err(PushError(decoder)) = stock.idle.push_within_capacity(decoder) {
            stock.count = stock.count.saturating_sub(1);
            Some(decoder)
        } else {
            None
        };
        drop(stock);
        self.returned.notify_one();
        drop(useless);
    }

    fn decode(&self, input: &[u8], output: &mut [u8], how: How) -> Result {
        let mut decoder = self.get();
        let result = decoder.decode(input, output, how);
        self.put(decoder);
        result
    }

    fn count_unused(&self) -> usize {
        let stock = self.stock.lock();
        stock.idle.len().min(stock.count.saturating_sub(1))
    }

    /// Frees up to `max` decoders that are not in use, all but one; returns how many.
    fn shrink(&self, max: usize) -> usize {
        for freed in 0..max {
            let mut stock = self.stock.lock();
            let others = stock.count.saturating_sub(1);
            let unused = match others {
                0 => None,
                _ => stock.idle.pop(),
            };
            let Some(unused) = unused else {
                return freed;
            };
            stock.count = others;
            drop(stock);
            drop(unused);
        }
        max
    }
}

/// The decoders of the module.
#[pin_data]
pub(crate) struct Decoders {
    #[pin]
    lzma: Pool<Lzma>,
    #[pin]
    deflate: Pool<Deflate>,
    #[pin]
    zstd: Pool<Zstd>,
}

impl Decoders {
    /// None yet.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                lzma <- Pool::new(Algorithm::Lzma),
                deflate <- Pool::new(Algorithm::Deflate),
                zstd <- Pool::new(Algorithm::Zstd),
            }),
            GFP_KERNEL,
        )
    }

    /// Takes what an image needs that uses `algorithms`; see [`Reservation`].
    ///
    /// `zstd_window` is how far back Zstandard frames refer at most, in bytes.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP`: the kernel lacks one of the algorithms; [`decode::available`] tells which.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        algorithms: impl IntoIterator<Item = Algorithm>,
        zstd_window: usize,
    ) -> Result<Reservation> {
        let mut reservation = Reservation {
            decoders: self.clone(),
            algorithms: 0,
        };
        for algorithm in algorithms {
            if !decode::available(algorithm) {
                return Err(EOPNOTSUPP);
            }
            if reservation.has(algorithm) {
                continue;
            }
            match algorithm {
                Algorithm::Lz4 => {}
                Algorithm::Lzma => self.lzma.reserve(0)?,
                Algorithm::Deflate => self.deflate.reserve(0)?,
                Algorithm::Zstd => self.zstd.reserve(zstd_window)?,
            }
            reservation.algorithms |= bit(algorithm);
        }
        Ok(reservation)
    }
}

impl Cache for Decoders {
    const CHEAP: bool = true;

    fn count(&self) -> usize {
        let pools = [
            self.zstd.count_unused(),
            self.deflate.count_unused(),
            self.lzma.count_unused(),
        ];
        pools.into_iter().fold(0, usize::saturating_add)
    }

    fn shrink(&self, max: usize) -> usize {
        // The largest first.
        let mut left = max;
        left = left.saturating_sub(self.zstd.shrink(left));
        left = left.saturating_sub(self.deflate.shrink(left));
        left = left.saturating_sub(self.lzma.shrink(left));
        max.saturating_sub(left)
    }
}

/// The place of `algorithm` in a set.
const fn bit(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::Lz4 => 1 << 0,
        Algorithm::Lzma => 1 << 1,
        Algorithm::Deflate => 1 << 2,
        Algorithm::Zstd => 1 << 3,
    }
}

/// A mounted image's right to decode: while it lasts, there is a decoder for each algorithm of the image.
pub(crate) struct Reservation {
    decoders: Arc<Decoders>,
    /// A [`bit`] for each.
    algorithms: u8,
}

impl Reservation {
    fn has(&self, algorithm: Algorithm) -> bool {
        self.algorithms & bit(algorithm) != 0
    }

    /// Frees the decoders of the module that nobody uses, all but one of each kind that a mount may need.
    pub(crate) fn free_unused(&self) {
        self.decoders.shrink(usize::MAX);
    }

    /// Decodes the stream `input`, without padding, into all of `output`, or fails.
    ///
    /// May wait for a decoder, and for nothing else. Output of a failed call is garbage.
    ///
    /// # Errors
    ///
    /// `EFSCORRUPTED`: the stream is none, is not as long as `how` says, or is of an algorithm that the image does not
    /// declare.
    pub(crate) fn decode(
        &self,
        algorithm: Algorithm,
        input: &[u8],
        output: &mut [u8],
        how: How,
    ) -> Result {
        if !self.has(algorithm) {
            return Err(EFSCORRUPTED);
        }
        match algorithm {
            Algorithm::Lz4 => decode::lz4(input, output, how),
            Algorithm::Lzma => self.decoders.lzma.decode(input, output, how),
            Algorithm::Deflate => self.decoders.deflate.decode(input, output, how),
            Algorithm::Zstd => self.decoders.zstd.decode(input, output, how),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.has(Algorithm::Lzma) {
            self.decoders.lzma.release();
        }
        if self.has(Algorithm::Deflate) {
            self.decoders.deflate.release();
        }
        if self.has(Algorithm::Zstd) {
            self.decoders.zstd.release();
        }
    }
}
