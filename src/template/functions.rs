//! Functions of Ansible and Jinja2 that need nothing but their arguments, and the ones that find other templates.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, Error, State};

use super::environment::invalid;
use super::filters;
use super::methods::pairs_of;
use super::missing::missing;
use super::rewrite::Backslashes;
use super::scope::root_of;
use super::values::Mapping;

/// The name of a template that is not there.
const NONE: &str = "none";

/// Adds them.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_function("undef", |hint: Option<String>| {
        let hint = hint.filter(|hint| !hint.is_empty());
        missing(hint.unwrap_or_else(|| "Mandatory variable has not been overridden".to_owned()))
    });
    environment.add_function("dict", |given: Option<Value>, named: Kwargs| {
        let mut pairs = given.as_ref().map_or_else(|| Ok(Vec::new()), pairs_of)?;
        for name in named.args() {
            pairs.push((Value::from(name), named.get(name)?));
        }
        Ok::<_, Error>(Value::from_object(Mapping::new(
            pairs.into_iter().collect(),
        )))
    });
    environment.add_function(
        "now",
        |utc: Option<bool>, fmt: Option<String>, named: Kwargs| {
            let utc = utc.map_or_else(|| named.get("utc"), |utc| Ok(Some(utc)))?;
            let format = fmt.map_or_else(|| named.get("fmt"), |fmt| Ok(Some(fmt)))?;
            named.assert_all_used()?;
            filters::now(utc.unwrap_or(false), format.as_deref())
        },
    );
    environment.add_filter("kk_template", |state: &State, name: Value| {
        let found = find(state, &name)?;
        found.ok_or_else(|| invalid(format!("there is no template `{name}`")))
    });
    environment.add_filter("kk_maybe", |state: &State, name: Value| {
        Ok::<_, Error>(find(state, &name)?.unwrap_or_else(|| NONE.to_owned()))
    });
}

/// The first of these templates that is there, as the engine knows it.
fn find(state: &State, name: &Value) -> Result<Option<String>, Error> {
    let root = root_of(state);
    let outside = root.as_ref().and_then(|root| root.scope.outside().cloned());
    let (Some(root), Some(outside)) = (root, outside) else {
        return Err(invalid("there are no other templates here"));
    };
    let names: Vec<Value> = match name.kind() {
        ValueKind::Seq | ValueKind::Iterable => name.try_iter()?.collect(),
        _ => vec![name.clone()],
    };
    let syntax = root
        .collection
        .named(state.name())
        .map(|unit| unit.syntax.clone());
    let syntax = syntax.unwrap_or_default();
    for name in names {
        let name = name
            .as_str()
            .ok_or_else(|| invalid("the name of a template is a text"))?;
        if let Some((shown, text)) = outside.template(name).map_err(invalid)? {
            let unit = root
                .collection
                .unit(&shown, &text, &syntax, Backslashes::Escape);
            let unit = unit.map_err(|mistake| invalid(format!("{shown}: {}", mistake.message)))?;
            return Ok(Some(unit.name.clone()));
        }
    }
    Ok(None)
}
