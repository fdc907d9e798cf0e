//! The functions that raise an exception: while one runs, what its callers' registers were is
//! being overwritten.

unsafe extern "C" {
    fn _Unwind_RaiseException();
    fn _Unwind_Resume();
    fn _Unwind_Resume_or_Rethrow();
    fn _Unwind_ForcedUnwind();
}

/// Whether a function that begins there is one of them. The standard library links them, so
/// their addresses are there without a search.
pub(super) fn is_entry(function: u64) -> bool {
    let entries = [
        _Unwind_RaiseException as *const () as u64,
        _Unwind_Resume as *const () as u64,
        _Unwind_Resume_or_Rethrow as *const () as u64,
        _Unwind_ForcedUnwind as *const () as u64,
    ];
    entries.contains(&function)
}
