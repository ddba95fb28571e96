//! Replica identities: what the server tells of a row before its change, set where the options ask for it.
//!
//! ```text
//!   replica.identity.autoset.values ─▶ captured tables that match and have another ─▶ ALTER TABLE … REPLICA IDENTITY …
//!   a captured table that identifies no rows ─▶ a warning: PostgreSQL refuses its updates and deletes
//! ```
//! Invariant: it is done before the slot is made or read, so no change is told in two ways without need; a table that
//! cannot be altered stops the start by its name.

use regex::{Regex, RegexBuilder};
use thm_api::{ConnectorConfig, Error, ErrorKind, Result};

use crate::catalog::{self, TableIdentity, TableName};
use crate::failure::from_sql;
use crate::session::{Session, identifier};

const OPTION: &str = "replica.identity.autoset.values";

/// A replica identity that a table may be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The primary key.
    Default,
    /// All columns.
    Full,
    /// None.
    Nothing,
    /// A unique index.
    Index(String),
}

impl Identity {
    fn parse(text: &str) -> Option<Self> {
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        match (word.to_ascii_uppercase().as_str(), rest.trim()) {
            ("DEFAULT", "") => Some(Self::Default),
            ("FULL", "") => Some(Self::Full),
            ("NOTHING", "") => Some(Self::Nothing),
            ("INDEX", name) if !name.is_empty() => Some(Self::Index(name.to_owned())),
            _ => None,
        }
    }

    fn is(&self, now: &TableIdentity) -> bool {
        match self {
            Self::Default => now.kind == b'd',
            Self::Full => now.kind == b'f',
            Self::Nothing => now.kind == b'n',
            Self::Index(name) => now.kind == b'i' && now.index.as_deref() == Some(name),
        }
    }

    fn sql(&self) -> String {
        match self {
            Self::Default => "DEFAULT".to_owned(),
            Self::Full => "FULL".to_owned(),
            Self::Nothing => "NOTHING".to_owned(),
            Self::Index(name) => format!("USING INDEX {}", identifier(name)),
        }
    }
}

/// What the option says: expressions over `schema.table`, each with an identity.
#[derive(Clone, Debug, Default)]
pub struct Wanted(Vec<(Regex, Identity)>);

fn invalid(hint: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, "reading the connector's options", OPTION).with_hint(hint)
}

impl Wanted {
    /// Reads the option.
    ///
    /// # Errors
    /// Names the entry that is not `table:identity`.
    pub fn parse(config: &ConnectorConfig) -> Result<Self> {
        let entry = |text: String| {
            let form = || {
                invalid(format!(
                    "`{text}` is not of the form schema.table:IDENTITY, with DEFAULT, FULL, NOTHING or INDEX name."
                ))
            };
            let (table, identity) = text.rsplit_once(':').ok_or_else(form)?;
            let identity = Identity::parse(identity.trim()).ok_or_else(form)?;
            let expression = RegexBuilder::new(&format!("^(?:{})$", table.trim())).case_insensitive(true).build();
            Ok((expression.map_err(|error| invalid(error.to_string()))?, identity))
        };
        config.list(OPTION).into_iter().map(entry).collect::<Result<_>>().map(Self)
    }

    fn of(&self, table: &str) -> Result<Option<&Identity>> {
        let mut matching = self.0.iter().filter(|(expression, _)| expression.is_match(table)).map(|(_, wanted)| wanted);
        let first = matching.next();
        match matching.next() {
            Some(_) => {
                Err(invalid(format!("More than one of its entries matches {table}: make them exclude each other.")))
            }
            None => Ok(first),
        }
    }
}

/// Gives the captured tables what is wanted, and warns of those that identify no rows.
pub async fn settle(session: &Session, wanted: &Wanted, tables: &[TableName]) -> Result<()> {
    for now in catalog::identities(session, tables).await? {
        let name = now.table.to_string();
        match wanted.of(&name)? {
            Some(identity) if !identity.is(&now) => set(session, &now.table, identity).await?,
            Some(_) => {}
            None if now.kind == b'n' || (now.kind == b'd' && !now.has_primary_key) => {
                // A user's UPDATE fails then, not we.
                tracing::warn!(
                    table = name,
                    code = ErrorKind::CaptureMismatch.code(),
                    hint = "Give it a primary key or REPLICA IDENTITY FULL, or set replica.identity.autoset.values.",
                    "table identifies no rows: PostgreSQL refuses its updates and deletes while they are published"
                );
            }
            None => {}
        }
    }
    Ok(())
}

async fn set(session: &Session, table: &TableName, identity: &Identity) -> Result<()> {
    let place = format!("{}.{}", identifier(&table.schema), identifier(&table.name));
    let sql = format!("ALTER TABLE {place} REPLICA IDENTITY {}", identity.sql());
    session.batch_execute(&sql).await.map_err(|error| {
        from_sql(error, "setting a table's replica identity", table.to_string())
            .with_hint(format!("Run as the table's owner: {sql}; or take the table out of {OPTION}."))
    })?;
    tracing::info!(table = %table, identity = identity.sql(), "set replica identity");
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn wanted(text: &str) -> Result<Wanted> {
        Wanted::parse(&ConnectorConfig::new([(OPTION.to_owned(), text.to_owned())].into()))
    }

    #[test]
    fn entries_are_read_and_must_not_overlap() {
        let found = wanted("public.a:full, public.b.*:INDEX b_code ,Public.c:DEFAULT,public.bb:NOTHING").unwrap();
        assert_eq!(found.of("public.a").unwrap(), Some(&Identity::Full));
        assert_eq!(found.of("public.b1").unwrap(), Some(&Identity::Index("b_code".to_owned())));
        assert_eq!(found.of("public.c").unwrap(), Some(&Identity::Default));
        assert_eq!(found.of("public.d").unwrap(), None);
        assert!(found.of("public.bb").unwrap_err().hint().contains("public.bb"));
        for bad in ["public.a", "public.a:ALL", "public.a:INDEX", "(:FULL"] {
            assert_eq!(wanted(bad).unwrap_err().object(), OPTION, "{bad}");
        }
    }
}
