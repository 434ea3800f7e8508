use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(feature = "embedded")]
    if let Some(error) = twofold::embedded::child::run_if_asked() {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    twofold::cli::main()
}
