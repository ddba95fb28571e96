//! `/connectors/{name}/offsets`: read, moved and reset.

use axum::http::Method;
use serde_json::{Value, json};
use thm_api::{Offset, TopicPartition};

use super::reply::Reply;
use super::{Call, body};
use crate::herder::{Herder, OffsetChange, Refusal};

pub(super) async fn handle(herder: &Herder, name: &str, call: &Call) -> Result<Reply, Refusal> {
    if call.method == Method::GET {
        return herder.offsets(name).map(|offsets| Reply::json(200, &json!({"offsets": offsets})));
    }
    if call.method == Method::DELETE {
        herder.reset_offsets(name).await?;
        return Ok(done("reset"));
    }
    let given = entries(&call.body)?;
    // Connect looks at the connector before it looks at what is to be changed.
    herder.check_stopped(name)?;
    let changes = given.iter().map(change).collect::<Result<Vec<_>, _>>()?;
    herder.alter_offsets(name, &changes).await?;
    Ok(done("altered"))
}

fn done(what: &str) -> Reply {
    Reply::json(200, &json!({"message": format!("The offsets for this connector have been {what} successfully")}))
}

/// The list in `{"offsets":[…]}`.
fn entries(body: &[u8]) -> Result<Vec<Value>, Refusal> {
    let missing = || Refusal::new(400, "Partitions / offsets need to be provided for an alter offsets request");
    match body::json(body)? {
        Value::Null => Err(Refusal::new(
            500,
            "Cannot invoke \"org.apache.kafka.connect.runtime.rest.entities.ConnectorOffsets.offsets()\" because \
             \"offsets\" is null",
        )),
        Value::Object(mut fields) => match fields.remove("offsets") {
            Some(Value::Array(entries)) if !entries.is_empty() => Ok(entries),
            _ => Err(missing()),
        },
        _ => Err(missing()),
    }
}

/// One entry of a sink's list.
fn change(entry: &Value) -> Result<OffsetChange, Refusal> {
    let bad = |message: &str| Refusal::new(400, message);
    let partition = entry.get("partition").filter(|partition| partition.is_object());
    let partition =
        partition.ok_or_else(|| bad("The partition for a sink connector offset cannot be null or missing"))?;
    let topic = partition.get("kafka_topic").and_then(Value::as_str);
    let topic =
        topic.ok_or_else(|| bad("The partition for a sink connector offset must contain the key 'kafka_topic'"))?;
    let number = partition.get("kafka_partition").and_then(number).and_then(|number| u32::try_from(number).ok());
    let number = number.ok_or_else(|| {
        bad("The partition for a sink connector offset must contain the key 'kafka_partition' with a number")
    })?;
    let offset = match entry.get("offset") {
        None | Some(Value::Null) => None,
        Some(offset) => {
            let offset = offset.get("kafka_offset").and_then(self::number).filter(|offset| *offset >= 0);
            let message = "The offset for a sink connector should either be null or contain the key 'kafka_offset' \
                           with a number that is not negative";
            Some(Offset(offset.ok_or_else(|| bad(message))?))
        }
    };
    Ok(OffsetChange { partition: TopicPartition::new(topic, number), offset })
}

/// A number, also one written as text.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}
