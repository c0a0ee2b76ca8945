use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

/// A user of this machine, as `getpwnam(3)` knows it.
///
/// ```
/// use socketserver_sys::Account;
/// let root = Account::named("root")?.expect("every machine has one");
/// assert_eq!((root.uid(), root.name()), (0, "root"));
/// assert!(Account::named("nobody-of-that-name")?.is_none());
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    name: String,
    uid: u32,
    gid: u32,
    home: PathBuf,
}

/// An entry that is longer than this is no entry.
const LONGEST: usize = 1 << 20;

impl Account {
    /// The user of that name; `None`: there is none.
    ///
    /// # Errors
    /// What `getpwnam_r(3)` says; `InvalidInput` for a name with a NUL.
    pub fn named(name: &str) -> io::Result<Option<Self>> {
        let name = CString::new(name)?;
        Self::look_up(|entry, room, size, found| {
            // SAFETY: the name is a C string; `look_up` vouches for the rest.
            unsafe { libc::getpwnam_r(name.as_ptr(), entry, room, size, found) }
        })
    }

    /// The user of that number; `None`: there is none.
    ///
    /// # Errors
    /// What `getpwuid_r(3)` says.
    pub fn of(uid: u32) -> io::Result<Option<Self>> {
        // SAFETY: `look_up` vouches for all of it.
        Self::look_up(|entry, room, size, found| unsafe { libc::getpwuid_r(uid, entry, room, size, found) })
    }

    /// Calls `ask` with an entry to fill, room for its strings, the size of that, and where to say what was found: all
    /// valid for writing during the call.
    fn look_up(
        ask: impl Fn(*mut libc::passwd, *mut libc::c_char, usize, *mut *mut libc::passwd) -> libc::c_int,
    ) -> io::Result<Option<Self>> {
        let mut room: Vec<libc::c_char> = vec![0; 1024];
        loop {
            let mut found = ptr::null_mut();
            // SAFETY: plain integers and pointers, for which all bits zero is a value.
            let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
            match ask(&raw mut entry, room.as_mut_ptr(), room.len(), &raw mut found) {
                0 if found.is_null() => return Ok(None),
                0 => {
                    // SAFETY: the entry was found, so its strings are C strings in `room`, which outlives the borrows here.
                    let text = |text: *const libc::c_char| unsafe { CStr::from_ptr(text) };
                    return Ok(Some(Self {
                        name: text(entry.pw_name).to_string_lossy().into_owned(),
                        uid: entry.pw_uid,
                        gid: entry.pw_gid,
                        home: OsStr::from_bytes(text(entry.pw_dir).to_bytes()).into(),
                    }));
                }
                libc::ERANGE if room.len() < LONGEST => room.resize(2 * room.len(), 0),
                libc::EINTR => {}
                error => return Err(io::Error::from_raw_os_error(error)),
            }
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The number of its first group.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// Its home directory.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Makes this process that user's, with that user's groups, for good: all its threads, real, effective and saved
    /// (`setresuid(2)`, `initgroups(3)`). That there is no way back is tried.
    ///
    /// # Errors
    /// `EPERM` without the privilege. After an error the process may be half of each: it must end.
    pub fn assume(&self) -> io::Result<()> {
        let done = |result: libc::c_int| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
        let name = CString::new(self.name.as_str())?;
        let (uid, gid) = (self.uid, self.gid);
        // SAFETY: the name is a C string that lives through the call; the others take numbers alone. The C library sees to
        // it that all threads change together (nptl(7)).
        unsafe {
            done(libc::initgroups(name.as_ptr(), gid))?;
            done(libc::setresgid(gid, gid, gid))?;
            done(libc::setresuid(uid, uid, uid))?;
        }
        let (mut uids, mut gids) = ([u32::MAX; 3], [u32::MAX; 3]);
        // SAFETY: three integers each, valid for writing.
        unsafe {
            done(libc::getresuid(&raw mut uids[0], &raw mut uids[1], &raw mut uids[2]))?;
            done(libc::getresgid(&raw mut gids[0], &raw mut gids[1], &raw mut gids[2]))?;
        }
        // SAFETY: a number alone. It is to fail; where it does not the caller ends.
        let is_back = uid != 0 && unsafe { libc::setresuid(u32::MAX, 0, u32::MAX) } == 0;
        if uids != [uid; 3] || gids != [gid; 3] || is_back {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("the privileges could not be given up for good: users {uids:?}, groups {gids:?}"),
            ));
        }
        Ok(())
    }
}
