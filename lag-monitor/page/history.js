// The lag of the partitions of each group on each topic at every poll, for the charts. A time without a poll has no sample.

/** The time that a chart shows, milliseconds. */
export const WINDOW = 5 * 60_000;

const histories = new Map();

export const keyOf = ({ group_id, topic }) => JSON.stringify([group_id, topic]);

/** What a chart draws of the lag of each partition: the number, or its upper bound. */
const drawn = (partitions) => Object.fromEntries(Object.entries(partitions).map(([number, { lag_at_most }]) => [number, lag_at_most]));

/** Merges the data of an event `past`. Older samples of this page are kept: a restarted monitor does not have them. */
export function addPast(past) {
  for (const one of past.groups) {
    const samples = one.moments.map(({ timestamp, partitions }) => ({ at: Date.parse(timestamp), partitions: drawn(partitions) }));
    const before = histories.get(keyOf(one)) ?? [];
    const first = samples[0]?.at ?? Infinity;
    histories.set(keyOf(one), before.filter(({ at }) => at < first).concat(samples));
  }
}

/** Adds the sample of an event `state`. The history of a group that is not in the event is deleted. */
export function add(state) {
  const at = Date.parse(state.timestamp);
  const current = new Set(state.groups.map(keyOf));
  for (const key of histories.keys()) if (!current.has(key)) histories.delete(key);
  for (const one of state.groups) {
    if (one.partitions === null) continue;
    const lags = drawn(one.partitions);
    const samples = (histories.get(keyOf(one)) ?? []).filter((sample) => sample.at < at && sample.at >= at - 2 * WINDOW);
    samples.push({ at, partitions: lags });
    histories.set(keyOf(one), samples);
  }
}

/** The samples of a group on a topic, oldest first. */
export const samplesOf = (groupTopic) => histories.get(keyOf(groupTopic)) ?? [];
