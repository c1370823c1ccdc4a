//! Why it exists: a file's length as the system tells it can be wrong (devices, pipes, files that grow), so a
//! reader that bounds memory must count the bytes it really gets.

use super::check;
use crate::event::event;
use crate::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// [`Error::Limit`] if the file is longer, by its declared length or by the bytes that came; [`Error::Io`] if the
/// system refuses to open or read it, or has no memory for it.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let what = path.display().to_string();
    let io = |source| Error::Io { path: what.clone(), source };
    let file = File::open(path).map_err(io)?;
    let declared = file.metadata().map_err(io)?.len();
    check(&what, "the file's size in bytes", declared, limit)?;
    let mut bytes = Vec::new();
    let hint = usize::try_from(declared).unwrap_or(usize::MAX);
    bytes.try_reserve_exact(hint).map_err(|_| io(std::io::ErrorKind::OutOfMemory.into()))?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
    check(&what, "the file's size in bytes", bytes.len() as u64, limit)?;
    event!(info, "read {what}, {} bytes", bytes.len());
    Ok(bytes)
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

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_that_declares_no_length_is_still_bounded() {
        assert!(matches!(read_file(Path::new("/dev/zero"), 1000), Err(Error::Limit { got: 1001, .. })));
    }

    #[test]
    fn a_folder_is_an_error() {
        assert!(matches!(read_file(&std::env::temp_dir(), u64::MAX), Err(Error::Io { .. })));
    }
}
