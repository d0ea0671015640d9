// SPDX-License-Identifier: GPL-2.0

//! A read of a compressed file on its way.

use super::plan::{
    Action,
    Decode,
    Plan,
    Rest,
    Step,
    Stored,
    Window, //
};
use crate::data::{
    device::BEYOND,
    file::{
        File,
        Reader, //
    },
    policy::Decoding,
    volume::{
        self,
        Volume, //
    }, //
};
use crate::format::{
    self,
    compress,
    inode::Nid, //
};
use crate::vfs::{
    buffer::{
        Buffer,
        Need, //
    },
    claims::Claims,
    decode::How,
    fetch::{
        self,
        Fetch,
        Fetching, //
    },
    folios::{
        Cutter,
        Output, //
    },
    inflight::Running,
    iomap::Purpose,
    work, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// What is needed when all steps are done.
struct Ending {
    output: Arc<Output>,
    /// Keeps the volume's device in use.
    _running: Running,
}

/// A read: what has to be fetched, and the steps that use it.
#[pin_data]
pub(super) struct Batch {
    #[pin]
    fetch: Fetch,
    steps: Claims<Step, Ending>,
    bytes: usize,
    volume: Arc<Volume>,
    nid: Nid,
    purpose: Purpose,
}

/// What a read that is over has given.
struct Over {
    result: Result,
    /// The bytes, if they are for no page.
    buffer: Option<Buffer>,
}

impl Batch {
    /// A read by `plan` into `output`.
    pub(super) fn new(
        file: &File<'_>,
        mut plan: Plan,
        mut output: Cutter,
        purpose: Purpose,
    ) -> Result<Arc<Self>> {
        let mut bytes: usize = 0;
        for step in plan.steps.iter_mut() {
            bytes = bytes.saturating_add(step.len);
            step.piece = Some(output.cut(step.len).ok_or(EIO)?);
        }
        let ending = Ending {
            output: output.into_output(),
            _running: file.volume.begin(),
        };
        Arc::pin_init(
            pin_init!(Self {
                fetch <- Fetch::new(plan.spans, !purpose.is_awaited()),
                steps: Claims::new(plan.steps, ending),
                bytes,
                volume: file.volume.clone(),
                nid: file.nid,
                purpose,
            }),
            GFP_KERNEL,
        )
    }

    /// Reads: now, or some time where nobody waits.
    pub(super) fn run(self: Arc<Self>) -> Result {
        /// What is read ahead and decoded before the reader goes on, where the mount wants that.
        const SHORT: usize = 12 << 10;
        let decoding = self.volume.policy.decoding();
        let waits = match (self.purpose.is_awaited(), decoding) {
            (_, Decoding::Elsewhere) | (false, Decoding::Auto) => false,
            (false, Decoding::Here) => self.bytes <= SHORT,
            (true, _) => true,
        };
        if waits {
            fetch::wait(&self);
            return self.work().map_or(Ok(()), |over| over.result);
        }
        if let Some(this) = fetch::start(self) {
            let there = decoding == Decoding::Elsewhere && this.clone().work_elsewhere();
            if !there {
                this.share_out();
            }
        }
        Ok(())
    }

    /// Does the steps on as many CPUs as it is worth.
    fn share_out(self: Arc<Self>) {
        /// Less than this is done before another CPU has woken up.
        const SHARE: usize = 32 << 10;
        let shares = (self.bytes / SHARE)
            .min(self.steps.len())
            .min(work::cpus() as usize);
        for _ in 1..shares {
            if !self.clone().work_elsewhere() {
                break;
            }
        }
        self.work();
    }

    /// Lets another thread work, if there is memory to tell it so.
    fn work_elsewhere(self: Arc<Self>) -> bool {
        work::spawn(move || drop(self.work()))
    }

    /// Does the steps that nobody has claimed. The one who does the last of all ends the read.
    fn work(&self) -> Option<Over> {
        while let Some(mut step) = self.steps.claim() {
            step.run(self);
            if let Some((steps, ending)) = step.done() {
                return Some(self.end(&steps, ending));
            }
            work::yield_now();
        }
        None
    }

    fn end(&self, steps: &[Step], ending: Ending) -> Over {
        let failed = steps.iter().find_map(|step| step.done.err());
        let errno = |step: &Step| step.done.err().map(|fault| volume::errno(&fault));
        let buffer = ending.output.finish(|from, to| {
            failed?;
            steps
                .iter()
                .filter(|step| step.pos < to && step.end() > from)
                .find_map(errno)
        });
        Over {
            result: failed.map_or(Ok(()), |fault| Err(volume::errno(&fault))),
            buffer,
        }
    }
}

impl Fetching for Batch {
    fn fetch(&self) -> &Fetch {
        &self.fetch
    }

    fn arrived(self: Arc<Self>) {
        self.share_out();
    }
}

impl Step {
    /// The position behind its bytes.
    fn end(&self) -> u64 {
        self.pos.saturating_add(self.len as u64)
    }

    fn run(&mut self, batch: &Batch) {
        // Gone when this returns: the memory is to be finished.
        if let Some(mut piece) = self.piece.take() {
            self.done = self.action.fill(piece.bytes_mut(), batch);
        }
        if let (Err(fault), true) = (self.done, batch.purpose.is_awaited()) {
            batch.volume.report(batch.nid, fault);
        }
    }
}

impl Action {
    /// Writes all of `out`, or fails.
    fn fill(&mut self, out: &mut [u8], batch: &Batch) -> format::Result<()> {
        match self {
            Self::Zero => out.fill(0),
            Self::Fail(fault) => return Err(*fault),
            Self::Recall(recalled) => copy(out, recalled.bytes(), 0)?,
            Self::Copy {
                stored,
                head,
                head_at,
                skip,
            } => {
                let bytes = stored.bytes(batch)?;
                let before = head.saturating_sub(*skip).min(out.len());
                let (first, second) = out.split_at_mut(before);
                // Who skips more than the head gets nothing of it, from no place beyond the stored bytes.
                copy(first, bytes, head_at.saturating_add(*head.min(skip)))?;
                copy(second, bytes, skip.saturating_sub(*head))?;
            }
            Self::Decode(decode) => decode.fill(out, batch)?,
        }
        Ok(())
    }
}

impl Stored {
    fn bytes<'a>(&'a self, batch: &'a Batch) -> format::Result<&'a [u8]> {
        match self {
            Self::Here(buffer) => Ok(buffer.bytes()),
            Self::Fetched { index, offset, len } => {
                let read_error = |_| format::Error::os(5, "cannot read compressed data");
                let span = batch.fetch.bytes(*index).map_err(read_error)?;
                let end = offset.saturating_add(*len);
                span.get(*offset..end).ok_or(BEYOND)
            }
        }
    }
}

impl Decode {
    fn fill(&mut self, out: &mut [u8], batch: &Batch) -> format::Result<()> {
        let bytes = self.stored.bytes(batch)?;
        let zeros = compress::padding(bytes.get(..self.padded).unwrap_or(bytes))?;
        let stream = bytes.get(zeros..).unwrap_or(&[]);
        let leftovers = &batch.volume.leftovers;
        let decode = |to: &mut [u8]| {
            let how = match to.len() == self.whole && !self.partial {
                true => How::Exact,
                false => How::Prefix,
            };
            batch
                .volume
                .decoders
                .decode(self.algorithm, stream, to, how)
                .map_err(|e| format::Error::os(e.to_errno().wrapping_neg(), "failed to decompress"))
        };
        let Some(mut scratch) = self.scratch.take() else {
            decode(out)?;
            if let Rest::Behind { key, pos, len } = self.rest {
                let start = out.len().saturating_sub(len);
                // Without memory it is decoded again.
                if let Ok(mut rest) = Buffer::new(len, Need::AtHand) {
                    copy(rest.bytes_mut(), out, start)?;
                    leftovers.keep(key, pos, rest);
                }
            }
            return Ok(());
        };
        decode(scratch.bytes_mut())?;
        copy(out, scratch.bytes(), self.skip)?;
        if let Rest::Whole { key, pos } = self.rest {
            leftovers.keep(key, pos, scratch);
        }
        Ok(())
    }
}

/// Fills `to` from byte `at` of `from`.
fn copy(to: &mut [u8], from: &[u8], at: usize) -> format::Result<()> {
    let end = at.saturating_add(to.len());
    let from = from
        .get(at..end)
        .ok_or(format::Error::corrupt("more bytes than are stored"))?;
    // As many as there are: no lengths to disagree on.
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    Ok(())
}

/// Reads the bytes of `file` at `pos`, which are all below its size.
pub(super) fn read_bytes(reader: &Reader<'_>, pos: u64, buf: &mut [u8]) -> Result {
    let window = Window {
        pos,
        end: pos.saturating_add(buf.len() as u64),
        purpose: Purpose::Read,
    };
    let plan = Plan::new(reader, &window)?;
    let output = Output::in_buffer(Buffer::new(buf.len(), Need::Must)?)?;
    let batch = Batch::new(&reader.file, plan, output, Purpose::Read)?;
    fetch::wait(&batch);
    let over = batch.work().ok_or(EIO)?;
    over.result?;
    let bytes = over.buffer.ok_or(EIO)?;
    copy(buf, bytes.bytes(), 0).map_err(|fault| volume::errno(&fault))
}
