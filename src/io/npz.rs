//! Reads and writes `.npz` files, several arrays in one file, as `numpy.savez` and `numpy.savez_compressed` write
//! them: a ZIP archive of `.npy` files. So little of ZIP is needed (members that are stored or deflated, below 4
//! GiB) that it is implemented here, where each length is checked against [`Limits`] before it costs anything. The
//! format is PKWARE's APPNOTE.

use super::{Limits, check, npy, read_file, write_atomically};
use crate::{Error, Result, Tensor};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// The sizes of these records without names, extra fields and comments.
const LOCAL_BYTES: usize = 30;
const CENTRAL_BYTES: usize = 46;
const END_BYTES: usize = 22;
/// The flag of encrypted members, and that of names in UTF-8.
const ENCRYPTED: u16 = 1;
/// The number of the only compression that is supported.
const DEFLATED: u16 = 8;
/// What every member's name ends with.
const SUFFIX: &str = ".npy";
/// What to do when one member cannot be read.
const OTHERS: &str = " (npz::read_only reads the others)";
/// A member's date, 1 January 1980: the same arrays give the same bytes.
const DATE: [u8; 4] = [0, 0, 0x21, 0];

/// Reads all arrays of an archive, by name, in the order of the file.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, otherwise the errors of [`decode`].
pub fn read(path: impl AsRef<Path>, limits: &Limits) -> Result<Vec<(String, Tensor)>> {
    let path = path.as_ref();
    decode(&read_file(path, limits.max_file_bytes)?, &path.display().to_string(), limits)
}

/// Reads the arrays of these names, in this order. The others may be anything: text, objects, files that are not
/// arrays.
///
/// # Errors
/// Those of [`read`], for these members only; or a name does not exist or is given twice.
pub fn read_only(path: impl AsRef<Path>, names: &[&str], limits: &Limits) -> Result<Vec<(String, Tensor)>> {
    let path = path.as_ref();
    decode_only(&read_file(path, limits.max_file_bytes)?, &path.display().to_string(), names, limits)
}

/// Decodes the bytes of a `.npz` file; `what` names them in errors.
///
/// # Errors
/// [`Error::Format`] for what is not a ZIP archive, is damaged (every checksum is checked), is encrypted, uses
/// another compression or ZIP64, or has a member that is not a `.npy` file; those of [`npy::decode`] with the
/// member's name; [`Error::Limit`]. Without the feature `datasets`, compressed members are an error that names the
/// feature. If a member cannot be read, [`decode_only`] reads the others.
pub fn decode(bytes: &[u8], what: &str, limits: &Limits) -> Result<Vec<(String, Tensor)>> {
    let members = members(bytes, what, limits)?;
    if let Some(member) = members.iter().find(|m| !m.name.ends_with(SUFFIX)) {
        return Err(Error::format(what, format!("member '{}' is not a .npy file{OTHERS}", member.name)));
    }
    load(bytes, what, members, limits)
}

/// [`read_only`] from bytes.
///
/// # Errors
/// Those of [`read_only`].
pub fn decode_only(
    bytes: &[u8],
    what: &str,
    names: &[&str],
    limits: &Limits,
) -> Result<Vec<(String, Tensor)>> {
    let mut all = members(bytes, what, limits)?;
    let mut chosen = Vec::new();
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            return Err(Error::argument("names", "each name once", format!("'{name}' twice")));
        }
        let Some(at) = all.iter().position(|m| m.name.strip_suffix(SUFFIX) == Some(name)) else {
            let there: Vec<&str> =
                all.iter().chain(&chosen).filter_map(|m| m.name.strip_suffix(SUFFIX)).collect();
            return Err(Error::format(what, format!("no array '{name}'; there are {}", there.join(", "))));
        };
        chosen.push(all.swap_remove(at));
    }
    load(bytes, what, chosen, limits)
}

/// Returns the members that the directory lists, with distinct names.
fn members(bytes: &[u8], what: &str, limits: &Limits) -> Result<Vec<Member>> {
    check(what, "the file's size in bytes", bytes.len() as u64, limits.max_file_bytes)?;
    let (count, directory) = directory(bytes, what)?;
    check(what, "the number of tensors", count as u64, limits.max_tensors)?;
    let mut rest = directory;
    let (mut members, mut names) = (Vec::new(), BTreeSet::new());
    for _ in 0..count {
        let member = Member::parse(&mut rest, what, limits)?;
        if !names.insert(member.name.clone()) {
            return Err(Error::format(what, format!("member '{}' is there twice", member.name)));
        }
        members.push(member);
    }
    Ok(members)
}

