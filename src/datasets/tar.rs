//! Reads `.tar.gz` archives, in which CIFAR is published. It needs only plain files of known names, so it reads
//! forward and never writes a path to the disk. The format is POSIX ustar.

use super::gzip::Gzip;
use crate::io::{Limits, check};
use crate::{Error, Result};
use std::io::{BufRead, Read};

const BLOCK: usize = 512;

/// Returns the wanted files of a gzip tar archive, by the last part of their path; each has at most `largest`
/// bytes. Others are skipped.
pub(super) fn files(
    archive: impl BufRead,
    wanted: &[&str],
    largest: usize,
    what: &str,
    limits: &Limits,
) -> Result<Vec<(String, Vec<u8>)>> {
    let damaged = |e: std::io::Error| Error::format(what, format!("damaged or cut archive: {e}"));
    let mut stream = Gzip::new(archive);
    let (mut found, mut total): (Vec<(String, Vec<u8>)>, u64) = (Vec::new(), 0);
    loop {
        let mut header = [0; BLOCK];
        stream.read_exact(&mut header).map_err(damaged)?;
        if header == [0; BLOCK] {
            // To the end, where the stream's checksum is.
            let left = limits.max_total_bytes.saturating_sub(total);
            std::io::copy(&mut stream.take(left), &mut std::io::sink()).map_err(damaged)?;
            return Ok(found);
        }
        let (name, size) =
            entry(&header).ok_or_else(|| Error::format(what, "not a tar archive, or damaged"))?;
        total = total.saturating_add(size).saturating_add(BLOCK as u64);
        check(what, "the unpacked size in bytes", total, limits.max_total_bytes)?;
        let plain = matches!(header[156], 0 | b'0');
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        let mut skip = size + padding;
        if plain && wanted.contains(&name) && !found.iter().any(|(n, _)| n == name) {
            if size > largest as u64 {
                return Err(Error::format(
                    what,
                    format!("{name} is larger than the {largest} bytes it should have"),
                ));
            }
            let mut bytes = Vec::new();
            let full =
                || Error::Io { path: what.to_string(), source: std::io::ErrorKind::OutOfMemory.into() };
            bytes.try_reserve_exact(size as usize).map_err(|_| full())?;
            stream.by_ref().take(size).read_to_end(&mut bytes).map_err(damaged)?;
            if bytes.len() as u64 != size {
                return Err(damaged(std::io::ErrorKind::UnexpectedEof.into()));
            }
            found.push((name.to_string(), bytes));
            skip = padding;
        }
        let skipped =
            std::io::copy(&mut stream.by_ref().take(skip), &mut std::io::sink()).map_err(damaged)?;
        if skipped != skip {
            return Err(damaged(std::io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

/// Returns the last part of a file's path, and its size; `None` if the checksum does not match.
fn entry(header: &[u8; BLOCK]) -> Option<(&str, u64)> {
    let octal = |field: &[u8]| {
        let text = std::str::from_utf8(field).ok()?;
        let digits = text.trim_matches(['\0', ' ']);
        // Its own parser would take a sign as well.
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| u64::from_str_radix(digits, 8).ok())?
    };
    // The checksum is computed with spaces in the checksum's place.
    let sum: u64 = header.iter().map(|&b| u64::from(b)).sum();
    let own: u64 = header[148..156].iter().map(|&b| u64::from(b)).sum();
    if octal(&header[148..156])? != sum - own + 8 * u64::from(b' ') {
        return None;
    }
    let path = header[..100].split(|&b| b == 0).next()?;
    let path = std::str::from_utf8(path).ok()?;
    // Files of 8 GiB and more write their size differently; none is wanted.
    Some((path.rsplit('/').next()?, octal(&header[124..136])?))
}
