//! pgoutput protocol version 1, decoded: bytes in, message or typed error out.
//!
//! ```text
//!   B final_lsn i64 │ commit_us i64 │ xid i32                       begin
//!   C flags i8 │ commit_lsn i64 │ end_lsn i64 │ commit_us i64       commit
//!   O lsn i64 │ name\0                                              origin
//!   R oid i32 │ schema\0 │ name\0 │ identity u8 │ n i16 │ n × (flags u8 │ name\0 │ type i32 │ typmod i32)
//!   I oid i32 │ 'N' tuple                                           insert
//!   U oid i32 │ ['K' tuple | 'O' tuple] │ 'N' tuple                 update
//!   D oid i32 │ 'K' tuple | 'O' tuple                               delete
//!   T n i32 │ options u8 │ n × oid i32                              truncate
//!   tuple = n i16 │ n × ('n' | 'u' | ('t'|'b') len i32 │ bytes)
//! ```
//!
//! Invariant: a [`Tuple`] that was returned is well formed to its last byte, so reading its values cannot fail. Values
//! stay where they lie; nothing is copied.

/// The bytes are not what the protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed pgoutput message: {0}")]
pub struct DecodeError(&'static str);

impl DecodeError {
    /// Says what is wrong.
    #[must_use]
    pub const fn new(problem: &'static str) -> Self {
        Self(problem)
    }
}

type Result<T> = std::result::Result<T, DecodeError>;

/// One value of a tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datum<'a> {
    /// NULL.
    Null,
    /// A TOASTed value that the update did not touch: it is not in the WAL.
    Unchanged,
    /// Text form: the type has no binary send function.
    Text(&'a [u8]),
    /// Binary form.
    Binary(&'a [u8]),
}

/// How values stand in a tuple's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// `'n' | 'u' | ('t'|'b') len i32 │ bytes`
    #[default]
    Pgoutput,
    /// `len i32, -1 for NULL │ bytes`, all binary.
    Copy,
}

/// A row image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuple<'a> {
    form: Form,
    columns: u16,
    unchanged: bool,
    bytes: &'a [u8],
}

impl<'a> Tuple<'a> {
    /// Reads a tuple by itself.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        Reader(bytes).tuple()
    }

    /// So many values of a row of `COPY`, whose lengths have been looked at.
    pub(crate) const fn of_copied(columns: u16, bytes: &'a [u8]) -> Self {
        Self { form: Form::Copy, columns, bytes, unchanged: false }
    }

    /// Number of columns.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.columns as usize
    }

    /// Whether it has no column.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.columns == 0
    }

    /// Whether it leaves out a TOASTed value that the update did not touch.
    #[must_use]
    pub const fn has_unchanged(&self) -> bool {
        self.unchanged
    }

    /// Bytes of all its values with their lengths.
    #[must_use]
    pub const fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The values in column order.
    #[must_use]
    pub const fn values(&self) -> Values<'a> {
        Values { form: self.form, left: self.columns, reader: Reader(self.bytes) }
    }
}

/// Iterator over a tuple's values.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    form: Form,
    left: u16,
    reader: Reader<'a>,
}

impl<'a> Iterator for Values<'a> {
    type Item = Datum<'a>;

    fn next(&mut self) -> Option<Datum<'a>> {
        self.left = self.left.checked_sub(1)?;
        match self.form {
            Form::Pgoutput => self.reader.datum().ok(),
            Form::Copy => self.reader.copied().ok(),
        }
    }
}

/// Which columns an old row image holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldImage {
    /// Those of the replica identity; the others are NULL.
    Key,
    /// All of them (`REPLICA IDENTITY FULL`).
    Full,
}

/// A column as the relation message tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationColumn {
    /// Part of the replica identity.
    pub identity: bool,
    /// Name.
    pub name: String,
    /// Type.
    pub type_oid: u32,
    /// Type modifier; -1 for none.
    pub type_modifier: i32,
}

