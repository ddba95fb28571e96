//! Whether a request's bytes are what its version says, looked at before anything is allocated.
//!
//! The crate that decodes requests reserves room for as many elements as an array's length claims, so four bad
//! bytes would end the process. Walking the frame first makes every length one that is really there, and bounds
//! the number of elements. A walk allocates nothing and costs nanoseconds per field.

use kafka_protocol::messages::ApiKey;

/// Most array elements in one request, all arrays together. A fetch of 10,000 partitions has about as many.
const MAX_ELEMENTS: usize = 50_000;

/// Tagged fields at the end of a structure; nobody sends more than a few.
const MAX_TAGGED_FIELDS: u64 = 32;

#[derive(Clone, Copy)]
enum Kind {
    /// So many bytes.
    Fixed(usize),
    /// Length in 16 bits, or compact.
    Text,
    /// Length in 32 bits, or compact.
    Blob,
    /// Structures, each with tagged fields where the version is flexible.
    Structs(&'static [Field]),
    /// Bare values.
    Values(&'static Kind),
}

#[derive(Clone, Copy)]
struct Field {
    kind: Kind,
    since: i16,
    until: i16,
}

const fn field(kind: Kind) -> Field {
    Field { kind, since: 0, until: i16::MAX }
}

const fn since(since: i16, kind: Kind) -> Field {
    Field { kind, since, until: i16::MAX }
}

const fn until(until: i16, kind: Kind) -> Field {
    Field { kind, since: 0, until }
}

const INT8: Kind = Kind::Fixed(1);
const INT16: Kind = Kind::Fixed(2);
const INT32: Kind = Kind::Fixed(4);
const INT64: Kind = Kind::Fixed(8);
const TEXT: Kind = Kind::Text;
const BLOB: Kind = Kind::Blob;
const TEXTS: Kind = Kind::Values(&TEXT);
const INTS: Kind = Kind::Values(&INT32);

/// Fields of a request in order, and the version from which on it is flexible.
struct Shape {
    flexible: i16,
    fields: &'static [Field],
}

const PRODUCE: &[Field] = &[field(TEXT), field(INT16), field(INT32), field(Kind::Structs(PRODUCE_TOPIC))];
const PRODUCE_TOPIC: &[Field] = &[field(TEXT), field(Kind::Structs(&[field(INT32), field(BLOB)]))];
const FETCH: &[Field] = &[
    field(INT32),
    field(INT32),
    field(INT32),
    field(INT32),
    field(INT8),
    since(7, INT32),
    since(7, INT32),
    field(Kind::Structs(&[field(TEXT), field(Kind::Structs(FETCH_PARTITION))])),
    since(7, Kind::Structs(&[field(TEXT), field(INTS)])),
    since(11, TEXT),
];
const FETCH_PARTITION: &[Field] =
    &[field(INT32), since(9, INT32), field(INT64), since(12, INT32), since(5, INT64), field(INT32)];
const LIST_OFFSETS: &[Field] = &[
    field(INT32),
    since(2, INT8),
    field(Kind::Structs(&[field(TEXT), field(Kind::Structs(&[field(INT32), since(4, INT32), field(INT64)]))])),
];
const METADATA: &[Field] = &[field(Kind::Structs(&[field(TEXT)])), since(4, INT8), since(8, INT8), since(8, INT8)];
const OFFSET_COMMIT: &[Field] = &[
    field(TEXT),
    field(INT32),
    field(TEXT),
    since(7, TEXT),
    until(4, INT64),
    field(Kind::Structs(&[
        field(TEXT),
        field(Kind::Structs(&[field(INT32), field(INT64), since(6, INT32), field(TEXT)])),
    ])),
];
const OFFSET_FETCH: &[Field] = &[
    until(7, TEXT),
    until(7, Kind::Structs(&[field(TEXT), field(INTS)])),
    since(8, Kind::Structs(&[field(TEXT), field(Kind::Structs(&[field(TEXT), field(INTS)]))])),
    since(7, INT8),
];
const FIND_COORDINATOR: &[Field] = &[until(3, TEXT), since(1, INT8), since(4, TEXTS)];
const JOIN_GROUP: &[Field] = &[
    field(TEXT),
    field(INT32),
    since(1, INT32),
    field(TEXT),
    since(5, TEXT),
    field(TEXT),
    field(Kind::Structs(&[field(TEXT), field(BLOB)])),
];
const HEARTBEAT: &[Field] = &[field(TEXT), field(INT32), field(TEXT), since(3, TEXT)];
const LEAVE_GROUP: &[Field] =
    &[field(TEXT), until(2, TEXT), since(3, Kind::Structs(&[field(TEXT), field(TEXT), since(5, TEXT)]))];
const SYNC_GROUP: &[Field] = &[
    field(TEXT),
    field(INT32),
    field(TEXT),
    since(3, TEXT),
    since(5, TEXT),
    since(5, TEXT),
    field(Kind::Structs(&[field(TEXT), field(BLOB)])),
];
const CREATE_TOPICS: &[Field] = &[
    field(Kind::Structs(&[
        field(TEXT),
        field(INT32),
        field(INT16),
        field(Kind::Structs(&[field(INT32), field(INTS)])),
        field(Kind::Structs(&[field(TEXT), field(TEXT)])),
    ])),
    field(INT32),
    field(INT8),
];
const DESCRIBE_CONFIGS: &[Field] =
    &[field(Kind::Structs(&[field(INT8), field(TEXT), field(TEXTS)])), field(INT8), since(3, INT8)];
const OFFSET_DELETE: &[Field] =
    &[field(TEXT), field(Kind::Structs(&[field(TEXT), field(Kind::Structs(&[field(INT32)]))]))];
const DESCRIBE_GROUPS: &[Field] = &[field(TEXTS), since(3, INT8)];
const LIST_GROUPS: &[Field] = &[since(4, TEXTS)];
const API_VERSIONS: &[Field] = &[since(3, TEXT), since(3, TEXT)];
const DELETE_TOPICS: &[Field] = &[field(TEXTS), field(INT32)];
const INIT_PRODUCER_ID: &[Field] = &[field(TEXT), field(INT32), since(3, INT64), since(3, INT16)];
const DELETE_GROUPS: &[Field] = &[field(TEXTS)];
const DESCRIBE_CLUSTER: &[Field] = &[field(INT8), since(1, INT8)];

const fn shape(flexible: i16, fields: &'static [Field]) -> Shape {
    Shape { flexible, fields }
}

/// The shape of a request that we offer.
const fn shape_of(key: ApiKey) -> Option<Shape> {
    Some(match key {
        ApiKey::Produce => shape(9, PRODUCE),
        ApiKey::Fetch => shape(12, FETCH),
        ApiKey::ListOffsets => shape(6, LIST_OFFSETS),
        ApiKey::Metadata => shape(9, METADATA),
        ApiKey::OffsetCommit => shape(8, OFFSET_COMMIT),
        ApiKey::OffsetFetch => shape(6, OFFSET_FETCH),
        ApiKey::FindCoordinator => shape(3, FIND_COORDINATOR),
        ApiKey::JoinGroup => shape(6, JOIN_GROUP),
        ApiKey::Heartbeat => shape(4, HEARTBEAT),
        ApiKey::LeaveGroup => shape(4, LEAVE_GROUP),
        ApiKey::SyncGroup => shape(4, SYNC_GROUP),
        ApiKey::DescribeGroups => shape(5, DESCRIBE_GROUPS),
        ApiKey::ListGroups => shape(3, LIST_GROUPS),
        ApiKey::ApiVersions => shape(3, API_VERSIONS),
        ApiKey::CreateTopics => shape(5, CREATE_TOPICS),
        ApiKey::DeleteTopics => shape(4, DELETE_TOPICS),
        ApiKey::InitProducerId => shape(2, INIT_PRODUCER_ID),
        ApiKey::DescribeConfigs => shape(4, DESCRIBE_CONFIGS),
        ApiKey::DeleteGroups => shape(2, DELETE_GROUPS),
        ApiKey::OffsetDelete => shape(i16::MAX, OFFSET_DELETE),
        ApiKey::DescribeCluster => shape(0, DESCRIBE_CLUSTER),
        _ => return None,
    })
}

/// Whether `body` (a request without its header) holds a whole request of this version.
pub(super) fn fits(key: ApiKey, version: i16, body: &[u8]) -> bool {
    let Some(shape) = shape_of(key) else { return false };
    let mut walk = Walk { rest: body, version, flexible: version >= shape.flexible, elements: 0 };
    walk.structure(shape.fields).is_some()
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    /// Array elements so far.
    elements: usize,
}

impl Walk<'_> {
    fn structure(&mut self, fields: &'static [Field]) -> Option<()> {
        for field in fields {
            if (field.since..=field.until).contains(&self.version) {
                self.value(field.kind)?;
            }
        }
        if self.flexible { self.tagged_fields() } else { Some(()) }
    }

    fn value(&mut self, kind: Kind) -> Option<()> {
        match kind {
            Kind::Fixed(bytes) => self.skip(bytes),
            Kind::Text | Kind::Blob => {
                let length = self.length(if matches!(kind, Kind::Text) { 2 } else { 4 })?;
                self.skip(length)
            }
            Kind::Structs(fields) => self.array(|walk| walk.structure(fields)),
            Kind::Values(kind) => self.array(|walk| walk.value(*kind)),
        }
    }

    fn array(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        let count = self.length(4)?;
        self.elements = self.elements.checked_add(count).filter(|elements| *elements <= MAX_ELEMENTS)?;
        (0..count).try_for_each(|_| element(self))
    }

    fn tagged_fields(&mut self) -> Option<()> {
        let count = self.varint()?;
        if count > MAX_TAGGED_FIELDS {
            return None;
        }
        for _ in 0..count {
            self.varint()?;
            let length = usize::try_from(self.varint()?).ok()?;
            self.skip(length)?;
        }
        Some(())
    }

    /// A length that may be null, which counts as none: compact, or in so many bytes.
    fn length(&mut self, bytes: usize) -> Option<usize> {
        if self.flexible {
            return usize::try_from(self.varint()?.saturating_sub(1)).ok();
        }
        let (head, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        let length = match *head {
            [a, b] => i32::from(i16::from_be_bytes([a, b])),
            [a, b, c, d] => i32::from_be_bytes([a, b, c, d]),
            _ => return None,
        };
        if length == -1 { Some(0) } else { usize::try_from(length).ok() }
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..5).map(|byte| 7 * byte) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }
}
