//! Reads files within limits. A path can name anything, so readers accept only regular files: none of them waits
//! for a pipe that nobody writes to, or starts on a device that never ends. The system may report a wrong length,
//! so they count the bytes they really get.

use super::check;
use crate::event::event;
use crate::{Error, Result};
use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::path::Path;

/// Opens a regular file (or the target of a link to one) of at most `limit` bytes, without ever waiting.
///
/// # Errors
/// [`Error::Format`] for a folder, a pipe, a socket or a device; [`Error::Limit`] if the file's declared length is
/// over the limit; [`Error::Io`] if the system fails to open it.
pub(crate) fn open_file(path: &Path, limit: u64) -> Result<(File, u64)> {
    let what = path.display().to_string();
    let io = |source| Error::Io { path: what.clone(), source };
    regular(&what, &std::fs::metadata(path).map_err(io)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    // A pipe that takes the file's place between the two checks must not block either.
    #[cfg(target_os = "linux")]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    regular(&what, &metadata)?;
    check(&what, "the file's size in bytes", metadata.len(), limit)?;
    Ok((file, metadata.len()))
}

/// Reads a whole regular file of at most `limit` bytes.
///
/// # Errors
/// Those of [`open_file`]; [`Error::Limit`] if more bytes come than are allowed; [`Error::Io`] if the system fails
/// to read, or has not enough memory for the file.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let (file, declared) = open_file(path, limit)?;
    let what = path.display().to_string();
    let io = |source| Error::Io { path: what.clone(), source };
    let mut bytes = Vec::new();
    let hint = usize::try_from(declared).unwrap_or(usize::MAX);
    bytes.try_reserve_exact(hint).map_err(|_| io(std::io::ErrorKind::OutOfMemory.into()))?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
    check(&what, "the file's size in bytes", bytes.len() as u64, limit)?;
    event!(info, "read {what}, {} bytes", bytes.len());
    Ok(bytes)
}

/// Fails unless this is a regular file.
fn regular(what: &str, metadata: &Metadata) -> Result<()> {
    match kind(metadata) {
        None => Ok(()),
        Some("a folder") => Err(Error::format(what, "expected a file, found a folder")),
        Some(kind) => Err(Error::format(
            what,
            format!(
                "expected a regular file, found {kind}: read its bytes yourself and give them to the function that takes bytes \
                 (parse, decode, from_bytes)"
            ),
        )),
    }
}

/// Returns what something is that is not a regular file.
pub(super) fn kind(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a pipe");
        } else if kind.is_socket() {
            return Some("a socket");
        } else if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
    }
    if kind.is_dir() {
        return Some("a folder");
    }
    (!kind.is_file()).then_some("something else")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_exact() {
        let path = std::env::temp_dir().join(format!("gradus-read-{}", std::process::id()));
        std::fs::write(&path, [7; 10]).unwrap();
        assert_eq!(read_file(&path, 10).unwrap(), [7; 10]);
        assert_eq!(read_file(&path, 11).unwrap(), [7; 10]);
        assert!(matches!(read_file(&path, 9), Err(Error::Limit { got: 10, limit: 9, .. })));
        std::fs::remove_file(&path).unwrap();
        let e = read_file(&path, 10).unwrap_err();
        assert!(matches!(e, Error::Io { .. }) && e.to_string().contains("gradus-read"), "{e}");
    }

    /// Files under `/proc` are regular and declare no length, but give bytes.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_declares_no_length_is_still_bounded() {
        let path = Path::new("/proc/self/status");
        assert_eq!(std::fs::metadata(path).unwrap().len(), 0);
        assert!(read_file(path, 1 << 20).unwrap().len() > 10);
        assert!(matches!(read_file(path, 10), Err(Error::Limit { got: 11, .. })));
    }

    #[test]
    fn a_folder_is_an_error() {
        let e = read_file(&std::env::temp_dir(), u64::MAX).unwrap_err();
        assert!(e.to_string().ends_with("expected a file, found a folder"), "{e}");
    }
}