/// A table as it was when the changes after it were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Oid of the table.
    pub oid: u32,
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Replica identity: `d`, `n`, `f` or `i`.
    pub identity: u8,
    /// Columns in table order.
    pub columns: Vec<RelationColumn>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A transaction begins.
    Begin {
        /// Start of its commit record.
        final_lsn: u64,
        /// Microseconds since 2000.
        commit_us: i64,
        /// Transaction id.
        xid: u32,
    },
    /// It ends.
    Commit {
        /// Start of its commit record.
        commit_lsn: u64,
        /// End of its commit record.
        end_lsn: u64,
        /// Microseconds since 2000.
        commit_us: i64,
    },
    /// The transaction was first committed elsewhere.
    Origin {
        /// Commit LSN there.
        lsn: u64,
        /// Name of the origin.
        name: &'a str,
    },
    /// A table, before its first change and after each change of it.
    Relation(Relation),
    /// A row was inserted.
    Insert {
        /// Table.
        relation: u32,
        /// The row.
        new: Tuple<'a>,
    },
    /// A row was updated.
    Update {
        /// Table.
        relation: u32,
        /// What is known of the old row.
        old: Option<(OldImage, Tuple<'a>)>,
        /// The row now.
        new: Tuple<'a>,
    },
    /// A row was deleted.
    Delete {
        /// Table.
        relation: u32,
        /// What is known of it.
        old: (OldImage, Tuple<'a>),
    },
    /// Tables were truncated.
    Truncate {
        /// Their relations.
        relations: Vec<u32>,
    },
    /// Something that `pg_logical_emit_message` wrote.
    Logical {
        /// It belongs to its transaction, and was not sent at once.
        transactional: bool,
        /// Its prefix.
        prefix: &'a str,
        /// Its content.
        content: &'a [u8],
    },
    /// Something we have no use for: a type's name.
    Other(u8),
}

impl<'a> Message<'a> {
    /// Decodes one message.
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        let message = match reader.u8()? {
            b'B' => Self::Begin { final_lsn: reader.u64()?, commit_us: reader.u64()? as i64, xid: reader.u32()? },
            b'C' => {
                reader.u8()?;
                Self::Commit { commit_lsn: reader.u64()?, end_lsn: reader.u64()?, commit_us: reader.u64()? as i64 }
            }
            b'O' => Self::Origin { lsn: reader.u64()?, name: reader.text()? },
            b'R' => Self::Relation(reader.relation()?),
            b'I' => Self::Insert { relation: reader.u32()?, new: reader.new_tuple()? },
            b'U' => {
                let relation = reader.u32()?;
                let old = if reader.0.first() == Some(&b'N') { None } else { Some(reader.old_tuple()?) };
                Self::Update { relation, old, new: reader.new_tuple()? }
            }
            b'D' => Self::Delete { relation: reader.u32()?, old: reader.old_tuple()? },
            b'T' => Self::Truncate { relations: reader.truncated()? },
            b'M' => reader.logical()?,
            tag @ b'Y' => Self::Other(tag),
            _ => return Err(DecodeError("unknown message")),
        };
        // A count that was misread would leave something behind.
        if Self::is_row(bytes) && !reader.0.is_empty() {
            return Err(DecodeError("longer than its values"));
        }
        Ok(message)
    }

    /// Whether the bytes are a change of a row: what [`thm_api::Position`]'s ordinal counts.
    #[must_use]
    pub fn is_row(bytes: &[u8]) -> bool {
        matches!(bytes.first(), Some(b'I' | b'U' | b'D'))
    }
}

#[derive(Clone, Debug)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(DecodeError("truncated"))?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(DecodeError("truncated"))?;
        self.0 = tail;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<&'a str> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(DecodeError("text without its end"))?;
        let text = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(text).map_err(|_| DecodeError("text is not UTF-8"))
    }

    fn datum(&mut self) -> Result<Datum<'a>> {
        Ok(match self.u8()? {
            b'n' => Datum::Null,
            b'u' => Datum::Unchanged,
            form @ (b't' | b'b') => {
                let length = self.u32()? as usize;
                let bytes = self.take(length)?;
                if form == b't' { Datum::Text(bytes) } else { Datum::Binary(bytes) }
            }
            _ => return Err(DecodeError("unknown kind of value")),
        })
    }

    fn copied(&mut self) -> Result<Datum<'a>> {
        match usize::try_from(self.u32()?.cast_signed()) {
            Ok(length) => self.take(length).map(Datum::Binary),
            Err(_) => Ok(Datum::Null),
        }
    }

    fn tuple(&mut self) -> Result<Tuple<'a>> {
        let columns = self.u16()?;
        let bytes = self.0;
        let mut unchanged = false;
        for _ in 0..columns {
            unchanged |= self.datum()? == Datum::Unchanged;
        }
        Ok(Tuple { form: Form::Pgoutput, columns, unchanged, bytes: &bytes[..bytes.len() - self.0.len()] })
    }

    fn new_tuple(&mut self) -> Result<Tuple<'a>> {
        match self.u8()? {
            b'N' => self.tuple(),
            _ => Err(DecodeError("no new row where one belongs")),
        }
    }

    fn old_tuple(&mut self) -> Result<(OldImage, Tuple<'a>)> {
        match self.u8()? {
            b'K' => Ok((OldImage::Key, self.tuple()?)),
            b'O' => Ok((OldImage::Full, self.tuple()?)),
            _ => Err(DecodeError("no old row where one belongs")),
        }
    }

    fn truncated(&mut self) -> Result<Vec<u32>> {
        let count = self.u32()? as usize;
        self.u8()?;
        let mut relations = Vec::with_capacity(count.min(self.0.len() / 4));
        for _ in 0..count {
            relations.push(self.u32()?);
        }
        Ok(relations)
    }

    fn logical(&mut self) -> Result<Message<'a>> {
        let transactional = self.u8()? & 1 == 1;
        self.u64()?;
        let prefix = self.text()?;
        let length = self.u32()? as usize;
        Ok(Message::Logical { transactional, prefix, content: self.take(length)? })
    }

    fn relation(&mut self) -> Result<Relation> {
        let oid = self.u32()?;
        let schema = self.text()?.to_owned();
        let name = self.text()?.to_owned();
        let identity = self.u8()?;
        let count = self.u16()?;
        let mut columns = Vec::with_capacity(usize::from(count).min(self.0.len() / 10));
        for _ in 0..count {
            columns.push(RelationColumn {
                identity: self.u8()? & 1 == 1,
                name: self.text()?.to_owned(),
                type_oid: self.u32()?,
                type_modifier: self.u32()? as i32,
            });
        }
        Ok(Relation { oid, schema, name, identity, columns })
    }
}

#[cfg(test)]
mod tests;
