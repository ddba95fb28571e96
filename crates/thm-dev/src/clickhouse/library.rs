//! The ClickHouse library behind a safe face. All `unsafe` of the workspace stands in this file.
//!
//! Three C functions are called; their signatures are those of the pinned version's `chdb.h` and of POSIX:
//!
//! ```c
//! chdb_result *chdb_query_cmdline(int argc, char **argv);   // NULL: no result
//! const char  *chdb_result_error(chdb_result *result);      // NULL: no error
//! void         _exit(int status);
//! ```
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;

use thm_api::Result;

use crate::process::local;

/// The version whose signatures this file knows; `tools/setup.sh` fetches it.
pub(super) const VERSION: &str = "26.7.3-stable.1";

type QueryCommandLine = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut c_void;
type ResultError = unsafe extern "C" fn(*mut c_void) -> *const c_char;
type Exit = unsafe extern "C" fn(c_int) -> !;

/// The loaded library. It is never unloaded: its threads outlive every call.
pub(super) struct Library {
    query_command_line: QueryCommandLine,
    result_error: ResultError,
    exit: Exit,
}

impl Library {
    /// Loads the library at `path`.
    ///
    /// # Errors
    /// `LocalService` when it cannot be loaded or lacks a function.
    pub(super) fn load(path: &Path) -> Result<Self> {
        let failed = |error: libloading::Error| local("loading the ClickHouse engine", path.display(), error);
        // SAFETY: running the library's initialisers is what we want; the file is the pinned one, checked by its digest
        // when it was fetched, and nothing else runs in this process yet.
        let library = unsafe { libloading::Library::new(path) }.map_err(failed)?;
        // SAFETY: the types are those of the C declarations above.
        let loaded = unsafe {
            Self {
                query_command_line: *library.get::<QueryCommandLine>(b"chdb_query_cmdline\0").map_err(failed)?,
                result_error: *library.get::<ResultError>(b"chdb_result_error\0").map_err(failed)?,
                // Of the C library, which the engine's library links.
                exit: *library.get::<Exit>(b"_exit\0").map_err(failed)?,
            }
        };
        // The pointers stay valid for as long as this process lives.
        std::mem::forget(library);
        Ok(loaded)
    }

    /// Runs `clickhouse-local` with these arguments, the program's name first; returns when it is through.
    ///
    /// # Errors
    /// What the engine says was wrong.
    pub(super) fn command_line(&self, words: &[&str]) -> std::result::Result<(), String> {
        let words: Vec<CString> = words.iter().filter_map(|word| CString::new(*word).ok()).collect();
        // Like main's argv: ends with NULL, and the strings may be changed by the callee, hence owned copies.
        let mut owned: Vec<Vec<u8>> = words.into_iter().map(CString::into_bytes_with_nul).collect();
        let count = c_int::try_from(owned.len()).map_err(|_| "too many arguments".to_owned())?;
        let mut argv: Vec<*mut c_char> = owned.iter_mut().map(|word| word.as_mut_ptr().cast()).collect();
        argv.push(std::ptr::null_mut());
        // SAFETY: `argv` has `count` valid strings that end with NUL, then NULL; all live beyond the call.
        let result = unsafe { (self.query_command_line)(count, argv.as_mut_ptr()) };
        if result.is_null() {
            return Err("no result".to_owned());
        }
        // SAFETY: `result` is what the call above returned.
        let error = unsafe { (self.result_error)(result) };
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: the error is a string that ends with NUL and belongs to `result`, which is never freed.
        Err(unsafe { CStr::from_ptr(error) }.to_string_lossy().trim().to_owned())
    }

    /// Ends this process without running anybody's clean-up.
    pub(super) fn exit(&self, status: c_int) -> ! {
        // SAFETY: `_exit` may be called at any time.
        unsafe { (self.exit)(status) }
    }
}
