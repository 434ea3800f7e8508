//! A child process that dies with its parent, without unsafe code.
//!
//! `Command::pre_exec` would be unsafe, so the program starts itself again under a hidden
//! command, gives up its rights, asks the kernel for a signal when the parent dies, and then
//! becomes the wanted program. Linux clears that request when the user changes, hence the order.

use std::{
    ffi::OsString,
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::{Pid, getppid, setsid};

use crate::adapters::scheduling;

/// The hidden first argument that [`run_if_asked`] looks for.
const MARKER: &str = "__child";

/// The account that a child runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
}

/// A command that runs `program` as `account` and gets SIGINT when the calling **thread** ends:
/// call it on a thread that lives as long as the child.
///
/// `own_binary` is this program's executable, or in tests that of the product.
#[must_use]
pub fn command(own_binary: &Path, account: Option<Account>, program: &Path) -> Command {
    let mut command = Command::new(own_binary);
    let (uid, gid) = match account {
        Some(account) => (account.uid.to_string(), account.gid.to_string()),
        None => ("-".to_owned(), "-".to_owned()),
    };
    command
        .arg(MARKER)
        .arg(std::process::id().to_string())
        .args([uid, gid])
        .arg(program)
        .stdin(Stdio::null());
    command
}

/// Becomes the wanted program when this process was started by [`command`]; call it first
/// in `main`, while there is one thread. Returns only otherwise, or with the reason why not.
#[must_use]
pub fn run_if_asked() -> Option<io::Error> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != MARKER {
        return None;
    }
    Some(
        become_program(&args.collect::<Vec<_>>())
            .err()
            .unwrap_or_else(|| io::Error::other("unreachable")),
    )
}

fn become_program(args: &[OsString]) -> io::Result<std::convert::Infallible> {
    let [parent, uid, gid, program, rest @ ..] = args else {
        return Err(io::Error::other("this command is for the program's own use"));
    };
    let number = |text: &OsString| text.to_str().and_then(|t| t.parse::<u32>().ok());
    if let (Some(uid), Some(gid)) = (number(uid), number(gid)) {
        drop_rights(uid, gid)?;
    }
    #[cfg(target_os = "linux")]
    {
        let signal = rustix::process::Signal::INT;
        rustix::process::set_parent_process_death_signal(Some(signal))?;
    }
    // The parent may have died before the request was made.
    let expected = number(parent).and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    if getppid() != expected {
        return Err(io::Error::other("the parent process is gone"));
    }
    scheduling::interrupt_as_usual();
    // Ctrl-C goes to the terminal's process group: ours is for us to stop.
    setsid()?;
    Err(Command::new(program).args(rest).exec())
}

#[cfg(target_os = "linux")]
fn drop_rights(uid: u32, gid: u32) -> io::Result<()> {
    use rustix::{
        process::{Gid, Uid},
        thread::{set_thread_gid, set_thread_groups, set_thread_uid},
    };
    let gid = Gid::from_raw(gid);
    set_thread_groups(&[gid])?;
    set_thread_gid(gid)?;
    set_thread_uid(Uid::from_raw(uid))?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn drop_rights(_uid: u32, _gid: u32) -> io::Result<()> {
    Err(io::Error::other("the embedded PostgreSQL runs as root on Linux only"))
}
