// SPDX-License-Identifier: GPL-2.0

//! What has to be done to fill a window of a compressed file.

use super::{
    large,
    resolve::{
        Found,
        Resolver, //
    }, //
};
use crate::data::{
    device::BEYOND,
    file::{
        File,
        Reader, //
    },
    leftovers::{
        self,
        Key,
        Recalled, //
    }, //
};
use crate::format::{
    self,
    compress::{
        Algorithm,
        Run,
        Space,
        Stored as Place, //
    },
    Source, //
};
use crate::vfs::{
    buffer::{
        Buffer,
        Need, //
    },
    fetch::Span,
    folios::Piece,
    iomap::Purpose,
    store::Store,
    PAGE_SIZE, //
};
use kernel::{
    alloc::AllocError,
    prelude::*, //
};

/// The bytes that are wanted.
pub(super) struct Window {
    pub(super) pos: u64,
    /// May be behind the end of the file, where bytes are zeros.
    pub(super) end: u64,
    pub(super) purpose: Purpose,
}

/// Steps that fill a window, each a run of its bytes, in order and without a gap.
pub(super) struct Plan {
    pub(super) steps: KVVec<Step>,
    /// The stored bytes that the steps need.
    pub(super) spans: KVec<Span>,
    /// How many bytes the last step fills behind the window.
    pub(super) beyond: usize,
}

/// What fills a run of bytes.
pub(super) struct Step {
    pub(super) pos: u64,
    pub(super) len: usize,
    pub(super) action: Action,
    /// The memory that it fills, until it is done.
    pub(super) piece: Option<Piece>,
    /// How it went.
    pub(super) done: format::Result<()>,
}

/// How it is filled.
pub(super) enum Action {
    Zero,
    /// It cannot be.
    Fail(format::Error),
    /// By bytes that were decoded earlier.
    Recall(Recalled),
    /// By stored bytes as they are: the first `head` bytes of the extent are at `head_at`, the others at 0; of all these the
    /// first `skip` are not wanted.
    Copy {
        stored: Stored,
        head: usize,
        head_at: usize,
        skip: usize,
    },
    Decode(Decode),
}

/// Stored bytes.
pub(super) enum Stored {
    /// Taken from the metadata.
    Here(Buffer),
    /// Those of span `index` from `offset` on.
    Fetched {
        index: usize,
        offset: usize,
        len: usize,
    },
}

/// An extent to be decoded.
pub(super) struct Decode {
    pub(super) stored: Stored,
    /// Among how many of the first stored bytes the stream starts.
    pub(super) padded: usize,
    pub(super) algorithm: Algorithm,
    /// How many bytes it has, and whether the stream may go on behind them.
    pub(super) whole: usize,
    pub(super) partial: bool,
    /// How many of its bytes come before the wanted ones.
    pub(super) skip: usize,
    /// Where it is decoded to, if not straight to where it is wanted.
    pub(super) scratch: Option<Buffer>,
    /// What becomes of the bytes that are decoded and not wanted.
    pub(super) rest: Rest,
}

/// Bytes of a file that the next reader may want: where they start, and the file.
pub(super) enum Rest {
    /// There are none, or nobody wants them.
    Gone,
    /// The last `len` ones that were decoded.
    Behind { key: Key, pos: u64, len: usize },
    /// All of the extent.
    Whole { key: Key, pos: u64 },
}

/// A range of the unified space that steps need.
struct Wanted {
    start: u64,
    end: u64,
    /// Up to where it is needed: the rest fills a block.
    need: u64,
}

struct Planner<'a> {
    file: &'a File<'a>,
    window: &'a Window,
    need: Need,
    steps: KVVec<Step>,
    wanted: KVec<Wanted>,
    /// How many bytes these are.
    fetched: u64,
    beyond: usize,
}

/// How much is read at once, if no single extent needs more.
const SPAN: u64 = 128 << 10;

/// A hostile image may cut a file into single bytes, and store each in a cluster of its own: no more of that at once.
const MOST_STEPS: usize = 8192;
/// In bytes.
const MOST_FETCHED: u64 = 64 << 20;
const TOO_MUCH: format::Error = format::Error::os(12, "too many extents for one read");

impl Plan {
    /// Plans a read. Where the image is at fault it fails for the bytes concerned only.
    pub(super) fn new(reader: &Reader<'_>, window: &Window) -> Result<Self> {
        let mut planner = Planner {
            file: &reader.file,
            window,
            need: match window.purpose.is_awaited() {
                true => Need::Must,
                false => Need::Optional,
            },
            // Mostly enough, for a page.
            steps: KVVec::with_capacity(4, GFP_KERNEL)?,
            wanted: KVec::new(),
            fetched: 0,
            beyond: 0,
        };
        planner.fill(&Resolver::new(reader))?;
        planner.finish()
    }
}

