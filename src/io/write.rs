//! Why it exists: a program can be killed while it writes. A file that others read is whole or is not there: it is
//! written beside its place under another name, brought to the disk, and renamed.

use crate::event::event;
use crate::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// How many taken names to try.
const TRIES: u32 = 1000;

/// Makes or replaces the file at `path` with these bytes, or leaves what was there.
///
/// # Errors
/// [`Error::Io`] if the system refuses; then no temporary file is left behind.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically_with(path, |file| file.write_all(bytes))
}

/// [`write_atomically`] with bytes that come one after the other: an error of `write` leaves what was there.
pub(crate) fn write_atomically_with(
    path: &Path,
    write: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> Result<()> {
    let io = |source| Error::Io { path: path.display().to_string(), source };
    let (temporary, file) = create_beside(path).map_err(io)?;
    let written = fill(file, path, write).and_then(|()| std::fs::rename(&temporary, path));
    if let Err(e) = written {
        let _ = std::fs::remove_file(&temporary);
        return Err(io(e));
    }
    sync_folder(path);
    event!(info, "wrote {}", path.display());
    Ok(())
}

/// A new file in the folder of `path`. Never opens one that exists, nor follows a link: whoever can write to the folder
/// could have put it there.
fn create_beside(path: &Path) -> std::io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or(ErrorKind::InvalidFilename)?;
    for i in 0..TRIES {
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.{i}.tmp", std::process::id()));
        let temporary = path.with_file_name(temporary);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Writes to the disk, under the permissions of the file that is going to be replaced.
fn fill(
    mut file: File,
    path: &Path,
    write: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> std::io::Result<()> {
    if let Ok(old) = std::fs::metadata(path)
        && old.is_file()
    {
        file.set_permissions(old.permissions())?;
    }
    write(&mut file)?;
    file.sync_all()
}

/// Brings the new name to the disk, where folders can be synced. The file is already there, so failing is no failure.
fn sync_folder(path: &Path) {
    if cfg!(unix) {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _ = File::open(folder).and_then(|f| f.sync_all());
    }
}
