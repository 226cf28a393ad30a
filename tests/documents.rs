//! Pages that are made from tables in the program are what the program says, and links lead somewhere.

use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_page_of_settings_is_up_to_date() {
    let path = root().join("docs/settings.md");
    let page = kk::settings::page();
    if std::env::var_os("KK_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "docs/settings.md is not what the table of settings says; run `make snapshots`"
    );
}

/// Every page of documentation in the repository.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("tests/lab/README.md")];
    for folder in ["docs", "docs/adr"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut checked = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if target.contains("://") || target.starts_with('#') || target.contains(' ') {
                continue;
            }
            let path = target.split('#').next().unwrap();
            assert!(
                page.parent().unwrap().join(path).exists(),
                "{}: {target}",
                page.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 5, "{checked}");
}

#[test]
fn every_command_that_the_readme_shows_is_one() {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let mut seen = 0;
    let lines = text.lines().filter_map(|line| line.strip_prefix("    kk "));
    let quoted = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.strip_prefix("kk "));
    for line in lines.chain(quoted) {
        let mut command = <kk::cli::Arguments as clap::CommandFactory>::command();
        for word in line
            .split(['|', ' ', '\\'])
            .take_while(|word| !word.is_empty())
        {
            if !word
                .chars()
                .all(|letter| letter.is_ascii_lowercase() || letter == '_')
                || !command.has_subcommands()
            {
                break;
            }
            let found = command.find_subcommand(word).cloned();
            command =
                found.unwrap_or_else(|| panic!("README.md: `kk {line}`: no command `{word}`"));
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen}");
    for target in text
        .split("make ")
        .skip(1)
        .filter_map(|rest| rest.split([' ', '`', '\n']).next())
    {
        let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
        assert!(
            target.is_empty() || target == "alone" || makefile.contains(&format!("\n{target}: ")),
            "README.md: make {target}"
        );
    }
}
