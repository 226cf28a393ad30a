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

#[test]
fn the_page_of_modules_is_up_to_date() {
    let path = root().join("docs/modules.md");
    let page = kk::cli::doc::page_of_modules();
    if std::env::var_os("KK_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page,
        "docs/modules.md is not what the tables of the modules say; run `make snapshots`"
    );
}

/// Every argument that Ansible's module has is one here, or the list says why not; and the list says nothing else.
#[test]
fn ansibles_arguments_are_taken_or_the_list_says_why_not() {
    let name = "tests/ansible/module-options.yaml";
    let text = std::fs::read_to_string(root().join(name)).unwrap();
    let source = kk::diagnostic::Source::new(name, text);
    let list = kk::yaml::parse(&source).unwrap().to_json();
    let entry = |part: &str| list[part].as_object().unwrap().clone();
    let (options, left_out) = (entry("options"), entry("left_out"));
    let everywhere = entry("left_out_everywhere");
    let manuals = kk::cli::doc::manuals();
    let mut wrong = Vec::new();
    for (module, names) in &options {
        let Some(manual) = manuals
            .iter()
            .find(|manual| manual.name == module || manual.aliases.contains(&module.as_str()))
        else {
            wrong.push(format!("there is no `{module}`"));
            continue;
        };
        let why = left_out.get(module).and_then(|why| why.as_object());
        for option in names.as_array().unwrap() {
            let option = option.as_str().unwrap();
            let is_here = manual
                .arguments
                .iter()
                .any(|argument| argument.name == option || argument.aliases.contains(&option));
            let is_listed = why.is_some_and(|why| why.contains_key(option));
            if !is_here && !is_listed && !everywhere.contains_key(option) {
                wrong.push(format!("`{module}` has no `{option}`"));
            }
            if is_here && is_listed {
                wrong.push(format!(
                    "`{module}` has `{option}` now: take it off the list"
                ));
            }
        }
        for option in why.into_iter().flat_map(|why| why.keys()) {
            if !names.as_array().unwrap().iter().any(|name| name == option) {
                wrong.push(format!("Ansible's `{module}` has no `{option}`"));
            }
        }
    }
    assert!(options.len() > 50, "{}", options.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
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
