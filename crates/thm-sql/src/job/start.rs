//! How a job starts: topics, checkpoint, offsets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thm_api::{Error, ErrorKind, Position, Result, Topic, TopicPartition, TopicSpec};
use tokio::sync::watch;

use super::checkpoint::{Checkpoint, InputState, Store};
use super::decode::Decoder;
use super::input::{Input, Role, STREAM_RANK};
use super::output::Output;
use super::pipeline::Pipeline;
use super::runner::{Environment, Runner};
use super::shared::{Command, Shared};
use crate::connector::kafka::{Startup, ValueFormat};
use crate::planner::JobPlan;

/// Pause between looks for a topic that does not exist yet.
const TOPIC_PAUSE: Duration = Duration::from_millis(100);

/// Makes a job ready to run; `None` if a command ended it while it waited for its topics.
pub(super) async fn start(
    plan: JobPlan,
    environment: Environment,
    shared: Arc<Shared>,
    mut commands: watch::Receiver<Command>,
) -> Result<Option<Runner>> {
    let Some(topics) = source_topics(&plan, &environment, &mut commands).await? else { return Ok(None) };
    let sink = sink_topic(&plan, &environment).await?;
    let store = Store::new(Arc::clone(&environment.state), &plan.id());
    let checkpoint = store.load()?;
    if let Some(checkpoint) = &checkpoint {
        check_key(&plan, checkpoint)?;
    }
    let mut pipeline = Pipeline::new(&plan.graph);
    let restored = restore_lookups(&plan, &store, checkpoint.as_ref(), &mut pipeline)?;
    let mut inputs = Vec::new();
    for (index, topic) in topics.iter().enumerate() {
        // The stream is first among the topics, the look-ups follow.
        let role = index.checked_sub(1).map_or(Role::Stream, Role::Lookup);
        let usable = match role {
            Role::Stream => checkpoint.as_ref(),
            Role::Lookup(lookup) => checkpoint.as_ref().filter(|_| restored[lookup]),
        };
        inputs.extend(partitions(&plan, &environment, topic, role, usable)?);
    }
    inputs.sort_by_key(|input| input.rank);
    let names = (Arc::from(plan.name.as_str()), Arc::from(plan.producer()));
    let partitions = u32::try_from(sink.partitions.len()).unwrap_or(1);
    let log = Arc::clone(&environment.log);
    let output = Output::new(Arc::clone(&plan.graph), log, names, partitions, environment.budget_bytes / 4)?;
    let latency = metrics::histogram!("thm_sql_latency_seconds", "job" => plan.name.clone());
    let mut runner = Runner {
        latency,
        plan,
        environment,
        shared,
        commands,
        inputs,
        pipeline,
        output,
        store,
        last_checkpoint: checkpoint,
        next_checkpoint: Instant::now(),
        records_in: 0,
    };
    // From here on "latest" is a fixed offset, whatever happens.
    runner.checkpoint().await?;
    Ok(Some(runner))
}

/// Waits for the topics that the job reads: stream first, then look-ups.
async fn source_topics(
    plan: &JobPlan,
    environment: &Environment,
    commands: &mut watch::Receiver<Command>,
) -> Result<Option<Vec<Topic>>> {
    let mut logged = false;
    loop {
        let found: Vec<Option<Topic>> =
            plan.source_topics().into_iter().map(|name| environment.log.topic(name)).collect();
        let missing = plan.source_topics().into_iter().zip(&found).find(|(_, topic)| topic.is_none());
        let Some((missing, _)) = missing else { return Ok(Some(found.into_iter().flatten().collect())) };
        if !logged {
            logged = true;
            tracing::info!(job = %plan.name, topic = missing, "waiting for a topic that does not exist yet");
        }
        tokio::select! {
            () = tokio::time::sleep(TOPIC_PAUSE) => {}
            _ = commands.changed() => {}
        }
        if *commands.borrow_and_update() != Command::Run {
            return Ok(None);
        }
    }
}

async fn sink_topic(plan: &JobPlan, environment: &Environment) -> Result<Topic> {
    match environment.log.topic(plan.sink_topic()) {
        Some(topic) => Ok(topic),
        None => environment.log.create_topic(&TopicSpec::new(plan.sink_topic())).await,
    }
}

