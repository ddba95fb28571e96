//! How a job starts: topics, checkpoint, offsets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thm_api::{Error, ErrorKind, Log, Position, Result, Topic, TopicPartition};
use tokio::sync::watch;
use uuid::Uuid;

use super::checkpoint::{Checkpoint, InputState, Store};
use super::dead_letters::DeadLetters;
use super::decode::{Decoder, ReadSpec};
use super::feed::{self, Feed};
use super::input::{From as RowsFrom, Input, Role};
use super::last_values::LastValues;
use super::lineage::{Heir, Lineage};
use super::output::Output;
use super::pipeline::Pipeline;
use super::places;
use super::runner::{Environment, Runner};
use super::shared::{Command, Shared};
use super::sink::{Sink, TextSink};
use super::version::{From, check_resume};
use crate::connector::kafka::Startup;
use crate::format::{Format, ValueFormat};
use crate::planner::{Branch, JobPlan, SourceKind, SourceNode, TopicSource};

/// Pause between looks for a topic that does not exist yet.
const TOPIC_PAUSE: Duration = Duration::from_millis(100);

/// Makes a job ready to run; `None` if a command ended it while it waited for its topics.
pub(super) async fn start(
    plan: JobPlan,
    environment: Environment,
    shared: Arc<Shared>,
    mut commands: watch::Receiver<Command>,
    from: Option<From>,
) -> Result<Option<Runner>> {
    let Some(topics) = source_topics(&plan, &environment, &mut commands).await? else { return Ok(None) };
    let store = Store::new(Arc::clone(&environment.state), &plan.id());
    let mut checkpoint = store.load()?;
    let mut generation = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.generation);
    match &from {
        // By order: nothing of before counts, and what is written is a producer's of its own.
        Some(_) => {
            generation += u32::from(checkpoint.is_some());
            checkpoint = None;
        }
        None => checkpoint.iter().try_for_each(|checkpoint| check_resume(&plan, checkpoint))?,
    }
    // A quarter for the caches of look-ups, as for reads and for what is written and not durable yet.
    let cache_bytes = environment.budget_bytes / (4 * plan.graph.lookups.len().max(1));
    let mut pipeline = Pipeline::new(&plan.graph, &environment.hosts, cache_bytes);
    let restored = restore_lookups(&plan, &store, checkpoint.as_ref(), &mut pipeline)?;
    plan.graph.branches.iter().for_each(Branch::restart);
    let mut inputs = Vec::new();
    let start = Start {
        plan: &plan,
        environment: &environment,
        checkpoint: checkpoint.as_ref(),
        from: from.as_ref(),
        store: &store,
    };
    let mut lineage = Lineage::new(checkpoint.as_ref(), plan.branch_hashes());
    for (number, branch) in plan.graph.branches.iter().enumerate() {
        if let Some(feed) = Feed::new(&branch.source)? {
            inputs.push(start.feed(number, feed, &mut lineage));
        }
        let patterned = || found_by(&branch.source, &*environment.log).into_iter();
        for topic in named(branch.source.topics(), &topics)?.into_iter().chain(patterned()) {
            inputs.extend(start.stream(number, &topic, &mut lineage).await?);
        }
    }
    for (index, lookup) in plan.graph.lookups.iter().enumerate() {
        let Some(name) = lookup.topic() else { continue };
        let topic = topics.iter().find(|topic| topic.spec.name == name).ok_or_else(|| gone(name))?;
        let usable = checkpoint.as_ref().filter(|_| restored[index]);
        let start = Start { checkpoint: usable, from: None, ..start };
        inputs.extend(start.lookup(index, topic)?);
    }
    inputs.sort_by_key(|input| input.rank);
    let output = output(&plan, &environment, &inputs, generation).await?;
    let dead_letters = match &plan.graph.errors.dead_letters {
        Some(topic) => Some(DeadLetters::open(Arc::clone(&environment.log), topic, plan.name.as_str().into()).await?),
        None => None,
    };
    let latency = metrics::histogram!("thm_sql_latency_seconds", "job" => plan.name.clone());
    let status = shared.status();
    let discovery = plan.graph.branches.iter().filter_map(|branch| branch.source.discovery()).min();
    let mut runner = Runner {
        counted_before: (status.records_in, status.records_out),
        next_discovery: discovery.map(|pause| Instant::now() + pause),
        latency,
        plan,
        environment,
        shared,
        commands,
        inputs,
        pipeline,
        output,
        dead_letters,
        store,
        last_checkpoint: checkpoint,
        generation,
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

/// Topics by name, in the order of the names.
fn named(names: &[String], topics: &[Topic]) -> Result<Vec<Topic>> {
    let by_name = |name: &String| topics.iter().find(|topic| topic.spec.name == *name).cloned();
    names.iter().map(|name| by_name(name).ok_or_else(|| gone(name))).collect()
}

/// Topics that a source's pattern finds now, by name.
pub(super) fn found_by(source: &SourceNode, log: &dyn Log) -> Vec<Topic> {
    let SourceKind::Topics(read) = &source.kind else { return Vec::new() };
    let topics = &read.topics;
    if topics.pattern.is_none() {
        return Vec::new();
    }
    let mut found = log.topics();
    found.retain(|topic| topics.has(&topic.spec.name));
    found.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
    found
}

/// Whether there is a partition that a job looks for and does not read yet.
pub(super) fn has_more(plan: &JobPlan, log: &dyn Log, inputs: &[Input]) -> bool {
    let reads = |branch: usize, topic: &Topic| {
        let of_topic = inputs
            .iter()
            .filter(|input| input.role == Role::Stream(branch) && *input.partition.topic == *topic.spec.name);
        of_topic.count() >= topic.partitions.len()
    };
    plan.graph.branches.iter().enumerate().filter(|(_, branch)| branch.source.discovery().is_some()).any(
        |(number, branch)| {
            let named = branch.source.topics().iter().filter_map(|name| log.topic(name));
            named.chain(found_by(&branch.source, log)).any(|topic| !reads(number, &topic))
        },
    )
}

fn gone(topic: &str) -> Error {
    Error::new(ErrorKind::TopicMissing, "starting a job", topic.to_owned())
        .with_hint("The topic was deleted while the job started; submit it again.")
}

/// The sink, with the topic that it writes if it is one.
async fn output(plan: &JobPlan, environment: &Environment, inputs: &[Input], generation: u32) -> Result<Sink> {
    if plan.graph.sink.topics().is_none() {
        return TextSink::open(Arc::clone(&plan.graph), plan.name.as_str().into()).map(Sink::Text);
    }
    let base = if generation == 0 { plan.producer() } else { format!("{}@{generation}", plan.producer()) };
    // Each input by its own name, so that progress of one never stands for another's when the file changes.
    let producer = |input: &Input| -> Option<(u32, Arc<str>)> {
        input.producer.as_ref().map(|name| (input.rank, format!("{base}#{name}").into()))
    };
    let producers = inputs.iter().filter_map(producer).collect();
    let (log, job) = (Arc::clone(&environment.log), plan.name.as_str().into());
    let output = Output::new(Arc::clone(&plan.graph), log, (job, producers), environment.budget_bytes / 4).await?;
    Ok(Sink::Topic(Box::new(output)))
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
            pipeline.restore(index, &store.rows(key)?)?;
        }
        *done = true;
    }
    Ok(restored)
}