/// Reads the arrays of these members.
fn load(bytes: &[u8], what: &str, members: Vec<Member>, limits: &Limits) -> Result<Vec<(String, Tensor)>> {
    let total = members.iter().fold(0u64, |sum, m| sum.saturating_add(m.size as u64));
    check(
        what,
        "the unpacked size in bytes",
        total,
        limits.max_total_bytes.saturating_add(limits.max_header_bytes),
    )?;
    let mut arrays: Vec<(String, Tensor)> = Vec::new();
    let mut left = limits.max_total_bytes;
    for member in members {
        let place = format!("{what}: {}", member.name);
        let unpacked = member.unpack(bytes, &place)?;
        let tensor =
            npy::decode(&unpacked, &place, &limits.clone().max_total_bytes(left)).map_err(|e| match e {
                Error::Format { what, why } => Error::Format { what, why: why + OTHERS },
                other => other,
            })?;
        left -= (tensor.elements() * tensor.dtype().size()) as u64;
        let name = member.name.strip_suffix(SUFFIX).unwrap_or(&member.name);
        arrays.push((name.to_string(), tensor));
    }
    Ok(arrays)
}

/// Writes arrays by name, as `numpy.savez` does (uncompressed). It writes to a temporary name, then renames.
///
/// # Errors
/// [`Error::Io`], or those of [`encode`].
pub fn write(path: impl AsRef<Path>, arrays: &[(&str, &Tensor)]) -> Result<()> {
    write_atomically(path.as_ref(), &encode(arrays)?)
}

/// Returns the bytes of an archive; the same arrays give the same bytes.
///
/// # Errors
/// Those of [`npy::encode`]; a name is given twice or is longer than 65,000 bytes; there are more than 65,535
/// arrays; or the archive would reach 4 GiB.
pub fn encode(arrays: &[(&str, &Tensor)]) -> Result<Vec<u8>> {
    let (mut out, mut central) = (Vec::new(), Vec::new());
    let small = |n: usize, expected: &'static str| {
        u32::try_from(n).map_err(|_| Error::argument("npz", expected, format!("{n} bytes")))
    };
    let count = u16::try_from(arrays.len())
        .map_err(|_| Error::argument("npz", "at most 65535 arrays", arrays.len()))?;
    for (i, (name, tensor)) in arrays.iter().enumerate() {
        if arrays[..i].iter().any(|(n, _)| n == name) {
            return Err(Error::argument("npz", "each name once", format!("'{name}' twice")));
        }
        if name.len() > 65_000 {
            return Err(Error::argument("npz", "names of at most 65000 bytes", name.len()));
        }
        let data = npy::encode(tensor)?;
        let size = small(data.len(), "arrays below 4 GiB")?;
        let name = format!("{name}.npy");
        // From "version needed" to "length of extra field": the same in both records. Flag 0x800 means that the
        // name is UTF-8.
        let mut common = vec![20, 0, 0, 8, 0, 0];
        common.extend(DATE);
        common.extend(crc32(&data).to_le_bytes());
        common.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        let offset = small(out.len(), "an archive below 4 GiB")?;
        let memory = || Error::Io { path: "npz".into(), source: std::io::ErrorKind::OutOfMemory.into() };
        out.try_reserve(data.len() + name.len() + 2 * common.len()).map_err(|_| memory())?;
        out.extend(LOCAL.to_le_bytes());
        out.extend(&common);
        out.extend(name.bytes());
        out.extend(data);
        central.extend(CENTRAL.to_le_bytes());
        central.extend([20, 0]);
        central.extend(&common);
        central.extend([0; 10]);
        central.extend(offset.to_le_bytes());
        central.extend(name.bytes());
    }
    let offset = small(out.len(), "an archive below 4 GiB")?;
    let length = small(central.len(), "an archive below 4 GiB")?;
    out.extend(central);
    out.extend(END.to_le_bytes());
    out.extend([0; 4]);
    out.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    out.extend([length.to_le_bytes(), offset.to_le_bytes()].concat());
    out.extend([0, 0]);
    Ok(out)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Returns how many members the archive has, and the bytes in which they are listed.
fn directory<'a>(bytes: &'a [u8], what: &str) -> Result<(usize, &'a [u8])> {
    let foreign = |why: &str| Error::format(what, format!("not a .npz file: {why}"));
    // The last record is followed by a comment of at most 65,535 bytes, whose length it states.
    let last =
        bytes.len().checked_sub(END_BYTES).ok_or_else(|| foreign("it is too short for a ZIP archive"))?;
    let fits = |&at: &usize| {
        let comment = u16_at(bytes, at + END_BYTES - 2).map(usize::from);
        u32_at(bytes, at) == Some(END) && comment == Some(bytes.len() - at - END_BYTES)
    };
    let at = (last.saturating_sub(usize::from(u16::MAX))..=last).rev().find(fits);
    let at = at.ok_or_else(|| foreign("it has no end record of a ZIP archive, so it may be cut"))?;
    let word = |i: usize| u16_at(bytes, at + i).unwrap_or_default();
    let long = |i: usize| u32_at(bytes, at + i).unwrap_or_default();
    let (disk, first_disk, here, count) = (word(4), word(6), word(8), word(10));
    let (length, offset) = (long(12), long(16));
    if count == u16::MAX || length == u32::MAX || offset == u32::MAX {
        return Err(Error::format(what, "ZIP64 archives (4 GiB or 65,535 members and more) cannot be read"));
    }
    if (disk, first_disk) != (0, 0) || here != count {
        return Err(foreign("it is one part of an archive in several"));
    }
    let directory = bytes[..at].get(offset as usize..).and_then(|rest| rest.get(..length as usize));
    Ok((usize::from(count), directory.ok_or_else(|| foreign("its directory lies outside of it"))?))
}