impl Planner<'_> {
    fn push(&mut self, pos: u64, len: u64, action: Action) -> Result {
        let len = usize::try_from(len)?;
        let step = Step {
            pos,
            len,
            action,
            piece: None,
            done: Ok(()),
        };
        self.steps.push(step, GFP_KERNEL)?;
        Ok(())
    }

    fn fill(&mut self, resolver: &format::Result<Resolver<'_>>) -> Result {
        let (mut pos, end) = (self.window.pos, self.window.end);
        let data = end.min(self.file.size);
        while pos < data {
            let left = data.saturating_sub(pos);
            let found = match resolver {
                _ if self.steps.len() > MOST_STEPS || self.fetched > MOST_FETCHED => Err(TOO_MUCH),
                Ok(resolver) => resolver.find(pos),
                Err(fault) => Err(*fault),
            };
            let (len, action) = match found {
                Ok(found) => self.step(&found, pos, left)?,
                Err(fault) => (left, Action::Fail(fault)),
            };
            self.push(pos, len, action)?;
            pos = pos.saturating_add(len.max(1));
        }
        let zeros = end.saturating_sub(pos.max(self.window.pos));
        match zeros {
            0 => Ok(()),
            _ => self.push(pos, zeros, Action::Zero),
        }
    }

    /// What fills the bytes from `pos` on, at most `left`, and how many it fills.
    fn step(&mut self, found: &Found, pos: u64, left: u64) -> Result<(u64, Action)> {
        let len = found.len(pos).min(left);
        let place = found.extent.stored;
        let filled = match place {
            Place::Hole => return Ok((len, Action::Zero)),
            Place::Encoded { .. } if found.packed || found.skip(pos) > 0 => {
                let volume = self.file.volume;
                let at = found.extent.pos.saturating_add(found.skip(pos));
                if let Some(recalled) = volume.leftovers.recall(found.key(volume), at) {
                    let have = recalled.bytes().len() as u64;
                    return Ok((len.min(have), Action::Recall(recalled)));
                }
                self.decode(found, pos, len)
            }
            Place::Encoded { .. } => self.decode(found, pos, len),
            Place::Plain { run, head, head_at } => self.stored(&run, found).map(|stored| {
                let copy = Action::Copy {
                    stored,
                    head: head as usize,
                    head_at: head_at as usize,
                    skip: found.skip(pos) as usize,
                };
                (len, copy)
            }),
            Place::Fragment { .. } => {
                Err(Refusal::Fault(format::Error::corrupt("nested fragment")))
            }
        };
        match filled {
            Ok(filled) => Ok(filled),
            Err(Refusal::Fault(fault)) => Ok((len, Action::Fail(fault))),
            Err(Refusal::Memory(e)) => Err(e),
        }
    }

    fn decode(
        &mut self,
        found: &Found,
        pos: u64,
        len: u64,
    ) -> core::result::Result<(u64, Action), Refusal> {
        let Place::Encoded {
            run,
            algorithm,
            partial,
        } = found.extent.stored
        else {
            return Err(Refusal::Fault(format::Error::corrupt("not encoded")));
        };
        let volume = self.file.volume;
        let stored = self.stored(&run, found)?;
        let block = volume.sb.block;
        let padded = block.size().saturating_sub(block.offset(run.addr));
        let (skip, whole) = (found.skip(pos), found.extent.len);
        let mut decode = Decode {
            stored,
            padded: padded.min(run.len.into()) as usize,
            algorithm,
            whole: usize::try_from(whole)?,
            partial,
            skip: usize::try_from(skip)?,
            scratch: None,
            rest: Rest::Gone,
        };
        let cache = volume.policy.cache();
        let key = found.key(volume);
        let behind = whole.saturating_sub(skip.saturating_add(len));
        if skip == 0 && behind == 0 {
            return Ok((len, Action::Decode(decode)));
        }
        // Less than a page is left, which starts the page behind the window: it is decoded there.
        let at_end = pos.saturating_add(len) == self.window.end;
        if skip == 0
            && at_end
            && self.window.purpose == Purpose::ReadAhead
            && cache.behind()
            && behind < PAGE_SIZE as u64
            && self.window.end % PAGE_SIZE as u64 == 0
        {
            self.beyond = behind as usize;
            decode.rest = Rest::Behind {
                key,
                pos: found.extent.pos.saturating_add(len),
                len: self.beyond,
            };
            return Ok((whole, Action::Decode(decode)));
        }
        let keep = match behind {
            0 => cache.before(),
            _ => cache.behind(),
        };
        // Of a small extent nobody will want the rest if the reader does not.
        let keep = keep
            && (found.packed
                || self.window.purpose == Purpose::ReadAhead
                || whole >= large(algorithm));
        // Who waits may be here because the extent is bad, which its first bytes need not show.
        let check = self.window.purpose.is_awaited();
        if check || (keep && decode.whole <= leftovers::LARGEST) {
            // Where there is no memory for all, the wanted bytes must do.
            decode.scratch = Buffer::new(decode.whole, Need::Optional).ok();
            if keep && decode.scratch.is_some() {
                decode.rest = Rest::Whole {
                    key,
                    pos: found.extent.pos,
                };
            }
        }
        if skip > 0 && decode.scratch.is_none() {
            let wanted = decode.skip.saturating_add(usize::try_from(len)?);
            decode.scratch = Some(Buffer::new(wanted, self.need)?);
        }
        Ok((len, Action::Decode(decode)))
    }

    /// Where the stored bytes of `run` will be.
    fn stored(&mut self, run: &Run, found: &Found) -> core::result::Result<Stored, Refusal> {
        let len = run.len as usize;
        if let Space::Inode = run.space {
            let mut bytes = Buffer::new(len, self.need)?;
            let volume = self.file.volume;
            volume
                .meta_of(found.nid)
                .read(run.addr, bytes.bytes_mut())?;
            return Ok(Stored::Here(bytes));
        }
        let block = self.file.volume.sb.block;
        let need = run.addr.checked_add(run.len.into()).ok_or(BEYOND)?;
        let end = need
            .checked_add(block.size().saturating_sub(1))
            .ok_or(BEYOND)?;
        let (start, end) = (block.floor(run.addr), block.floor(end));
        let volume = self.file.volume;
        let last = self.wanted.last_mut().filter(|last| {
            start >= last.start
                && start <= last.end
                && (end <= last.end || end.saturating_sub(last.start) <= SPAN)
                && volume.is_one_run(last.start, start)
        });
        let start = match last {
            Some(last) => {
                last.end = last.end.max(end);
                last.need = last.need.max(need);
                last.start
            }
            None => {
                self.wanted.push(Wanted { start, end, need }, GFP_KERNEL)?;
                self.fetched = self.fetched.saturating_add(end.saturating_sub(start));
                start
            }
        };
        Ok(Stored::Fetched {
            index: self.wanted.len().saturating_sub(1),
            offset: usize::try_from(run.addr.saturating_sub(start))?,
            len,
        })
    }

    /// Gets the memory for what is to be fetched.
    fn finish(mut self) -> Result<Plan> {
        let volume = self.file.volume;
        let mut spans = KVec::with_capacity(self.wanted.len(), GFP_KERNEL)?;
        let mut lost = None;
        for wanted in &self.wanted {
            let len = wanted.end.saturating_sub(wanted.start);
            let need = wanted.need.saturating_sub(wanted.start);
            let there = volume.locate(0, wanted.start).ok();
            let Some(there) = there.filter(|there| match there.store {
                Store::Block(_) => len <= there.rest,
                // Files may end anywhere.
                Store::File(_) => need <= there.rest,
            }) else {
                lost = Some(spans.len());
                break;
            };
            spans.push(
                Span {
                    store: match *there.store {
                        Store::File(file) => Store::File(file.direct(volume.policy.direct())),
                        store => store,
                    },
                    addr: there.addr,
                    bytes: Buffer::new(usize::try_from(len)?, self.need)?,
                    need: usize::try_from(need)?,
                },
                GFP_KERNEL,
            )?;
        }
        if let Some(lost) = lost {
            self.give_up(lost);
        }
        Ok(Plan {
            steps: self.steps,
            spans,
            beyond: self.beyond,
        })
    }

    /// Fails the steps that need spans from `lost` on, which are not on the device.
    fn give_up(&mut self, lost: usize) {
        for step in self.steps.iter_mut() {
            let stored = match &step.action {
                Action::Copy { stored, .. } => stored,
                Action::Decode(decode) => &decode.stored,
                _ => continue,
            };
            if matches!(stored, Stored::Fetched { index, .. } if *index >= lost) {
                step.action = Action::Fail(BEYOND);
            }
        }
    }
}

/// Why a step cannot be planned.
enum Refusal {
    /// The image is at fault: the step fails.
    Fault(format::Error),
    /// There is no memory: the read fails.
    Memory(Error),
}

impl From<format::Error> for Refusal {
    fn from(fault: format::Error) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for Refusal {
    fn from(e: Error) -> Self {
        Self::Memory(e)
    }
}

impl From<AllocError> for Refusal {
    fn from(e: AllocError) -> Self {
        Self::Memory(e.into())
    }
}

impl From<core::num::TryFromIntError> for Refusal {
    fn from(_: core::num::TryFromIntError) -> Self {
        Self::Fault(BEYOND)
    }
}
