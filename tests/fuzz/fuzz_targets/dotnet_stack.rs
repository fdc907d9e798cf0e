#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sigquit_fuzz::survive("dotnet-stack", bytes));