/// A member as listed in the directory.
struct Member {
    name: String,
    /// Why it cannot be read, if so.
    refused: Option<String>,
    deflated: bool,
    crc: u32,
    packed: usize,
    size: usize,
    offset: usize,
}

impl Member {
    /// Takes the next member from the directory.
    fn parse(rest: &mut &[u8], what: &str, limits: &Limits) -> Result<Member> {
        let short = || Error::format(what, "the ZIP directory is cut short or damaged");
        let entry = *rest;
        if u32_at(entry, 0) != Some(CENTRAL) || entry.len() < CENTRAL_BYTES {
            return Err(short());
        }
        let word = |i: usize| u16_at(entry, i).unwrap_or_default();
        let long = |i: usize| u32_at(entry, i).unwrap_or_default() as usize;
        let (name, extra, comment) = (word(28), word(30), word(32));
        check(what, "the length of a name", name.into(), limits.max_name)?;
        let end = CENTRAL_BYTES + usize::from(name);
        let name = entry.get(CENTRAL_BYTES..end).ok_or_else(short)?;
        let name =
            std::str::from_utf8(name).map_err(|_| Error::format(what, "a member's name is not UTF-8"))?;
        *rest = entry.get(end + usize::from(extra) + usize::from(comment)..).ok_or_else(short)?;
        let (packed, size, offset) = (long(20), long(24), long(42));
        let refused = if word(8) & ENCRYPTED != 0 {
            Some("it is encrypted".to_string())
        } else if ![0, DEFLATED].contains(&word(10)) {
            Some(format!("it uses compression {}: expected stored (0) or deflate (8)", word(10)))
        } else if [packed, size, offset].contains(&(u32::MAX as usize)) {
            Some("it is ZIP64 (4 GiB and more), which cannot be read".to_string())
        } else {
            None
        };
        let crc = u32_at(entry, 16).unwrap_or_default();
        let deflated = word(10) == DEFLATED;
        Ok(Member { name: name.to_string(), refused, deflated, crc, packed, size, offset })
    }

    /// Returns the member's bytes, checked.
    fn unpack<'a>(&self, archive: &'a [u8], what: &str) -> Result<Cow<'a, [u8]>> {
        if let Some(why) = &self.refused {
            return Err(Error::format(what, format!("{why}{OTHERS}")));
        }
        let outside = || Error::format(what, "the member lies outside of the archive");
        let local = archive.get(self.offset..).ok_or_else(outside)?;
        if u32_at(local, 0) != Some(LOCAL) {
            return Err(Error::format(what, "there is no member where the ZIP directory says"));
        }
        let length = |at| u16_at(local, at).map(usize::from).ok_or_else(outside);
        let start = LOCAL_BYTES + length(26)? + length(28)?;
        let packed = local.get(start..).and_then(|rest| rest.get(..self.packed)).ok_or_else(outside)?;
        let data = match self.deflated {
            true => Cow::Owned(inflate(packed, self.size, what)?),
            false => Cow::Borrowed(packed),
        };
        if data.len() != self.size {
            let (size, found) = (self.size, data.len());
            return Err(Error::format(what, format!("the directory says {size} bytes, found {found}")));
        }
        if crc32(&data) != self.crc {
            return Err(Error::format(what, "the bytes do not have the checksum that the directory says"));
        }
        Ok(data)
    }
}

#[cfg(not(feature = "datasets"))]
fn inflate(_: &[u8], _: usize, what: &str) -> Result<Vec<u8>> {
    Err(Error::format(
        what,
        "the member is compressed: enable the feature `datasets` of gradus, or use numpy.savez",
    ))
}

/// Unpacks to at most one byte more than `size`.
#[cfg(feature = "datasets")]
fn inflate(packed: &[u8], size: usize, what: &str) -> Result<Vec<u8>> {
    use std::io::Read;
    /// The most that Deflate can expand one byte to.
    const MOST: usize = 1032;
    if size > packed.len().saturating_mul(MOST) {
        let why = format!("the directory says {size} bytes, more than {} packed ones can hold", packed.len());
        return Err(Error::format(what, why));
    }
    let mut out = Vec::new();
    let full = || Error::Io { path: what.to_string(), source: std::io::ErrorKind::OutOfMemory.into() };
    out.try_reserve_exact(size).map_err(|_| full())?;
    let stream = flate2::bufread::DeflateDecoder::new(packed);
    let unpacked = stream.take(size as u64 + 1).read_to_end(&mut out);
    unpacked.map_err(|e| Error::format(what, format!("damaged deflate stream: {e}")))?;
    Ok(out)
}

/// The checksum of ZIP: CRC-32 with the polynomial 0xEDB88320.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let (mut value, mut bit) = (i as u32, 0);
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ 0xEDB8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[i] = value;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(!0u32, |crc, &b| crc >> 8 ^ TABLE[usize::from(crc as u8 ^ b)])
}
