//! A file of events: records with checksums, so that a reader that looks on while it grows sees where it ends.

use super::summary;
use crate::io::proto::Message;
use crate::tensor::Tensor;
use crate::{Error, Result, clock};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file in which TensorBoard finds scalars and histograms. Each file in a folder of its own is a run.
///
/// ```
/// use gradus::Tensor;
/// use gradus::tensorboard::EventFile;
///
/// let folder = std::env::temp_dir().join(format!("gradus-events-{}", std::process::id()));
/// let mut run = EventFile::create(folder.join("mine"))?;
/// for step in 0..3 {
///     run.scalar("reward", f64::from(step).sqrt(), i64::from(step))?;
/// }
/// run.histogram("weights", &Tensor::randn([100], 1)?, 0)?;
/// run.flush()?;
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), gradus::Error>(())
/// ```
#[derive(Debug)]
pub struct EventFile {
    out: BufWriter<File>,
    path: PathBuf,
}

impl EventFile {
    /// Makes a new file in a folder, which is made too if it is not there.
    ///
    /// # Errors
    /// The system refuses.
    pub fn create(folder: impl AsRef<Path>) -> Result<EventFile> {
        let folder = folder.as_ref();
        let failed = |source| Error::Io { path: folder.display().to_string(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let (second, process) = (clock::since_1970().unwrap_or(0.0) as u64, std::process::id());
        for number in 0u32.. {
            // The reader knows such files by "tfevents"; the rest only keeps names apart.
            let path = folder.join(format!("events.out.tfevents.{second:010}.gradus.{process}.{number}.v2"));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    let mut events = EventFile { out: BufWriter::new(file), path };
                    events.event(None, |event| event.blob(FILE_VERSION, "brain.Event:2"))?;
                    return Ok(events);
                }
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(failed(e)),
            }
        }
        Err(failed(std::io::ErrorKind::AlreadyExists.into()))
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number at a step, under a tag.
    ///
    /// # Errors
    /// The system refuses to write.
    pub fn scalar(&mut self, tag: &str, value: f64, step: i64) -> Result<()> {
        self.summary(&summary::scalar(tag, value), step)
    }

    /// How the numbers of a tensor are spread, in 30 buckets from the least to the largest. What is not finite is left out.
    ///
    /// # Errors
    /// The tensor has no values, or the system refuses to write.
    pub fn histogram(&mut self, tag: &str, values: &Tensor, step: i64) -> Result<()> {
        self.summary(&summary::histogram(tag, values)?, step)
    }

    fn summary(&mut self, summary: &Message, step: i64) -> Result<()> {
        self.event(Some(step), |event| event.message(SUMMARY, summary))
    }

    /// A graph of operations.
    pub(super) fn graph(&mut self, graph: &Message) -> Result<()> {
        self.event(None, |event| event.message(GRAPH, graph))
    }

    fn event(&mut self, step: Option<i64>, what: impl FnOnce(Message) -> Message) -> Result<()> {
        let mut event = Message::new().double(WALL_TIME, clock::since_1970().unwrap_or(0.0));
        if let Some(step) = step {
            event = event.int(STEP, step);
        }
        self.record(what(event).bytes())
    }

    /// A record: its length, the length's checksum, the bytes, their checksum.
    fn record(&mut self, bytes: &[u8]) -> Result<()> {
        let length = (bytes.len() as u64).to_le_bytes();
        let parts = [&length[..], &masked(&length), bytes, &masked(bytes)];
        parts.iter().try_for_each(|part| self.out.write_all(part)).map_err(|e| self.failed(e))
    }

    /// Hands to the system what was written.
    ///
    /// # Errors
    /// The system refuses to write.
    pub fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(|e| self.failed(e))
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::Io { path: self.path.display().to_string(), source }
    }
}

// The fields of an event.
const WALL_TIME: u32 = 1;
const STEP: u32 = 2;
const FILE_VERSION: u32 = 3;
const GRAPH: u32 = 4;
const SUMMARY: u32 = 5;

/// The checksum of bytes as records have it: turned and moved, because a checksum of bytes that hold their checksum is a poor one.
fn masked(bytes: &[u8]) -> [u8; 4] {
    let mut sum = !0u32;
    for &byte in bytes {
        sum = sum >> 8 ^ TABLE[((sum ^ u32::from(byte)) & 0xff) as usize];
    }
    (!sum).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// CRC-32C (Castagnoli) of each byte.
const TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut sum, mut bit) = (byte as u32, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};
