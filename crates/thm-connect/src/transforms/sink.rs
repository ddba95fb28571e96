//! A chain over a sink's batches: records as they stand in the log in, the same records changed out.
//!
//! Keys and values are read as the sink's converters say and written back in the same form, so that the sink reads what it
//! always reads. What a chain leaves alone keeps its bytes. A batch's decoded columns do not go along: they are of the
//! records before.

use bytes::Bytes;
use thm_api::{
    ConnectorConfig, ConnectorKind, Error, ErrorKind, RejectedRecord, Result, SinkBatch, SinkRecord, TopicPartition,
};
use thm_codec::connect::{JsonForm, Part, SchemaReader, parse_plain, write_value};

use super::record::{ConnectRecord, DataError, Header};
use super::{Chain, header_text};

/// Form of keys or values in the log.
#[derive(Debug, Default)]
struct Form {
    text: bool,
    schemas: bool,
    json: JsonForm,
    reader: SchemaReader,
}

impl Form {
    fn from_config(config: &ConnectorConfig, side: &str) -> Result<Self> {
        let option = format!("{side}.converter");
        let text = config.get(&option).is_some_and(|class| class.ends_with("StringConverter"));
        let schemas = config.parse(&format!("{option}.schemas.enable"), false)?;
        let numeric = config.text(&format!("{option}.decimal.format"), "BASE64").eq_ignore_ascii_case("NUMERIC");
        let json = JsonForm { numeric, ..JsonForm::default() };
        Ok(Self { text, schemas, json, reader: SchemaReader::default() })
    }

    fn read(&mut self, bytes: Option<&Bytes>) -> Result<Part, DataError> {
        let Some(bytes) = bytes else { return Ok(Part::nothing()) };
        let unreadable =
            |problem: String| DataError(format!("Converting byte[] to Kafka Connect data failed: {problem}"));
        if self.schemas && !self.text {
            return self.reader.read(Some(bytes)).map_err(|error| unreadable(error.to_string()));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| unreadable(error.to_string()))?;
        if self.text { Ok(Part::text(text)) } else { parse_plain(text).map_err(|error| unreadable(error.to_string())) }
    }

    fn write(&self, part: &Part) -> Option<Bytes> {
        let (schema, value) = (part.schema.as_deref(), &part.value);
        if value.is_null() && (schema.is_none() || !self.schemas) {
            return None;
        }
        let mut out = Vec::new();
        match (self.text, value) {
            (true, thm_codec::connect::Value::String(text)) => out.extend_from_slice(text.as_bytes()),
            _ if self.schemas && !self.text => {
                out = schema
                    .map_or_else(|| b"{\"schema\":null,\"payload\":".to_vec(), thm_codec::debezium::Schema::prefix);
                write_value(&mut out, schema, value, self.json);
                out.push(b'}');
            }
            _ => write_value(&mut out, schema, value, JsonForm::default()),
        }
        Some(out.into())
    }
}

/// The transforms of one session of a sink.
pub(crate) struct SinkTransforms {
    chain: Chain,
    key: Form,
    value: Form,
}

impl SinkTransforms {
    /// None: the connector has no transforms.
    pub(crate) fn from_config(config: &ConnectorConfig) -> Result<Option<Self>> {
        let Some(chain) = Chain::from_config(config, ConnectorKind::Sink)? else { return Ok(None) };
        let (key, value) = (Form::from_config(config, "key")?, Form::from_config(config, "value")?);
        Ok(Some(Self { chain, key, value }))
    }

    /// Transforms the records of a batch. An error names those that cannot be; the batch is then as good as gone.
    pub(crate) fn apply(&mut self, batch: &mut SinkBatch) -> Result<()> {
        let place = batch.partition.partition.clone();
        let mut rejected = Vec::new();
        for chunk in &mut batch.chunks {
            chunk.columns = None;
            let mut kept = Vec::with_capacity(chunk.records.len());
            for record in std::mem::take(&mut chunk.records).into_vec() {
                let offset = record.offset;
                match self.record(&place, record) {
                    Ok(Some(record)) => kept.push(record),
                    Ok(None) => {}
                    Err(error) => {
                        let reason = error.to_string();
                        rejected.push(RejectedRecord { partition: place.clone(), offset, reason });
                    }
                }
            }
            chunk.records = kept.into();
        }
        batch.chunks.retain(|chunk| !chunk.records.is_empty());
        let Some(first) = rejected.first() else { return Ok(()) };
        let (object, reason) = (format!("{place} at offset {}", first.offset), first.reason.clone());
        Err(Error::new(ErrorKind::TransformFailed, "transforming a record", object)
            .with_source(reason)
            .with_rejected(rejected))
    }

    fn record(&mut self, place: &TopicPartition, record: SinkRecord) -> Result<Option<SinkRecord>, DataError> {
        // A key that is no JSON is text, whatever the converter says: nobody named a converter for most keys.
        let key = match self.key.read(record.key.as_ref()) {
            Err(_) => header_text::read(record.key.as_deref()),
            Ok(key) => key,
        };
        let value = self.value.read(record.value.as_ref())?;
        let headers: Vec<_> = record.headers.iter().map(header).collect();
        let given = ConnectRecord {
            topic: place.topic.to_string(),
            partition: Some(place.partition),
            key: key.clone(),
            value: value.clone(),
            headers: headers.clone(),
            timestamp_ms: Some(record.timestamp_ms),
            offset: Some(record.offset.0),
        };
        let Some(made) = self.chain.apply(given)? else { return Ok(None) };
        let mut record = record;
        if made.key != key {
            record.key = self.key.write(&made.key);
        }
        if made.value != value {
            record.value = self.value.write(&made.value);
        }
        if made.headers != headers {
            let written =
                |header: &Header| (Bytes::from(header.name.clone()), header_text::write(&header.part).map(Bytes::from));
            record.headers = made.headers.iter().map(written).collect::<Vec<_>>().into();
        }
        Ok(Some(record))
    }
}

fn header((name, value): &(Bytes, Option<Bytes>)) -> Header {
    Header { name: String::from_utf8_lossy(name).into_owned(), part: header_text::read(value.as_deref()) }
}