/// Under another key the records already written would stand for other rows.
fn check_key(plan: &JobPlan, checkpoint: &Checkpoint) -> Result<()> {
    if checkpoint.key == plan.key_hash() {
        return Ok(());
    }
    Err(other_key(plan))
}

/// Why a plan cannot go on where another was.
pub(super) fn other_key(plan: &JobPlan) -> Error {
    Error::new(ErrorKind::InvalidConfig, "resuming a job", plan.name.clone())
        .with_source("the sink's topic or key has changed since the last checkpoint")
        .with_hint("Give the changed job another name with SET 'pipeline.name' = '…', so that it starts anew.")
}

/// Which look-up tables could be taken from the checkpoint; the others are read anew from their topics.
fn restore_lookups(
    plan: &JobPlan,
    store: &Store,
    checkpoint: Option<&Checkpoint>,
    pipeline: &mut Pipeline,
) -> Result<Vec<bool>> {
    let mut restored = vec![false; plan.graph.lookups.len()];
    let Some(checkpoint) = checkpoint else { return Ok(restored) };
    for (index, done) in restored.iter_mut().enumerate() {
        let same = |state: &&super::checkpoint::LookupState| state.hash == plan.lookup_hash(index);
        let Some(state) = checkpoint.lookups.get(index).filter(same) else {
            tracing::warn!(job = %plan.name, table = %plan.graph.lookups[index].table, "the look-up has changed: reading its topic anew");
            continue;
        };
        // Without rows it was empty, at the offsets that the checkpoint has.
        if let Some(key) = &state.state {
            pipeline.restore(index, &store.lookup(key)?)?;
        }
        *done = true;
    }
    Ok(restored)
}

fn partitions(
    plan: &JobPlan,
    environment: &Environment,
    topic: &Topic,
    role: Role,
    checkpoint: Option<&Checkpoint>,
) -> Result<Vec<Input>> {
    let mut inputs = Vec::with_capacity(topic.partitions.len());
    for (number, info) in (0_u32..).zip(&topic.partitions) {
        let partition = TopicPartition::new(topic.spec.name.as_str(), number);
        let (rank, fresh) = match role {
            Role::Lookup(index) => {
                let base = u32::try_from(index).unwrap_or(0) * 256;
                (base + number.min(255), info.log_start.0)
            }
            Role::Stream => match plan.graph.source.startup {
                Startup::Earliest => (STREAM_RANK + number, info.log_start.0),
                Startup::Latest => (STREAM_RANK + number, info.high_watermark.0),
            },
        };
        let stored = checkpoint.and_then(|checkpoint| {
            let same = |state: &&InputState| *state.topic == *partition.topic && state.partition == number;
            checkpoint.inputs.iter().find(same)
        });
        let place = match stored {
            Some(stored) if stored.uuid != topic.uuid => return Err(recreated(plan, &partition)),
            Some(stored) => (stored.offset, stored.place),
            None => (fresh, Position::default()),
        };
        let complete = environment.completeness.watch(&topic.spec.name);
        let decoder = decoder(plan, role);
        inputs.push(Input::new((partition, topic.uuid), (rank, role), place, decoder, complete));
    }
    Ok(inputs)
}

fn recreated(plan: &JobPlan, partition: &TopicPartition) -> Error {
    Error::new(ErrorKind::TopicMissing, "resuming a job", partition.to_string())
        .with_source("the topic was deleted and created again since the last checkpoint")
        .with_hint(format!(
            "Start anew with another name: SET 'pipeline.name' = '…' before the INSERT of {}.",
            plan.name
        ))
}

fn decoder(plan: &JobPlan, role: Role) -> Decoder {
    let job: Arc<str> = plan.name.as_str().into();
    match role {
        Role::Stream => {
            let source = &plan.graph.source;
            let reads = (source.fields.clone(), source.format, source.options);
            Decoder::new(reads, false, plan.graph.sink.key_sources.clone(), job)
        }
        Role::Lookup(index) => {
            let lookup = &plan.graph.lookups[index];
            let reads = (lookup.fields.clone(), ValueFormat::DebeziumJson, lookup.options);
            Decoder::new(reads, true, Vec::new(), job)
        }
    }
}
