//! Reads gzip files of one or several members, as parallel packers write them and `cat` joins them. All members are
//! one stream here; anything else after the last member is an error.

use flate2::bufread::GzDecoder;
use std::io::{BufRead, Error, ErrorKind, Read, Result};

/// The first byte of every member.
const MAGIC: u8 = 0x1f;

/// A reader of what all members of a gzip file unpack to. Reading to the end compares every checksum.
pub(super) struct Gzip<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Gzip<R> {
    pub(super) fn new(file: R) -> Gzip<R> {
        Gzip(Some(GzDecoder::new(file)))
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while let Some(member) = &mut self.0 {
            let n = member.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            let Some(mut rest) = self.0.take().map(GzDecoder::into_inner) else { break };
            match rest.fill_buf()?.first() {
                None => break,
                Some(&MAGIC) => self.0 = Some(GzDecoder::new(rest)),
                Some(_) => return Err(Error::new(ErrorKind::InvalidData, "what follows its end is no gzip")),
            }
        }
        Ok(0)
    }
}