/// What inputs are made from.
#[derive(Clone, Copy)]
struct Start<'a> {
    store: &'a Store,
    plan: &'a JobPlan,
    environment: &'a Environment,
    checkpoint: Option<&'a Checkpoint>,
    from: Option<&'a From>,
}

impl Start<'_> {
    /// A source outside the log.
    fn feed(&self, branch: usize, feed: Feed, lineage: &mut Lineage<'_>) -> Input {
        let partition = feed::name(&self.plan.graph.branches[branch].source);
        let Heir { stored, rank, producer } = lineage.of_feed(branch, &partition, &feed::numbered(branch));
        let offset = stored.map_or(0, |stored| stored.offset);
        let complete = self.environment.completeness.watch(&partition.topic);
        let place = (offset, Position::default(), None);
        Input::new(
            (partition, uuid::Uuid::nil()),
            (rank, Role::Stream(branch)),
            place,
            RowsFrom::Feed(Box::new(feed)),
            complete,
        )
        .writing_as(producer)
    }

    /// The partitions of a topic of a branch.
    async fn stream(&self, branch: usize, topic: &Topic, lineage: &mut Lineage<'_>) -> Result<Vec<Input>> {
        let node = &self.plan.graph.branches[branch];
        let SourceKind::Topics(source) = &node.source.kind else { return Ok(Vec::new()) };
        let mut inputs = Vec::with_capacity(topic.partitions.len());
        for (number, info) in (0_u32..).zip(&topic.partitions) {
            let partition = TopicPartition::new(topic.spec.name.as_str(), number);
            let Heir { stored, rank, producer } = lineage.of(branch, &partition);
            let place = match stored {
                Some(stored) if stored.uuid != topic.uuid => return Err(recreated(self.plan, &partition)),
                Some(stored) => (stored.offset, stored.place, stored.end),
                None => {
                    let startup = match self.from {
                        None if self.is_new(source, topic) => Startup::Earliest,
                        None => source.startup.clone(),
                        Some(From::Earliest) => Startup::Earliest,
                        Some(From::Latest) => Startup::Latest,
                        Some(From::Timestamp(millis)) => Startup::Timestamp(*millis),
                    };
                    let places =
                        places::Places { log: &*self.environment.log, groups: self.environment.groups.as_deref() };
                    let start = places.start(&startup, &partition, info).await?;
                    (start, Position::default(), places.stop(&source.stop, &partition, info).await?)
                }
            };
            let spec = ReadSpec {
                value: source.value.clone(),
                key: source.key.clone(),
                key_fields: source.key_fields.clone(),
                upsert: source.upsert,
                key_in_value: source.key_in_value,
                retract: source.retract,
            };
            let job: Arc<str> = self.plan.name.as_str().into();
            let decoder = Decoder::new((node.source.fields.clone(), spec), false, node.key_sources.clone(), job);
            let ranked = (rank, Role::Stream(branch));
            let input = self.topic_input((partition, topic.uuid), ranked, (stored, place), decoder)?;
            inputs.push(input.writing_as(producer));
        }
        Ok(inputs)
    }

    /// Whether a topic, of which some partition has not been read, is one that has come since the job's first start.
    fn is_new(&self, source: &TopicSource, topic: &Topic) -> bool {
        self.checkpoint.is_some_and(|checkpoint| {
            let looked_for = source.topics.pattern.as_ref().is_some_and(|own| checkpoint.patterns.contains(own));
            looked_for || checkpoint.inputs.iter().any(|input| input.topic == topic.spec.name)
        })
    }

    /// The partitions of a look-up's topic.
    fn lookup(&self, index: usize, topic: &Topic) -> Result<Vec<Input>> {
        let node = &self.plan.graph.lookups[index];
        let crate::planner::Feed::Topic { options, .. } = &node.feed else { return Ok(Vec::new()) };
        let mut inputs = Vec::with_capacity(topic.partitions.len());
        for (number, info) in (0_u32..).zip(&topic.partitions) {
            let partition = TopicPartition::new(topic.spec.name.as_str(), number);
            let rank = u32::try_from(index).unwrap_or(0) * 256 + number.min(255);
            let stored = self.checkpoint.and_then(|checkpoint| checkpoint.lookup_input(&partition, index));
            let place = match stored {
                Some(stored) if stored.uuid != topic.uuid => return Err(recreated(self.plan, &partition)),
                Some(stored) => (stored.offset, stored.place, None),
                None => (info.log_start.0, Position::default(), None),
            };
            let value = Format { kind: ValueFormat::DebeziumJson, json: *options, ..Format::default() };
            let spec = ReadSpec { value, ..ReadSpec::default() };
            let job: Arc<str> = self.plan.name.as_str().into();
            let decoder = Decoder::new((node.fields.clone(), spec), true, Vec::new(), job);
            let ranked = (rank, Role::Lookup(index));
            inputs.push(self.topic_input((partition, topic.uuid), ranked, (stored, place), decoder)?);
        }
        Ok(inputs)
    }

    /// A partition, with what an earlier run knew of the shapes of its tables and of its last values.
    fn topic_input(
        &self,
        (partition, uuid): (TopicPartition, Uuid),
        ranked: (u32, Role),
        (stored, place): (Option<&InputState>, (i64, Position, Option<i64>)),
        mut decoder: Decoder,
    ) -> Result<Input> {
        if let Some(stored) = stored {
            decoder.restore_shapes(&stored.tables);
            match &stored.rows {
                Some(key) if decoder.remembers() => {
                    decoder.restore(LastValues::restored(self.store.rows(key)?)?);
                }
                None if decoder.remembers() && stored.offset > 0 => return Err(no_old_rows(self.plan, &partition)),
                _ => {}
            }
        }
        let complete = self.environment.completeness.watch(&partition.topic);
        Ok(Input::new((partition, uuid), ranked, place, RowsFrom::Topic(Box::new(decoder)), complete))
    }
}

fn no_old_rows(plan: &JobPlan, partition: &TopicPartition) -> Error {
    Error::new(ErrorKind::InvalidConfig, "resuming a job", plan.name.clone())
        .with_source(format!("the sink needs the old rows of {partition}, which the version before did not keep"))
        .with_hint("Read the topic from its start, with --from earliest; or give the job another name.")
}

fn recreated(plan: &JobPlan, partition: &TopicPartition) -> Error {
    Error::new(ErrorKind::TopicMissing, "resuming a job", partition.to_string())
        .with_source("the topic was deleted and created again since the last checkpoint")
        .with_hint(format!(
            "Start {} anew by order, with --from earliest, --from latest or --from a time; or under another name: SET 'pipeline.name' = '…'.",
            plan.name
        ))
}
