//! The command line: what was typed, and which room does it.
//!
//! [`arguments`] is the grammar, [`usage`] what is said about its mistakes, [`local`] the commands that need no host.
//! Each of the others has a file of its own here.

pub mod arguments;
mod assess;
mod built_in;
mod collect;
mod delete;
pub mod doc;
mod exec;
mod execution;
mod extra;
mod facts;
mod files;
pub mod flags;
mod history;
mod init;
mod live;
pub mod local;
mod material;
mod names;
mod outline;
mod passwords;
mod precheck;
mod prepare;
mod resume;
mod run;
mod shared_folder;
mod status;
mod storage;
mod storage_proof;
mod summary;
mod terminal;
pub mod usage;
mod variables;
mod vault;
pub mod vault_arguments;
mod vault_edit;
mod vip;

use anyhow::Context as _;

use crate::diagnostic::{Colour, Diagnostic, Diagnostics, render, render_all};
use crate::exit::Exit;

pub use arguments::Arguments;

use arguments::{
    ColourChoice, Command, CreateCommand, DeleteCommand, InitCommand, InventoryCommand,
    PlaybooksCommand, PrecheckCommand, RegistryCommand,
};

use crate::{inventory, settings};

/// Parses the command line, does what it says, and reports what stopped it. Nothing panics and nothing exits but
/// the caller, with the code that this returns.
pub fn main(words: impl IntoIterator<Item = std::ffi::OsString>) -> Exit {
    match usage::parse(words) {
        Err(refusal) => refusal.print(stderr_colour(ColourChoice::Auto)),
        Ok(arguments) => {
            let colour = stderr_colour(arguments.global.colour);
            start(arguments).unwrap_or_else(|error| show_error(&error, colour))
        }
    }
}

/// The stack of each thread, in bytes; what is not used takes no memory.
const STACK: usize = 8 * 1024 * 1024;

/// Runs a command: at once when it needs no host, else on a runtime made for it, so that `kk --help` starts none.
fn start(arguments: Arguments) -> anyhow::Result<Exit> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    match &arguments.command {
        Command::Version(version) => local::version(version),
        Command::Completion(completion) => local::completion(completion),
        Command::Man(man) => local::man(man),
        Command::Doc(doc) => doc::doc(doc),
        _ => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            // As much as a program's first thread has: variables and blocks may be deeply nested.
            .thread_stack_size(STACK)
            // A connection is mostly waiting: more threads wake each other for every packet.
            .worker_threads(cores.div_ceil(2))
            .build()
            .context("start the runtime")?
            // On a worker, beside the connections: the thread that waits here would have to be woken for each message.
            .block_on(async { tokio::spawn(run(arguments)).await })?,
    }
}

/// The group whose hosts get the registry.
const REGISTRY_GROUP: &str = "image_registry";

/// Runs a command that talks to hosts or reads what the user wrote about them.
pub async fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    let global = &arguments.global;
    match arguments.command {
        Command::Precheck(PrecheckCommand::ImageRegistry(arguments)) => {
            precheck::run(arguments, global).await
        }
        Command::Init(InitCommand::Registry(arguments)) => init::run(arguments, global).await,
        Command::Delete(DeleteCommand::Registry(arguments)) => delete::run(arguments, global).await,
        Command::Registry(RegistryCommand::Gc(arguments)) => collect::run(arguments, global).await,
        Command::Status(arguments) => status::run(arguments, global).await,
        Command::Facts(arguments) => facts::run(arguments, global).await,
        Command::Run(arguments) => run::playbook(arguments, global).await,
        Command::Exec(arguments) => exec::run(arguments, global).await,
        Command::History(arguments) => history::run(&arguments),
        Command::Validate(arguments) => run::validate(&arguments),
        Command::Create(CreateCommand::Inventory(arguments)) => {
            files::create(&arguments, inventory::skeleton())
        }
        Command::Create(CreateCommand::Config(arguments)) => {
            files::create(&arguments, settings::skeleton_config())
        }
        Command::Inventory(InventoryCommand::List(arguments)) => files::list(&arguments),
        Command::Inventory(InventoryCommand::Graph(arguments)) => files::graph(&arguments),
        Command::Inventory(InventoryCommand::Host(arguments)) => files::host(&arguments),
        Command::Playbooks(PlaybooksCommand::Export(arguments)) => files::export(&arguments),
        Command::Vault(command) => vault::run(command).await,
        Command::Version(arguments) => local::version(&arguments),
        Command::Completion(arguments) => local::completion(&arguments),
        Command::Man(arguments) => local::man(&arguments),
        Command::Doc(arguments) => doc::doc(&arguments),
    }
}

/// Prints what stopped the program to standard error. A reader of standard output that went away is no error.
fn show_error(error: &anyhow::Error, colour: Colour) -> Exit {
    use std::io::Write as _;

    if is_broken_pipe(error) {
        return Exit::Ok;
    }
    let text = if let Some(diagnostics) = error.downcast_ref::<Diagnostics>() {
        render_all(diagnostics, colour)
    } else if let Some(diagnostic) = error.downcast_ref::<Diagnostic>() {
        render(diagnostic, colour)
    } else {
        render(&Diagnostic::error(format!("{error:#}")), colour)
    };
    // Also what was decrypted on the way to the mistake.
    let text = crate::vault::redactor().mask(&text);
    let _ = writeln!(anstream::stderr(), "{text}");
    Exit::Error
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

fn stderr_colour(choice: ColourChoice) -> Colour {
    let surroundings = crate::report::Surroundings::read();
    if choice == ColourChoice::Auto && surroundings.stderr.colour {
        Colour::Always
    } else {
        Colour::Never
    }
}
