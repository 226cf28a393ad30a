//! Every exit code of the program.

/// How the program ended. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything that was asked for is done.
    Ok = 0,
    /// A mistake in what the user gave, found before any host was touched, or an internal error.
    Error = 1,
    /// At least one host failed.
    HostFailed = 2,
    /// A precheck failed; nothing was changed.
    PrecheckFailed = 3,
    /// At least one host could not be reached, whether others failed or not.
    Unreachable = 4,
    /// Wrong use of the command line.
    Usage = 5,
    /// `--check --exit-code`, and changes are pending.
    ChangesPending = 10,
    /// Ended by Ctrl-C.
    Interrupted = 130,
    /// Ended by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
